"""Masks stay what they are: between releases, versions of Python and of libraries, and on every platform."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from golden.cases import evaluation, made, options
from golden.cases import uniforms as raw

from hf_dynmask.core import draws as uniforms

FILE = Path(__file__).parent / "golden.json"
BREAKING = """
{count} of {total} golden masks are not what they were: {names}.

A seed gives other masks than in the release before, which breaks every user's reproducibility. If that is not meant,
mend the code. If it is, it is a BREAKING CHANGE: it needs a new major version and a line in CHANGELOG.md; then write
the file anew with `python -m tests.golden.write`. (Cases that were added or renamed are written in the same way.)
"""


def _changed(cases: dict[str, str]) -> list[str]:
    golden = json.loads(FILE.read_text(encoding="ascii"))
    return [name for name, masks in cases.items() if golden.get(name) != masks]


def test_golden() -> None:
    cases = made()
    names = [*_changed(cases), *(json.loads(FILE.read_text(encoding="ascii")).keys() - cases.keys())]
    assert not names, BREAKING.format(count=len(names), total=len(cases), names="; ".join(names))


def _numbered_anew(keys, lengths, positions, purpose) -> object:
    """Two purposes with each other's numbers."""
    swapped = {uniforms.Purpose.REPLACEMENT: uniforms.Purpose.RANDOM_ID}
    swapped |= {other: purpose for purpose, other in swapped.items()}
    return _DRAWS(keys, lengths, positions, swapped.get(purpose, purpose))


_DRAWS = uniforms.draw_in_rows


@pytest.mark.parametrize("constant", ["GOLDEN_64", "GOLDEN_32"])
def test_another_constant_is_noticed(monkeypatch, constant) -> None:
    for kept in ("mixed", "_multipliers"):
        monkeypatch.setattr(uniforms, kept, getattr(uniforms, kept).__wrapped__)
    monkeypatch.setattr(uniforms, constant, getattr(uniforms, constant) + type(getattr(uniforms, constant))(2))
    assert {"draws, SELECTION", "evaluation at 0.15"} <= set(_changed(made([raw, evaluation])))


def test_swapped_purposes_are_noticed(monkeypatch) -> None:
    """Where masks lie is the same then; what masked tokens become is not."""
    monkeypatch.setattr("hf_dynmask.masking.replacement.draw_in_rows", _numbered_anew)
    assert {"3 patterns, epoch 1", "rate 1.0", "random ids only"} <= set(_changed(made([options])))
