"""Loading and describing NER data from files, from the grammar and by name."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Sequence, Value

from benchmarks.ner.data.file_format import FileFormat
from benchmarks.ner.data.load import entity_count, fingerprint, load_ner, tag_names
from benchmarks.ner.data.readers import ner_dataset
from benchmarks.ner.data.synthetic import SIZES

NAMES = ["O", "B-PER", "I-PER"]
ROW = {"tokens": [["Ann", "Lee", "ran"]], "ner_tags": [[1, 2, 0]]}
STRINGS = Sequence(Value("string"))
LABELLED = Features({"tokens": STRINGS, "ner_tags": Sequence(ClassLabel(names=NAMES))})


@pytest.fixture
def local_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write the same rows as each split of a folder that `datasets.load_dataset` reads."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()

    def write(*splits: str, features: Features = LABELLED, **columns: list) -> str:
        dataset = Dataset.from_dict(columns or ROW, features=features)
        for split in splits:
            dataset.to_parquet(str(tmp_path / "data" / f"{split}-00000-of-00001.parquet"))
        return str(tmp_path / "data")

    return write


def test_files_win_over_the_name(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.txt" for name in SIZES}
    for name, path in files.items():
        path.write_text(f"{name} B-PER\n")
    loaded = load_ner("nowhere", files["train"], files["validation"], str(files["test"]))
    assert {name: split["words"][0] for name, split in loaded.items()} == {name: [name] for name in SIZES}


def test_one_format_holds_for_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1 B-X Ann\n")
    loaded = load_ner("nowhere", *[tmp_path / "a.txt"] * 3, form=FileFormat(word_column="3", tag_column="2"))
    assert [split[0] for split in loaded.values()] == [{"words": ["Ann"], "tags": ["B-X"]}] * 3


def test_files_come_together() -> None:
    with pytest.raises(ValueError, match="must be given together; got no train_file and no test_file; pass all"):
        load_ner(validation_file="dev.txt")


def test_the_embedded_corpus_is_the_default() -> None:
    assert {name: len(split) for name, split in load_ner().items()} == SIZES


def test_class_labels_of_a_named_dataset_turn_into_names(local_dataset: Callable[..., str]) -> None:
    loaded = load_ner(local_dataset("train", "validation", "test"))
    assert list(loaded) == ["train", "validation", "test"]
    for split in loaded.values():
        assert split.column_names == ["words", "tags"]
        assert split[0] == {"words": ["Ann", "Lee", "ran"], "tags": ["B-PER", "I-PER", "O"]}


def test_string_tags_of_a_named_dataset_stay(local_dataset: Callable[..., str]) -> None:
    features = Features({"words": STRINGS, "tags": STRINGS})
    name = local_dataset("train", "validation", "test", features=features, words=[["a"]], tags=[["B-X"]])
    assert load_ner(name)["test"][0] == {"words": ["a"], "tags": ["B-X"]}


def test_columns_of_a_named_dataset_are_chosen(local_dataset: Callable[..., str]) -> None:
    features = Features({"text": STRINGS, "ner": Sequence(ClassLabel(names=["O", "I-PER"])), "tags": STRINGS})
    name = local_dataset("train", "validation", "test", features=features, text=[["a"]], ner=[[1]], tags=[["x"]])
    loaded = load_ner(name, form=FileFormat("text", "ner", tag_scheme="iob1"))
    assert loaded["test"][0] == {"words": ["a"], "tags": ["B-PER"]}


@pytest.mark.parametrize("validation", ["dev", "valid"])
def test_other_names_of_the_validation_split(validation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.from_dict(ROW, features=LABELLED)
    loaded = DatasetDict({"train": dataset, validation: dataset, "test": dataset})
    monkeypatch.setattr(datasets, "load_dataset", lambda name: loaded)
    assert list(load_ner("some/dataset")) == ["train", "validation", "test"]


def test_a_missing_split_is_named(local_dataset: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match=r"split named validation or dev or valid; .* has \['train', 'test'"):
        load_ner(local_dataset("train", "test"))


def test_what_is_neither_a_folder_nor_a_name_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`dataset` must be 'embedded', an existing folder, or a name on the Hub, but got '\.\./no'"
    ):
        load_ner("../no")


def test_numbers_without_names_are_refused(local_dataset: Callable[..., str]) -> None:
    features = Features({"tokens": STRINGS, "ner_tags": Sequence(Value("int64"))})
    name = local_dataset("train", "validation", "test", features=features, **ROW)
    with pytest.raises(ValueError, match="data/train:1: tags must be a list of strings"):
        load_ner(name)


def test_rows_of_a_named_dataset_must_be_iob2(local_dataset: Callable[..., str]) -> None:
    name = local_dataset("train", "validation", "test", tokens=[["a"], ["b"]], ner_tags=[[0], [2]])
    with pytest.raises(ValueError, match="data/train:2: in IOB2 I-PER must follow"):
        load_ner(name)


def test_tag_names_pair_begin_and_inside() -> None:
    splits = DatasetDict(train=ner_dataset([["a"]], [["B-PER"]]), test=ner_dataset([["a", "b"]], [["B-LOC", "O"]]))
    assert tag_names(splits) == ["O", "B-LOC", "B-PER", "I-LOC", "I-PER"]


def test_entity_count() -> None:
    assert entity_count([["B-PER", "I-PER", "B-PER", "O"], [], ["B-LOC"]]) == 3


def test_fingerprint_sees_every_change_but_not_the_order_of_splits() -> None:
    first, second = ner_dataset([["a", "b"]], [["O", "O"]]), ner_dataset([["a"], ["b"]], [["O"], ["O"]])
    third = ner_dataset([["a", "b"]], [["O", "B-X"]])
    pairs = product((first, second, third), (first, third))
    assert len({fingerprint(DatasetDict(train=train, test=test)) for train, test in pairs}) == 6
    forwards, backwards = DatasetDict(train=first, test=third), DatasetDict(test=third, train=first)
    assert fingerprint(forwards) == fingerprint(backwards)
    alone = fingerprint(DatasetDict(train=first))
    assert alone == "071117079a09d5e1da1dd015b7cb0625101a1d572cf19cc8bf53a511fa492a6e"
