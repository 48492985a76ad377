"""The speed table says what it should, and its picture is drawn."""

from __future__ import annotations

from benchmarks.speed import table

FIGURES = [
    {"measure": "a / b", "size": "32 x 128", "value": 31.04, "unit": "x", "goal": 30, "more": True},
    {"measure": "c / d", "size": "-", "value": 2.5, "unit": "x", "goal": 2, "more": False},
    {"measure": "e", "size": "-", "value": 1234.5, "unit": "/s", "goal": None, "more": True},
]


def test_rows() -> None:
    assert table.rows(FIGURES) == [
        ("a / b", "32 x 128", "31.0 x", "≥ 30 x", "pass"),
        ("c / d", "-", "2.50 x", "≤ 2 x", "short of goal"),
        ("e", "-", "1,234 /s", "", "reported"),
    ]


def test_what_is_kept() -> None:
    result = {
        "machine_info": {"cpu": {"count": 2, "brand_raw": "Some CPU"}, "python_version": "3.11.7"},
        "datetime": "2026-01-02T03:04:05",
        "benchmarks": [
            {"extra_info": {"versions": {"torch": "2"}, "figures": FIGURES[:1]}},
            {"extra_info": {"length": 32, "tokens_per_second": {"ours": 1.0}}},
            {"extra_info": {"figures": FIGURES[1:]}},
        ],
    }
    kept = table.kept(result)
    assert kept["figures"] == FIGURES
    assert kept["tokens_per_second"] == {"32": {"ours": 1.0}}
    assert table.markdown(kept).startswith("Measured on 2026-01-02 on 2 cores, Some CPU, one thread, Python 3.11.7")


def test_highlights() -> None:
    values = {
        (table.DISK, "32 x 128"): 4.0,
        (table.DISK, "128 x 512"): 14.26,
        (table.STEPS, "32 sentences, conll2003"): 4.9,
        (table.MASKS, "128 x 512"): 31.66,
        (table.WAITING, "32 x 128"): 0.081,
        (table.AUDIT, "32 x 128"): 0.012,
    }
    figures = [{"measure": measure, "size": size, "value": value} for (measure, size), value in values.items()]
    lines = table.highlights({"machine": "Some CPU", "figures": figures}).splitlines()
    assert [line.split(" | ")[-1] for line in lines[2:5]] == ["14 |", "4.9 |", "32 |"]
    assert "the sentences of conll2003" in lines[3]
    assert lines[-1].startswith("Measured on Some CPU. ")
    assert lines[-1].endswith("waits for them during 0.081 % of the time, and the audit takes 0.012 %.")


def test_the_picture_is_drawn(tmp_path) -> None:
    speeds = {str(length): dict.fromkeys(table.LABELS, 1e6 * length) for length in (32, 64)}
    table.draw(speeds, tmp_path / "speeds.png")
    assert (tmp_path / "speeds.png").read_bytes().startswith(b"\x89PNG")
