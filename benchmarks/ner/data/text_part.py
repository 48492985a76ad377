"""A part of the documents of a file. Nothing heavy is imported, so that wrong values are reported at once."""

import re
from typing import NamedTuple

PART = re.compile(r"(?P<file>.+)\[(?P<start>\d+%)?:(?P<stop>\d+%)?\]")


class Part(NamedTuple):
    """The documents of a file from `start` to `stop` percent, in an order that a seed determines."""

    file: str
    start: int = 0
    stop: int = 100


def parse_part(text: str) -> Part:
    """Reads `FILE`, or a part of it in the notation of `datasets`: `FILE[:75%]`, `FILE[75%:]`, `FILE[25%:75%]`.

    Raises `ValueError` for an empty part.
    """
    found = PART.fullmatch(text)
    if found is None:
        return Part(text)
    start, stop = int((found["start"] or "0%")[:-1]), int((found["stop"] or "100%")[:-1])
    if not 0 <= start < stop <= 100:
        raise ValueError(
            f"`mlm_train_file` must name a part from 0% to 100%, such as FILE[:75%], but got {text!r}. Change its "
            "percentages."
        )
    return Part(found["file"], start, stop)
