"""Reading NER files: what is written comes back, and a malformed line is named with its remedy."""

import json
import re
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ner_sentences import PLAIN_WORDS, Sentence, sentences

from benchmarks.ner.data.file_format import FileFormat
from benchmarks.ner.data.iob2 import document_lengths
from benchmarks.ner.data.readers import ner_dataset, read_conll, read_file, read_json_lines, read_parquet

BLANK = ["\n", "\t\n", " \n", "\r\n", "-DOCSTART- -X- O O\n"]


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), expected=sentences(PLAIN_WORDS.filter(lambda word: word[0] != "#")))
def test_conll_comes_back_whatever_the_separators(
    tmp_path: Path, data: st.DataObject, expected: list[Sentence]
) -> None:
    widths = [["\t", " ", "   "], ["\tNN\t", " NN ", "  NN "], [" NN B-NP ", "\tNN\tB-NP\t"]]
    separators = st.sampled_from(data.draw(st.sampled_from(widths)))
    text = "\ufeff" if data.draw(st.booleans()) else ""
    for words, tags in expected:
        for word, tag in zip(words, tags, strict=True):
            text += word + data.draw(separators) + tag + data.draw(st.sampled_from(["\n", "\r\n"]))
        text += data.draw(st.sampled_from(BLANK))
    path = tmp_path / "train.txt"
    path.write_bytes(text.encode())
    assert pairs(read_conll(path)) == expected


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    expected=sentences(),
    names=st.sampled_from([("words", "tags"), ("tokens", "ner_tags")]),
    ascii_=st.booleans(),
)
def test_json_lines_and_parquet_come_back(
    tmp_path: Path, expected: list[Sentence], names: tuple[str, str], ascii_: bool
) -> None:
    rows = [dict(zip(names, sentence, strict=True)) for sentence in expected]
    lines = [json.dumps(row, ensure_ascii=ascii_) for row in rows]
    (tmp_path / "train.jsonl").write_text("\n".join(lines), encoding="utf-8", newline="")
    Dataset.from_list(rows).to_parquet(str(tmp_path / "train.parquet"))
    assert pairs(read_json_lines(tmp_path / "train.jsonl")) == expected
    assert pairs(read_parquet(tmp_path / "train.parquet")) == expected


@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet"])
def test_columns_of_other_names_are_chosen(tmp_path: Path, name: str) -> None:
    rows = [{"text": ["de:Ann"], "spans": ["S-PER"], "tags": ["O"]}]
    (tmp_path / "train.jsonl").write_text(json.dumps(rows[0]))
    Dataset.from_list(rows).to_parquet(str(tmp_path / "train.parquet"))
    form = FileFormat("text", "spans", "de:(.+)", "bioes")
    assert pairs(read_file(tmp_path / name, form)) == [(["Ann"], ["B-PER"])]
    with pytest.raises(
        ValueError, match=r":1: there must be a column 'words'; got 'text', 'spans', 'tags'; pass the na"
    ):
        read_file(tmp_path / name, FileFormat(word_column="words"))
    with pytest.raises(ValueError, match=r"one column of words and tokens; .*; pass the name of one as --word_column"):
        read_file(tmp_path / name)


def test_a_word_may_hold_spaces_beside_tabs(tmp_path: Path) -> None:
    path = write(tmp_path, "New York\tNNP\tB-LOC\n\n\n  \nx NN O\n")
    assert pairs(read_file(path)) == [(["New York"], ["B-LOC"]), (["x"], ["O"])]


def test_docstart_ends_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, "a O\n-DOCSTART- -X- -X- O\nb O\n-DOCSTART-\n")
    assert pairs(read_file(path)) == [(["a"], ["O"]), (["b"], ["O"])]


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(0, 3), min_size=1, max_size=5).filter(any), marked=st.booleans())
def test_sentences_know_the_document_they_are_from(tmp_path: Path, lengths: list[int], marked: bool) -> None:
    documents = ["a O\n\n" * length for length in lengths]
    text = "-DOCSTART- -X- O O\n\n".join(documents if marked else ["".join(documents)])
    split = read_file(write(tmp_path, text))
    assert len(split) == sum(lengths)
    known = marked and len(lengths) > 1
    assert document_lengths(split) == ([length for length in lengths if length] if known else None)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("a O\nword\n", 2, "at least 2 columns, for a word and a tag; got 'word'; add the tag"),
        ("\tO\n", 1, "a word must not be empty"),
        ("a\t\n", 1, "a tag must be O, B-TYPE or I-TYPE; got ''"),
        ("a O\nb PER\n", 2, "got 'PER'"),
        ("a B-\n", 1, "got 'B-'"),
        ("a I-PER\n", 1, "in IOB2 I-PER must follow B-PER or I-PER; got it after O; pass --tag_scheme iob1"),
        ("a B-PER\nb I-LOC\n", 2, "must follow B-LOC"),
        ("a B-PER\n\nb I-PER\n", 3, "after O"),
        (b"a O\n\xff O\n", 2, "must be UTF-8"),
        ("\n \n-DOCSTART- O\n", 1, "must contain a sentence"),
        ("", 1, "must contain a sentence"),
    ],
)
def test_malformed_conll(tmp_path: Path, content: str | bytes, line: int, message: str) -> None:
    assert_refused(write(tmp_path, content, "train.txt"), line, message)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("{", 1, "a line must be JSON"),
        ("\n[]", 2, "must be a JSON object"),
        ('{"words": ["a"]}', 1, "exactly one column of tags and ner_tags"),
        ('{"words": [], "tokens": [], "tags": []}', 1, "exactly one column of words and tokens"),
        ('{"words": "ab", "tags": ["O"]}', 1, "words must be a list of strings"),
        ('{"words": ["a"], "tags": [0]}', 1, "tags must be a list of strings"),
        ('{"words": ["a", "b"], "tags": ["O"]}', 1, "got 2 words and 1 tags"),
        ('{"words": [" "], "tags": ["O"]}', 1, "a word must not be empty"),
        ('{"words": ["a"], "tags": ["I-X"]}', 1, "pass --tag_scheme iob1"),
        ('{"words": ["a", "b"], "tags": ["B-X", "I-Y"]}', 1, "I-Y must follow B-Y or I-Y; got it after B-X"),
        (b'{"words": ["\xff"]}', 1, "must be UTF-8"),
        ("\n", 1, "must contain a sentence"),
    ],
)
def test_malformed_json_lines(tmp_path: Path, content: str | bytes, line: int, message: str) -> None:
    assert_refused(write(tmp_path, content, "train.json"), line, message)


def test_malformed_parquet(tmp_path: Path) -> None:
    assert_refused(write(tmp_path, "a O\n", "no.parquet"), 1, "must be parquet")
    path = tmp_path / "train.parquet"
    ner_dataset([["a"], ["b"]], [["O"], ["I-PER"]]).to_parquet(str(path))
    assert_refused(path, 2, "pass --tag_scheme iob1")
    Dataset.from_dict({"words": [["a"]], "tags": [[0]]}).to_parquet(str(path))
    assert_refused(path, 1, "tags must be a list of strings")
    Dataset.from_dict({"text": ["a"]}).to_parquet(str(path))
    assert_refused(path, 1, "exactly one column of words and tokens")
    ner_dataset([], []).to_parquet(str(path))
    assert_refused(path, 1, "must contain a sentence")


def test_parquet_class_labels_turn_into_names(tmp_path: Path) -> None:
    labels = Sequence(ClassLabel(names=["O", "B-PER"]))
    features = Features({"tokens": Sequence(Value("string")), "ner_tags": labels})
    dataset = Dataset.from_dict({"tokens": [["Ann", "ran"]], "ner_tags": [[1, 0]]}, features=features)
    dataset.to_parquet(str(tmp_path / "train.parquet"))
    assert pairs(read_file(tmp_path / "train.parquet")) == [(["Ann", "ran"], ["B-PER", "O"])]


@pytest.mark.parametrize("name", ["train.txt", "train.json", "train.parquet"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    assert_refused(tmp_path / name, 1, "the file must exist")


def pairs(dataset: Dataset) -> list[Sentence]:
    return [(row["words"], row["tags"]) for row in dataset]


def write(folder: Path, content: str | bytes, name: str = "train.txt") -> Path:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def assert_refused(path: Path, line: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}:{line}: ')}.*{re.escape(message)}") as error:
        read_file(path)
    assert str(error.value).count(";") >= 2
