"""Formats that no file can have are refused."""

from __future__ import annotations

import pytest

from benchmarks.ner.data.file_format import DEFAULT, FileFormat, check_format


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tag_scheme": "iob"}, "`tag_scheme` must be among iob2, iob1, bioes, but got 'iob'"),
        ({"encoding": "latin"}, None),
        ({"encoding": "utf8mb4"}, "`encoding` must be one of Python's that extends ASCII, .*, but got 'utf8mb4'"),
        ({"encoding": "utf-16"}, "but got 'utf-16'. Correct it, or convert the files to UTF-8"),
        ({"word_pattern": "de:"}, r"`word_pattern` must be a regular expression with one group, .*, but got 'de:'"),
        ({"word_pattern": "de:(.+"}, r"but got 'de:\(\.\+'. Put parentheses around what to keep"),
        ({"word_pattern": "(.)(.)"}, "with one group"),
    ],
)
def test_what_no_file_can_have_is_refused(options, message) -> None:
    if message is None:
        check_format(FileFormat(**options))
        return
    with pytest.raises(ValueError, match=message):
        check_format(FileFormat(**options))


def test_the_default_is_valid() -> None:
    check_format(DEFAULT)
