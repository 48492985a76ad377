"""Corpora are named by what tells them apart in their files' paths."""

from __future__ import annotations

import pytest

from benchmarks.ner.data.corpus_name import corpus_name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/c/wnut17/train.txt", "wnut17"),
        ("/c/x/wnut17train.conll", "wnut17"),
        ("/c/conll2003/valid.txt", "conll2003"),
        ("/c/data/eng.train", "eng"),
        ("/c/conll2002/esp.train", "esp"),
        ("/c/germeval/data/NER-de-train.tsv", "NER-de"),
        ("/c/data/weiboNER_2nd_conll.train", "weiboNER_2nd_conll"),
        ("/c/x/msra_train_bio.txt", "msra"),
        ("/c/resume/train.char.bmes", "resume"),
        ("/c/wikiann/de/train", "de"),
        ("/c/uner/en_ewt-ud-train.iob2", "en_ewt-ud"),
        ("/c/btc/TRAINING.txt", "btc"),
        ("/c/fewnerd/train-00000-of-00001.parquet", "fewnerd"),
        ("/c/germeval/data/train.txt", "germeval/data"),
        ("/c/weibo/Data/train.jsonl", "weibo/Data"),
        ("/c/ner_train.txt", "c"),
        ("/c/my_test_corpus_train.txt", "my_test_corpus"),
        ("/c/valid_entities_train.txt", "valid_entities"),
        ("/c/x/my.corpus.v2.txt", "my.corpus.v2"),
        ("/c/x/trainline.txt", "trainline"),
        ("/c/x/contest.txt", "contest"),
        ("/data/train.txt", "data"),
        ("/train.txt", "train"),
    ],
)
def test_a_corpus_has_its_files_name_or_its_folders(file, name) -> None:
    assert corpus_name(file) == name


def test_a_file_of_this_folder_has_its_name(tmp_path, monkeypatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert corpus_name("train.txt") == corpus_name("./train.txt") == "mine"
