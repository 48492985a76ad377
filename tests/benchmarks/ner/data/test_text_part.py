"""Parts of the documents of a file, in the notation of `datasets`."""

from __future__ import annotations

import pytest

from benchmarks.ner.data.text_part import Part, parse_part


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.txt", Part("a.txt")),
        ("a.txt[:75%]", Part("a.txt", 0, 75)),
        ("a.txt[75%:]", Part("a.txt", 75, 100)),
        ("a[1].txt[25%:75%]", Part("a[1].txt", 25, 75)),
        ("a[1].txt", Part("a[1].txt")),
        ("a.txt[:]", Part("a.txt")),
    ],
)
def test_a_part_is_read_in_the_notation_of_datasets(text, expected) -> None:
    assert parse_part(text) == expected


@pytest.mark.parametrize("part", ["[75%:75%]", "[80%:20%]", "[:101%]", "[100%:]"])
def test_an_empty_part_is_named(part) -> None:
    with pytest.raises(ValueError, match=r"`mlm_train_file` must name a part from 0% to 100%, .* but got 'a.txt\["):
        parse_part(f"a.txt{part}")
