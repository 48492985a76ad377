"""Draws the pictures of the gallery. Each shows the result of the code before it on the page, in marks of the preview.

`python -m docs.gallery` writes them again, after a change of the page, of masks or of marks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorForSpanCorruption
from hf_dynmask.cli.marks import UNICODE
from hf_dynmask.cli.token_outcomes import Piece, masked_fraction, pieces_of, surface
from hf_dynmask.cli.toy_tokenizer import toy_tokenizer
from hf_dynmask.vocabulary.vocabulary import read_vocabulary

PAGE = Path(__file__).with_name("gallery.md")
EPOCHS, COLUMNS, BAR = 4, 48, 30
BLOCK = re.compile(r"^```python\n(.*?)^```$|^!\[[^\]]*\]\(([^)]*\.svg)\)$", re.MULTILINE | re.DOTALL)
THEME = TerminalTheme(
    (250, 250, 250),
    (40, 40, 40),
    [(0, 0, 0), (190, 20, 40), (20, 110, 50), (140, 90, 0), (20, 80, 180), (150, 20, 150), (0, 110, 120), (90, 90, 90)],
)
# Where the reader's system is dark, so is the picture: inverted, with the hues turned back.
FORMAT = """\
<svg viewBox="0 0 {width} {height}" width="480" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px monospace; white-space: pre; }}
{styles}
@media (prefers-color-scheme: dark) {{ svg {{ filter: invert(0.88) hue-rotate(180deg); }} }}
</style>
<rect width="100%" height="100%" rx="8" fill="#fafafa"/>
<g transform="translate(9, 24)">{backgrounds}<g class="{unique_id}-matrix">
{matrix}
</g></g>
</svg>
"""


def pictures(page: str) -> Iterator[tuple[str, str]]:
    """The path of each picture of a page, and the picture as SVG."""
    names: dict[str, Any] = {}
    for code, path in BLOCK.findall(page):
        if path:
            yield path, drawn(shown(names))
            continue
        names.pop("collator", None)
        exec(code, names)
        names.setdefault("tokenizer", toy_tokenizer([names["text"]]))


def shown(names: Mapping[str, Any]) -> Iterator[Text]:
    """The masks of a collator, or a schedule, that the code made. Before it has made one, the legend."""
    if "collator" in names:
        show = corrupted if isinstance(names["collator"], DataCollatorForSpanCorruption) else masked
        for epoch in range(EPOCHS):
            yield from show(names["collator"], names["example"], epoch)
    elif "schedule" in names:
        yield from curve(names["schedule"])
    else:
        yield from UNICODE.legend([])


def masked(collator: DataCollatorForDynamicMasking, example: Mapping[str, Any], epoch: int) -> Iterator[Text]:
    """The fraction of masked tokens in an epoch, and the tokens."""
    batch = collator([example], return_tensors="np", epoch=epoch, progress=epoch / EPOCHS)
    vocabulary = read_vocabulary(collator.tokenizer)
    pieces = pieces_of(collator.tokenizer, vocabulary, example["input_ids"], batch)
    yield _bar(f"epoch {epoch}", masked_fraction(pieces))
    yield UNICODE.line([piece for piece in pieces if piece.is_maskable])


def curve(schedule: Callable[[float], float]) -> Iterator[Text]:
    """The rate at each tenth of the training."""
    for tenth in range(11):
        yield _bar(f"{tenth / 10:4.0%}", schedule(tenth / 10))


def corrupted(collator: DataCollatorForSpanCorruption, example: Mapping[str, Any], epoch: int) -> Iterator[Text]:
    """The input of an epoch and its labels, with sentinels marked like masked tokens."""
    batch = collator([example], return_tensors="np", epoch=epoch)
    for name in ("input_ids", "labels"):
        yield Text(f"epoch {epoch}, {name}", style="blue")
        pieces = (_piece(collator.tokenizer, id_) for id_ in batch[name][0].tolist())
        yield UNICODE.line([piece for piece in pieces if piece.is_maskable])


def drawn(lines: Iterable[Text]) -> str:
    """The lines as SVG that needs no font from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="standard")
    for line in lines:
        console.print(line)
    picture = console.export_svg(theme=THEME, code_format=FORMAT, unique_id="gallery")
    return re.sub(r' clip-path="[^"]*"', "", picture)  # no line is wider than the picture


def _bar(title: str, fraction: float) -> Text:
    return Text(f"{title}  {fraction:4.0%} {'━' * round(BAR * fraction)}", style="blue")


def _piece(tokenizer: Any, id_: int) -> Piece:
    token = tokenizer.convert_ids_to_tokens(id_)
    around = "unmaskable" if token in ("[CLS]", "[SEP]") else None
    return Piece(surface(tokenizer, id_), not token.startswith("##"), "mask_token" if "extra_id" in token else around)


if __name__ == "__main__":
    (PAGE.parent / "gallery").mkdir(exist_ok=True)
    for path, picture in pictures(PAGE.read_text(encoding="utf-8")):
        (PAGE.parent / path).write_text(picture, encoding="utf-8")
