"""Formats that no file can have are refused."""

from __future__ import annotations

import pytest

from benchmarks.ner.data.file_format import DEFAULT, FileFormat, check_format


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"tag_scheme": "iob"},
            "`tag_scheme` must be among iob2, iob1, bioes, but got 'iob'. Choose one of them: BIO is iob2",
        ),
        ({"encoding": "utf8mb4"}, "`encoding` must be one of Python's that extends ASCII, .*, but got 'utf8mb4'"),
        ({"encoding": "utf-16"}, "but got 'utf-16'. Correct it, or convert the files to UTF-8"),
        ({"encoding": "idna"}, "`encoding` must be .*, but got 'idna'"),
        ({"encoding": "utf-7"}, "`encoding` must be .*, but got 'utf-7'"),
        ({"encoding": "raw_unicode_escape"}, "`encoding` must be .*, but got 'raw_unicode_escape'"),
        ({"encoding": "undefined"}, "`encoding` must be .*, but got 'undefined'"),
        ({"encoding": "base64"}, "`encoding` must be .*, but got 'base64'"),
        ({"encoding": "utf-8\0"}, r"`encoding` must be .*, but got 'utf-8\\x00'"),
        ({"word_pattern": "de:"}, r"`word_pattern` must be a regular expression with one group, .*, but got 'de:'"),
        ({"word_pattern": "de:(.+"}, r"but got 'de:\(\.\+'. Put parentheses around what to keep"),
        ({"word_pattern": "(.)(.)"}, "with one group"),
    ],
)
def test_what_no_file_can_have_is_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_format(FileFormat(**options))


def test_the_default_is_valid() -> None:
    check_format(DEFAULT)


@pytest.mark.parametrize("encoding", ["latin", "UTF-8-SIG", "cp1252", "gb18030", "big5", "shift_jis", "euc_kr"])
def test_encodings_of_published_corpora_are_valid(encoding) -> None:
    check_format(FileFormat(encoding=encoding))
