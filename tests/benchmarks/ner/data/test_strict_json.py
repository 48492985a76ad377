"""JSON of a known shape: what is not is named by its key path."""

import json

import pytest

from benchmarks.ner.data.display import shorten
from benchmarks.ner.data.strict_json import MAX_DEPTH, loads, schema_errors


@pytest.mark.parametrize(
    "text", ["null", '{"a": [1, -2.5, "\\u00e9", true]}', "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH, "1e308"]
)
def test_plain_json_is_read(text):
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NaN", "NaN is not a JSON number"),
        ("[-Infinity]", "-Infinity is not a JSON number"),
        ("[1e999]", "1e999 is too large"),
        ("9" * 5000, "integer string conversion"),
        ("[" * (MAX_DEPTH + 1) + "1" + "]" * (MAX_DEPTH + 1), "nested at most 20 deep"),
        ("[" * 100_000, "nested at most 20 deep"),
        ("\ufeff{}", "BOM"),
        ("{", "Expecting property name"),
    ],
)
def test_other_json_is_a_value_error(text, message):
    with pytest.raises(ValueError, match=message):
        loads(text)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": {"b": 1}, "c": None, "d": "more"}, []),
        ({"a": {"b": 0.5}, "c": "text"}, []),
        ({"a": {"b": True}, "c": None}, ["a.b must be a number, but is True"]),
        ({"a": {"b": 10**400}, "c": None}, [f"a.b must be a number, but is {'1' + 59 * '0'}"]),
        ({"a": {"b": "1"}, "c": None}, ["a.b must be a number, but is '1'"]),
        ({"a": {}, "c": [1, 2]}, ["a.b is missing", "c must be a string, but is a list of 2"]),
        ({"a": 3}, ["a must be an object, but is 3", "c is missing"]),
        (None, [" must be an object, but is None"]),
    ],
)
def test_misfits_are_named_by_their_key_path(value, found):
    assert list(schema_errors(value, {"a": {"b": "a number"}, "c?": "a string"})) == found


def test_what_is_shown_is_short_and_plain():
    assert shorten("\x1b[31m\ud800\n") == r"'\x1b[31m\ud800\n'"
    assert max(len(shorten(value)) for value in ("x" * 10**6, 10**4000, [[]] * 10**6, "\U0001f600" * 99)) <= 60
