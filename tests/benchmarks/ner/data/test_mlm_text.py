"""The text of pre-training: parts of the documents of files, which are disjoint and complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ner.data.file_format import FileFormat
from benchmarks.ner.data.mlm_text import read_text, text_identity


@pytest.fixture
def corpus(tmp_path) -> str:
    """A file with 20 documents of 3 sentences."""
    documents = ["-DOCSTART- O\n\n" + "".join(f"word{d} O\nsentence{s} O\n\n" for s in range(3)) for d in range(20)]
    path = tmp_path / "corpus.txt"
    path.write_text("".join(documents), encoding="utf-8")
    return str(path)


def _documents(sources: list[str], split_seed: int = 0) -> list[str]:
    return [words[0] for words in read_text(sources, split_seed)["words"]]


@pytest.mark.parametrize("split_seed", range(3))
def test_parts_are_disjoint_and_complete_and_do_not_cut_documents(corpus, split_seed) -> None:
    first, second = (_documents([f"{corpus}{part}"], split_seed) for part in ("[:75%]", "[75%:]"))
    assert len(set(first)) == 15
    assert len(set(second)) == 5
    assert not set(first) & set(second)
    assert all(found.count(document) == 3 for found in (first, second) for document in set(found))
    assert sorted(first + second) == sorted(_documents([corpus]))
    numbers = [int(document.removeprefix("word")) for document in second]
    assert numbers == sorted(numbers), "sentences keep their order"


def test_the_seed_determines_the_parts(corpus) -> None:
    half = [f"{corpus}[:50%]"]
    assert _documents(half, 1) == _documents(half, 1)
    assert set(_documents(half, 1)) != set(_documents(half, 2))


def test_files_follow_one_another_and_those_without_documents_are_split_by_sentence(corpus, tmp_path) -> None:
    (tmp_path / "other.txt").write_text("\n\n".join(f"line{n} O" for n in range(10)), encoding="utf-8")
    found = _documents([f"{corpus}[:10%]", f"{tmp_path}/other.txt[:40%]"])
    assert len(found) == 2 * 3 + 4
    assert [name.startswith("word") for name in found] == [True] * 6 + [False] * 4


def test_the_text_has_a_format_too(tmp_path) -> None:
    (tmp_path / "two.txt").write_text("1 O a\n\n1 O b\n", encoding="utf-8")
    found = read_text([f"{tmp_path}/two.txt"], 0, FileFormat(word_column="3", tag_column="2"))
    assert found["words"][:] == [["a"], ["b"]]


def test_a_part_without_documents_is_named(tmp_path) -> None:
    (tmp_path / "two.txt").write_text("a O\n\nb O\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"must contain documents, but 0% to 10% of the 2 in .*two.txt are none"):
        read_text([f"{tmp_path}/two.txt[:10%]"], 0)


def test_the_identity_names_no_folder_and_follows_the_words(corpus) -> None:
    def identity(part: str, split_seed: int = 0) -> dict:
        return text_identity([corpus + part], split_seed, read_text([corpus + part], split_seed))

    found = identity("[:50%]")
    assert (found["files"], found["sentences"], found["split_seed"]) == (["corpus.txt[:50%]"], 30, 0)
    assert str(Path(corpus).parent) not in str(found)
    assert identity("[:50%]") == found
    assert identity("[:50%]", 1)["fingerprint"] != found["fingerprint"]
    assert identity("[50%:]")["fingerprint"] != found["fingerprint"]
