"""Results are written whole or not at all, and none takes the place of another."""

import errno
import json
import math
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import made_results

from benchmarks.ner.experiments.result import configuration, result_path
from benchmarks.ner.experiments.result_reader import read_result
from benchmarks.ner.experiments.storage import rename_rejected, to_json_text, without_non_finite, write_result

SCORES = {"dev_f1": 0.5, "test_f1": 0.5, "test_accuracy": 0.9}


def make_result(seed=1, **changes):
    return made_results.make_result("dynamic", seed, **changes)


def stored(folder, result):
    path = result_path(folder, result["arm"]["name"], result["seed"], result["run_id"])
    write_result(path, result)
    return path


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_with_its_place(tmp_path, number):
    result = make_result(quality={"per_type": [{"f1": 1.0}, {"f1": number}]})
    with pytest.raises(ValueError, match=r"result\['quality'\]\['per_type'\]\[1\]\['f1'\] must be a finite number"):
        write_result(tmp_path / "a.json", result)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, OSError), (errno.EACCES, PermissionError)])
def test_a_failed_write_leaves_the_old_result_and_no_temporary_file(tmp_path, monkeypatch, call, code, kind):
    old = make_result()
    path = stored(tmp_path, old)

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(kind, match="The result was not written: free space or pass a writable --output_dir"):
        write_result(path, make_result(quality={"dev_f1": 0.9}))
    assert list(tmp_path.iterdir()) == [path]
    assert json.loads(path.read_text()) == old


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"pass a writable --output_dir.*absent"):
        write_result(tmp_path / "absent" / "a.json", make_result())


def test_two_writers_leave_one_whole_result(tmp_path):
    results = [make_result(quality={**SCORES, "dev_f1": number / 100}) for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda result: stored(tmp_path, result), results))
    (path,) = paths
    assert read_result(path, configuration(results[0])) in results
    assert list(tmp_path.iterdir()) == [path]


def test_set_aside_loses_nothing(tmp_path):
    places = []
    for number in range(3):
        (tmp_path / "a.json").write_text(str(number))
        places.append(rename_rejected(tmp_path / "a.json"))
    assert all(re.fullmatch(r"a\.json\.rejected\.[0-9a-f]{12}", place.name) for place in places)
    assert [place.read_text() for place in places] == ["0", "1", "2"]
    assert not (tmp_path / "a.json").exists()
    assert rename_rejected(tmp_path / "a.json") is None


def test_what_is_not_finite_turns_into_none():
    measured = {"a": [1.0, math.nan, (math.inf, "nan")], "b": {"c": -math.inf, "d": 0}}
    assert without_non_finite(measured) == {"a": [1.0, None, [None, "nan"]], "b": {"c": None, "d": 0}}


@settings(derandomize=True, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text('[]01,\n \\"', max_size=9),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    )
)
def test_what_is_written_in_few_lines_is_the_same_json(value):
    assert json.loads(to_json_text({"value": value})) == {"value": value}
