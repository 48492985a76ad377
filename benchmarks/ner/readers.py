"""Read NER sentences from files into a `datasets.Dataset` of `words` and IOB2 `tags`.

A malformed line raises `ValueError` as `FILE:LINE: rule; what came; remedy`; a parquet row counts as a line.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from datasets import ClassLabel, Dataset, Features, Value
from datasets import Sequence as SequenceFeature

WORD_COLUMNS = ("words", "tokens")
TAG_COLUMNS = ("tags", "ner_tags")
TAG = re.compile(r"O|[BI]-[^\s-]\S*")


def ner_dataset(words: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]) -> Dataset:
    """Sentences as a dataset with the columns `words: list[str]` and `tags: list[str]`."""
    strings = SequenceFeature(Value("string"))
    return Dataset.from_dict({"words": words, "tags": tags}, features=Features(words=strings, tags=strings))


def read_file(path: str | Path) -> Dataset:
    """Read by the file's suffix: .json or .jsonl as JSON lines, .parquet, anything else as CoNLL columns."""
    readers = {".json": read_json_lines, ".jsonl": read_json_lines, ".parquet": read_parquet}
    return readers.get(Path(path).suffix.lower(), read_conll)(path)


def read_conll(path: str | Path) -> Dataset:
    """Read one word a line: the word in the first column, its tag in the last, a blank line after a sentence.

    Columns are separated by tabs where the line holds one, else by spaces. `-DOCSTART-` lines are skipped.
    """
    words: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    for number, line in _lines(path):
        columns = line.split("\t") if "\t" in line else line.split(" ")
        if not line or line.isspace() or columns[0] == "-DOCSTART-":
            words.append([])
            tags.append([])
            continue
        word, tag = _word_and_tag(line, columns, f"{path}:{number}")
        _check_tag(tag, tags[-1][-1] if tags[-1] else "O", f"{path}:{number}")
        words[-1].append(word)
        tags[-1].append(tag)
    return _non_empty(ner_dataset([s for s in words if s], [s for s in tags if s]), path)


def read_json_lines(path: str | Path) -> Dataset:
    """Read one JSON object a line, with the keys `words` or `tokens`, and `tags` or `ner_tags`."""
    words, tags = [], []
    for number, line in _lines(path):
        if line.strip():
            sentence = _json_sentence(line, f"{path}:{number}")
            words.append(sentence[0])
            tags.append(sentence[1])
    return _non_empty(ner_dataset(words, tags), path)


def read_parquet(path: str | Path) -> Dataset:
    """Read the columns `words` or `tokens`, and `tags` or `ner_tags`, one sentence a row."""
    _check_exists(path)
    try:
        table = pyarrow.parquet.read_table(path, partitioning=None)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path}:1: the file must be parquet; {error}; rename or convert it") from error
    return _non_empty(from_columns(Dataset(table), str(path)), path)


def from_columns(dataset: Dataset, where: str) -> Dataset:
    """Bring any dataset's word and tag columns to `words` and `tags`; `ClassLabel` numbers turn into names.

    Raises `ValueError`, naming `where` and the row, for missing columns, unnamed numbers and malformed rows.
    """
    word_column = _one_of(WORD_COLUMNS, dataset.column_names, f"{where}:1")
    tag_column = _one_of(TAG_COLUMNS, dataset.column_names, f"{where}:1")
    words, tags = list(dataset[word_column]), list(dataset[tag_column])
    feature = dataset.features[tag_column]
    label = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    if isinstance(label, ClassLabel):
        tags = [[label.names[number] for number in row] for row in tags]
    for row, pair in enumerate(zip(words, tags, strict=True), start=1):
        _check_sentence(*pair, where=f"{where}:{row}")
    return ner_dataset(words, tags)


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Numbered lines. Only a newline ends one: `str.splitlines` would cut words at U+0085 or U+2028."""
    _check_exists(path)
    content = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            yield number, line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}:{number}: text must be UTF-8; {error}; convert the file") from error


def _word_and_tag(line: str, columns: list[str], where: str) -> tuple[str, str]:
    if "\t" not in line:
        columns = [column for column in columns if column]
    if len(columns) < 2:
        raise ValueError(f"{where}: a line needs a word and a tag column; got {line!r}; add the tag")
    word, tag = columns[0], columns[-1]
    _check_word(word, where)
    return word, tag


def _json_sentence(line: str, where: str) -> tuple[list[str], list[str]]:
    try:
        sentence = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: a line must be JSON; {error}; write one object a line") from error
    if not isinstance(sentence, dict):
        raise ValueError(f"{where}: a line must be a JSON object; got {line[:40]!r}; write words and tags")
    words, tags = (sentence[_one_of(names, list(sentence), where)] for names in (WORD_COLUMNS, TAG_COLUMNS))
    _check_sentence(words, tags, where)
    return words, tags


def _one_of(names: tuple[str, str], found: list[str], where: str) -> str:
    present = [name for name in names if name in found]
    if len(present) != 1:
        rule = f"exactly one of {' and '.join(names)} must be there"
        raise ValueError(f"{where}: {rule}; got {found}; rename or drop columns")
    return present[0]


def _check_sentence(words: Any, tags: Any, where: str) -> None:
    for name, values in (("words", words), ("tags", tags)):
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"{where}: {name} must be a list of strings; got {values!r:.60}; write strings")
    if len(words) != len(tags):
        came = f"{len(words)} words and {len(tags)} tags"
        raise ValueError(f"{where}: each word needs one tag; got {came}; align them")
    for word, tag, previous in zip(words, tags, ["O", *tags[:-1]], strict=True):
        _check_word(word, where)
        _check_tag(tag, previous, where)


def _check_word(word: str, where: str) -> None:
    if not word.strip(" "):
        raise ValueError(f"{where}: a word must not be empty; got {word!r}; drop it or write the word")


def _check_tag(tag: str, previous: str, where: str) -> None:
    if not TAG.fullmatch(tag):
        raise ValueError(f"{where}: a tag must be O, B-TYPE or I-TYPE; got {tag!r}; convert the tags to IOB2")
    if tag.startswith("I-") and previous[2:] != tag[2:]:
        rule = f"in IOB2 {tag} must follow B-{tag[2:]} or {tag}"
        raise ValueError(f"{where}: {rule}; got it after {previous}; it may be IOB1, convert it to IOB2")


def _check_exists(path: str | Path) -> None:
    if not Path(path).is_file():
        raise ValueError(f"{path}:1: the file must exist; found no file there; check the path")


def _non_empty(dataset: Dataset, path: str | Path) -> Dataset:
    if not len(dataset):
        raise ValueError(f"{path}:1: a file must hold a sentence; got none; check the path and the format")
    return dataset
