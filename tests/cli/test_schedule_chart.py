"""The bars of a schedule: as wide as the output, and longest at the highest rate."""

from __future__ import annotations

import pytest

from hf_dynmask.cli.main import main


@pytest.fixture
def bars(capsys, monkeypatch):
    """The heading of the bars, and the length of each, where the output is so wide."""

    def bars(schedule: str, width: int) -> tuple[str, list[int]]:
        monkeypatch.setenv("COLUMNS", str(width))
        main(["schedule", schedule])
        heading, *rows = capsys.readouterr().out.splitlines()
        assert max(map(len, rows)) == len(heading) == width
        return heading[17:], [row.count("━") for row in rows]

    return bars


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_highest_rate_has_a_bar_of_full_width(bars, width) -> None:
    heading, lengths = bars("linear(0.3, 0.1)", width)
    assert heading.split() == ["0%", "30%"]
    assert heading.startswith("0%")
    assert heading.endswith("30%")
    assert lengths[0] == len(heading)
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == int(len(heading) * 0.1002 / 0.3)


def test_rising_rates_are_scaled_by_the_last(bars) -> None:
    heading, lengths = bars("linear(0.05, 0.15)", 80)
    assert heading.endswith(" 15%")
    assert lengths[-1] == max(lengths) >= len(heading) - 1


def test_a_rate_of_zero_has_no_bar(bars) -> None:
    heading, lengths = bars("0.0", 80)
    assert heading.split() == ["0%", "100%"]
    assert lengths == [0] * 11


def test_bars_are_ascii_where_the_output_is(monkeypatch, capsysbinary) -> None:
    monkeypatch.setattr("rich.console.Console.encoding", "ascii")
    main(["schedule", "linear(0.3, 0.1)"])
    assert b"  30.00%  ----" in capsysbinary.readouterr().out
