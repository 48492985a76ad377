"""The settings that tell results of one name apart."""

from __future__ import annotations

from benchmarks.ner.report.labels import disambiguate

ONE, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def test_names_that_are_not_shared_stay() -> None:
    assert disambiguate(["a", "b"], [{"x": 1}, {"x": 2}]) == ["a", "b"]


def test_settings_that_differ_are_appended() -> None:
    assert disambiguate(["a", "a"], [{"x": {"y": 1}, "z": 0}, {"x": {"y": 2}, "z": 0}]) == ["a, x.y=1", "a, x.y=2"]


def test_a_fingerprint_has_eight_digits_and_stands_for_what_is_beside_it() -> None:
    settings = [
        {"dataset": {"fingerprint": each, "sentences": {"train": number}}, "base": each, "seed": number}
        for number, each in enumerate((ONE, OTHER))
    ]
    assert disambiguate(["a", "a"], settings) == [
        "a, dataset 01234567, base 01234567, seed=0",
        "a, dataset fedcba98, base fedcba98, seed=1",
    ]
