"""Whatever the bytes of a file, only documented errors come out, no code runs and memory is bounded by its size."""

from __future__ import annotations

import json
import os
import pickle
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import transformers.dynamic_module_utils
from datasets import Dataset
from hypothesis import strategies as st
from support.hostile import ODD_BYTES, explore, no_code_runs, spliced, splices
from support.unprivileged import unprivileged

from benchmarks.ner.data.file_format import DEFAULT
from benchmarks.ner.data.iob2 import read_sentence
from benchmarks.ner.data.load import load_ner
from benchmarks.ner.data.readers import ner_dataset, read_file
from benchmarks.ner.experiments.result_reader import RejectedResult, load
from benchmarks.ner.training.models import initial_model, load_tokenizer

MULTIPLE = 80  # times a file's size, the most memory that reading it takes: one-word sentences are the worst
PIECES = (
    *(b"\n", b"\t", b" ", b"\r\n", b"O", b"a", b"I-X", b"B-X", b"B-"),
    *(b"-DOCSTART-", b"a O\n", b"a\tO\n", b"z" * 9999),
)
JSON_PIECES = (
    *(b'{"words":["a"],"tags":["O"]}\n', b'{"words":', b'"tokens":', b'"tags":', b'["O"]', b'["I-X"]', b"[null]"),
    *(b'"\\ud800"', b'["\\ud800"]', b'["B-\\udfff"]', b'"\\u0000"', b"1e999", b"NaN", b"9" * 5000),
    *(b"\n", b"{", b"}", b",", b":", b"[]", b"null", b"[" * 9999, b"]" * 9999, b'{"a":' * 9999),
)


def text_of(pieces: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(pieces + ODD_BYTES) | st.binary(max_size=3), max_size=12).map(b"".join)


MADE = {  # suffix: content out of nothing, what goes into sound content
    "txt": (text_of(PIECES), st.sampled_from(PIECES + ODD_BYTES)),
    "json": (text_of(JSON_PIECES), st.sampled_from(JSON_PIECES + ODD_BYTES)),
    "parquet": (st.binary(max_size=40).map(lambda inside: b"PAR1" + inside + b"PAR1"), st.binary(max_size=2)),
}


def read_or_refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    try:
        with no_code_runs():
            rows = read_file(path)
    except ValueError as error:
        check_refusal(error, path)
        return "refused"
    assert len(rows)
    for words, tags in zip(list(rows["words"]), list(rows["tags"]), strict=True):
        assert read_sentence(words, tags, DEFAULT, "") == (words, tags)
    return "read"


def check_refusal(error: ValueError, path: Path) -> None:
    assert type(error) is ValueError
    assert re.match(re.escape(str(path)) + r":\d+: [^;]+; .+; .+", str(error))
    assert str(error).isprintable()
    assert len(str(error)) < len(str(path)) + 600


@pytest.fixture(scope="module")
def valid_files(tmp_path_factory) -> dict[str, list[bytes]]:
    """Valid files of each suffix."""
    folder = tmp_path_factory.mktemp("valid")
    words, tags = [["Ann", "ran"], ["to", "Rome", "é"]], [["B-PER", "O"], ["O", "B-LOC", "I-LOC"]]
    ner_dataset(words * 9, tags * 9).to_parquet(folder / "names.parquet")
    pyarrow.parquet.write_table(labeled([["a", "b"]], [[1, 0]], ["O", "B-LOC"]), folder / "numbers.parquet")
    sentences = [list(zip(*sentence, strict=True)) for sentence in zip(words, tags, strict=True)]
    return {
        "txt": ["\n\n".join("\n".join(map("\t".join, sentence)) for sentence in sentences).encode()],
        "json": ["\n".join(json.dumps({"words": w, "tags": t}) for w, t in zip(words, tags, strict=True)).encode()],
        "parquet": [path.read_bytes() for path in sorted(folder.iterdir())],
    }


def labeled(words: Any, tags: Any, names: Any) -> pyarrow.Table:
    """A table with numbers as tags, as `datasets` writes it."""
    features = {"tags": {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}}
    table = pyarrow.table({"words": words, "tags": pyarrow.array(tags, pyarrow.list_(pyarrow.int64()))})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


@pytest.mark.parametrize("suffix", MADE)
def test_a_corpus_is_read_or_refused_by_its_line(tmp_path, stress, valid_files, suffix, report_figure) -> None:
    path, contents, (made, pieces) = tmp_path / f"corpus.{suffix}", valid_files[suffix], MADE[suffix]
    examples = 5_000 if stress else 100
    for content in contents:
        path.write_bytes(content)
        assert len(read_file(path))
    mutated = st.builds(spliced, st.sampled_from(contents), splices(pieces))
    outcomes = explore(examples, made, lambda content: read_or_refused(path, content))
    outcomes += explore(examples, mutated, lambda content: read_or_refused(path, content))
    assert outcomes["refused"] > examples / 10
    assert outcomes["read"] > 0
    report_figure(f"hostile files, {suffix}", f"{outcomes['read']:,} read, {outcomes['refused']:,} refused by line")


@pytest.mark.parametrize("name", ["train.txt", "train.json", "train.parquet"])
def test_a_corpus_that_is_no_readable_file_is_refused(name) -> None:
    with unprivileged() as folder:
        (folder / name).mkdir()
        with pytest.raises(ValueError, match=r":1: the file must exist; there is no such file; "):
            read_file(folder / name)
        (folder / name).rmdir()
        os.mkfifo(folder / name)  # to open it would wait for a writer for ever
        with pytest.raises(ValueError, match=r":1: the file must exist; there is no such file; "):
            read_file(folder / name)
        (folder / name).unlink()
        (folder / name).write_bytes(b"a O\n")
        (folder / name).chmod(0)
        with pytest.raises(ValueError, match=r":1: the file must be .*Permission denied.*; ") as error:
            read_file(folder / name)
        assert type(error.value) is ValueError


@pytest.mark.parametrize("tags", [[[0, 9]], [[0, -1]], [[0, None]], [None]])
def test_numbers_that_are_no_label_are_refused(tmp_path, tags) -> None:
    pyarrow.parquet.write_table(labeled([["a", "b"]], tags, ["O"]), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet:1: tags must be ids of the 1 labels; got a list|None; give"):
        read_file(tmp_path / "a.parquet")


@pytest.mark.parametrize("names", ["OB", [0, 1], {"0": "O"}, None, []])
def test_numbers_without_names_are_refused(tmp_path, names) -> None:
    pyarrow.parquet.write_table(labeled([["a", "b"]], [[0, 1]], names), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet:1: tags must be [^;]*; got .+; .+"):
        read_file(tmp_path / "a.parquet")


def test_a_type_that_decodes_by_opening_files_is_not_decoded(tmp_path) -> None:
    """`datasets` would take the text for the path or address of an image, and open it."""
    info = {"info": {"features": {"words": {"feature": {"_type": "Image"}, "_type": "Sequence"}}}}
    image = pyarrow.list_(pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]))
    words = pyarrow.array([[{"bytes": None, "path": str(tmp_path / "secret.png")}]], image)
    table = pyarrow.table({"words": words, "tags": [["O"]]}).replace_schema_metadata({"huggingface": json.dumps(info)})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet:1: 'words' must be lists of strings; got 'list<"):
        read_file(tmp_path / "a.parquet")


UNITS = {
    **{"a.txt": b"\n", "b.txt": b"a O\n\n", "c.txt": "é\tB-PER\n".encode(), "d.txt": b" ", "e.txt": b"\t"},
    **{"f.txt": b"ab ", "g.txt": b"x", "h.txt": "\U0001f600".encode(), "i.txt": b"a O\n", "j.txt": b"-DOCSTART-\n"},
    **{"a.json": b"[],", "b.json": b"{},", "c.json": b'"ab",', "d.json": b'{"words":["a"],"tags":["O"]}\n'},
    **{"e.json": b"1", "f.json": b"[", "g.json": b"1.5,", "h.json": b'{"a":', "i.json": b'"\\ud83d\\ude00",'},
}


@contextmanager
def memory() -> Iterator[Callable[[], int]]:
    """Gives the peak of what Python and arrow have taken since it was opened."""
    pool, default = pyarrow.proxy_memory_pool(pyarrow.default_memory_pool()), pyarrow.default_memory_pool()
    pyarrow.set_memory_pool(pool)
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pyarrow.set_memory_pool(default)


def peak(function: Callable[[Path], Any], path: Path) -> int:
    with memory() as taken:
        with suppress(ValueError):
            function(path)
        return taken()


def test_memory_is_a_small_multiple_of_a_files_size(tmp_path, stress, report_figure) -> None:
    size = 2_000_000 if stress else 150_000
    most = (0.0, "")
    for name, unit in UNITS.items():
        inside = unit * (size // len(unit))
        (tmp_path / name).write_bytes(b"[" + inside + b"0]" if unit.endswith(b",") else inside)
        for function in (read_file, load) if name.endswith("json") else (read_file,):
            most = max(most, (peak(function, tmp_path / name) / size, f"{function.__name__} of {unit!r}"))
    assert most[0] < MULTIPLE, most[1]
    assert most[0] > 1, "a file's content is measured"
    report_figure("hostile files, memory", f"at most {most[0]:.0f} times a file of {size:,} bytes, {most[1]} repeated")


class Bomb:
    def __reduce__(self) -> tuple:
        return os.mkdir, (os.environ["BOMB"],)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet", "a.txt", "a.pkl", "a.bin", "a.pt"])
def test_no_pickle_is_opened(tmp_path, monkeypatch, name) -> None:
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"a\.\w+:1: "):
        read_file(tmp_path / name)
    with pytest.raises(RejectedResult):
        load(tmp_path / name)
    assert not (tmp_path / "exploded").exists()
    pickle.loads((tmp_path / name).read_bytes())
    assert (tmp_path / "exploded").exists()


def test_code_that_comes_with_a_model_or_a_dataset_is_not_run(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(transformers.dynamic_module_utils, "TIME_OUT_REMOTE_CODE", 0)  # nobody is there to be asked
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    folder.mkdir()
    exploding = f"import os\nos.mkdir({str(tmp_path / 'exploded')!r})\n"
    (folder / "mine.py").write_text(exploding)
    classes = ["AutoConfig", "AutoModelForMaskedLM", "AutoModelForTokenClassification"]
    tokenizer = {"AutoTokenizer": [None, "mine.Mine"]}
    config = {"model_type": "mine", "auto_map": {**dict.fromkeys(classes, "mine.Mine"), **tokenizer}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": tokenizer, "tokenizer_class": "Mine"}))
    for load_it in (
        lambda: load_tokenizer(str(folder), Dataset.from_dict({})),
        lambda: initial_model(str(folder), None, 0),
    ):
        with pytest.raises((ValueError, OSError), match=r"trust_remote_code|custom code"):
            load_it()
    (folder / "train.csv").write_text("words,tags\na,O\n")
    with pytest.raises((ValueError, RuntimeError)):
        load_ner(str(folder))
    assert not (tmp_path / "exploded").exists()
