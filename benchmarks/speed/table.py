"""Shows the figures of `tox -e bench` as a table, and tokens per second by length as a plot.

`python -m benchmarks.speed.table RESULT.json [--write]`; `--write` saves the plot next to this file and the figures in
`result.json`, from which `python -m benchmarks.readme` generates the table in the README.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
RESULT = HERE / "result.json"
PICTURE = HERE / "tokens_per_second.png"
DISK = "from disk to batch, stock from lists / ours from ArrowRows"
STEPS = "training, `tiny`, packed, sparse head / padded"
MASKS = "token masks from numpy, stock / ours"
WAITING = "time waiting for data, tiny BERT, ours"
AUDIT = "time of the audit by default, tiny BERT"
HEADINGS = ("measure", "batch", "figure", "goal", "")


class Figure(NamedTuple):
    """A row of the table.

    Attributes:
        measure, size: what is measured, and on what.
        value: the figure, in `unit`: "x", "%", "ms", ...
        goal: its minimum (if `more`) or maximum; None if the figure is only reported.
        more: whether higher values are better.
    """

    measure: str
    size: str
    value: float
    unit: str = "x"
    goal: float | None = None
    more: bool = True


def kept(result: dict[str, Any]) -> dict[str, Any]:
    """Extracts the machine, the versions, the figures and the medians from a result of pytest-benchmark."""
    benchmarks = result["benchmarks"]
    cpu = result["machine_info"]["cpu"]
    return {
        "machine": f"{cpu['count']} cores, {cpu['brand_raw']}, one thread",
        "python": result["machine_info"]["python_version"],
        "date": result["datetime"][:10],
        "versions": next(each["extra_info"]["versions"] for each in benchmarks if "versions" in each["extra_info"]),
        "figures": [figure for each in benchmarks for figure in each["extra_info"].get("figures", [])],
        "tokens_per_second": {
            str(each["extra_info"]["length"]): each["extra_info"]["tokens_per_second"]
            for each in benchmarks
            if "tokens_per_second" in each["extra_info"]
        },
    }


def rows(figures: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Returns the rows of the table: measure, batch, figure, goal, and whether the goal is met."""
    return [(each["measure"], each["size"], _number(each), _goal(each), _verdict(each)) for each in figures]


def markdown(result: dict[str, Any]) -> str:
    lines = [HEADINGS, ("---", "---", "---:", "---:", "---"), *rows(result["figures"])]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"Measured on {result['date']} on {result['machine']}, Python {result['python']}, {versions}.\n\n{table}\n"


def highlights(result: dict[str, Any]) -> str:
    """Three ratios, and what training waits for, as the README shows them."""
    values = {(each["measure"], each["size"]): each["value"] for each in result["figures"]}
    corpus = next(size for measure, size in values if measure == STEPS)
    ratios = (values[DISK, "128 x 512"], values[STEPS, corpus], values[MASKS, "128 x 512"])
    waiting, audit = values[WAITING, "32 x 128"], values[AUDIT, "32 x 128"]
    disk, training, masks = (f"{ratio:.2g}" for ratio in ratios)
    name = corpus.split(", ")[-1]
    return (
        "| compared | times as fast |\n| --- | ---: |\n"
        "| From a dataset on disk to a batch of 128 x 512: `ArrowRows` and this collator / the dataset and the stock "
        f"collator | {disk} |\n"
        f"| Training a tiny BERT on the sentences of {name}: packed, with logits at labeled tokens only / padded, with "
        f"all logits | {training} |\n"
        f"| Masking a batch of 128 x 512 from numpy arrays: this collator / the stock collator | {masks} |\n\n"
        f"Measured on {result['machine']}. A tiny BERT that trains on padded batches of 32 x 128 waits for them during "
        f"{waiting:.2g} % of the time, and the audit takes {audit:.2g} %.\n"
    )


def draw(tokens_per_second: dict[str, dict[str, float]], path: Path) -> None:
    """Draws tokens per second by sequence length, with logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    lengths = sorted(map(int, tokens_per_second))
    for name, style in {"floor": "k:", "ours": "C0o-", "ours, from lists": "C0s--", "stock": "C3^-"}.items():
        speeds = [tokens_per_second[str(length)][name] for length in lengths]
        axes.plot(lengths, speeds, style, label=LABELS[name], markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="tokens in a sequence, 65,536 in a batch", ylabel="tokens a second")
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.17))  # between the lines
    figure.savefig(path, dpi=120, metadata={"Software": None})


LABELS = {
    "floor": "floor: only copying into a batch",
    "ours": "hf_dynmask, from numpy",
    "ours, from lists": "hf_dynmask, from lists",
    "stock": "DataCollatorForLanguageModeling, from numpy",
}


def _number(figure: dict[str, Any]) -> str:
    value = figure["value"]
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {figure['unit']}"


def _goal(figure: dict[str, Any]) -> str:
    if figure["goal"] is None:
        return ""
    return f"{'≥' if figure['more'] else '≤'} {figure['goal']:g} {figure['unit']}"


def _verdict(figure: dict[str, Any]) -> str:
    if figure["goal"] is None:
        return "reported"
    met = figure["value"] >= figure["goal"] if figure["more"] else figure["value"] <= figure["goal"]
    return "pass" if met else "short of goal"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="result file of pytest-benchmark")
    parser.add_argument("--write", action="store_true", help="write the plot and result.json")
    arguments = parser.parse_args()
    result = kept(json.loads(arguments.result.read_text(encoding="utf-8")))
    table = Table(*HEADINGS, title=f"{result['machine']}, {result['date']}")
    for row in rows(result["figures"]):
        table.add_row(*row, style="red" if row[-1] == "short of goal" else None)
    Console(emoji=False).print(table)
    draw(result["tokens_per_second"], PICTURE if arguments.write else arguments.result.with_suffix(".png"))
    if arguments.write:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
