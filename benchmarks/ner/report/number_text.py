"""Numbers of a report as text; "-" stands for one that there is not."""

from benchmarks.ner.analysis.estimate import Detectable

NONE = "-"


def number(value: float | None, form: str) -> str:
    return NONE if value is None else form.format(value)


def interval(low: float | None, high: float | None, decimals: int = 2) -> str:
    return NONE if low is None or high is None else f"{low:.{decimals}f} to {high:.{decimals}f}"


def percent(share: float) -> str:
    """Returns a share in percent with the decimals that it needs: 95 %, 99.5 %."""
    return f"{round(100 * share, 2):g} %"


def p_text(p: float | None) -> str:
    return NONE if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def detectable_range(found: Detectable | None, decimals: int) -> str:
    """Returns the difference that would be found, and its range, as the deviation is uncertain."""
    if found is None:
        return NONE
    return f"{found.difference:.{decimals}f} ({found.low:.{decimals}f} to {found.high:.{decimals}f})"
