"""Numbers of a report as text; "-" stands for one that there is not."""

from collections.abc import Callable

from benchmarks.ner.analysis.estimate import Detectable

NONE = "-"


def number(value: float | None, form: str | Callable[[float], str]) -> str:
    """Returns a value by a format, such as "{:.3f}", or by a function."""
    if value is None:
        return NONE
    return form.format(value) if isinstance(form, str) else form(value)


def interval(low: float | None, high: float | None, decimals: int = 2) -> str:
    return NONE if low is None or high is None else f"{low:.{decimals}f} to {high:.{decimals}f}"


def percent(share: float, decimals: int | None = None) -> str:
    """Returns a share in percent, by default with the decimals that it needs: 95 %, 99.5 %."""
    return f"{round(100 * share, 2):g} %" if decimals is None else f"{100 * share:.{decimals}f} %"


def counted(count: int, noun: str) -> str:
    """Returns a count and its noun: 1 seed, 2 seeds."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def p_text(p: float | None) -> str:
    return NONE if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def detectable_range(found: Detectable | None, decimals: int) -> str:
    """Returns the difference that would be found, and its range, as the deviation is uncertain."""
    if found is None:
        return NONE
    return f"{found.difference:.{decimals}f} ({found.low:.{decimals}f} to {found.high:.{decimals}f})"
