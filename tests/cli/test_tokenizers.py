"""The tokenizer of a preview, and the errors where there is none."""

from __future__ import annotations

import copy
import json

import pytest

from hf_dynmask.cli.token_outcomes import surface
from hf_dynmask.cli.tokenizers import read_tokenizer
from hf_dynmask.cli.toy_tokenizer import toy_tokenizer


def test_a_folder_is_read(wordpiece, tmp_path) -> None:
    wordpiece.save_pretrained(tmp_path)
    assert read_tokenizer(str(tmp_path), []).get_vocab() == wordpiece.get_vocab()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "has no tokenizer.json and no vocabulary: it contains nothing. Save one there"),
        ({"config.json": {"model_type": "bert"}}, "and no vocabulary: it contains config.json. Save one there with"),
        ({f"{i}.bin": 0 for i in range(5)}, "it contains 0.bin, 1.bin, 2.bin and 2 more. Save one there with"),
        ({"tokenizer_config.json": {"tokenizer_class": "Spam"}}, "it contains tokenizer_config.json. Save one"),
        ({"tokenizer.json": {"spam": 1}}, " cannot be read: "),
        ({"tokenizer.json": []}, " cannot be read: "),
    ],
)
def test_a_folder_without_a_tokenizer_is_refused(tmp_path, files, said) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="`--tokenizer` must be a name on the hub or a folder with a ") as refused:
        read_tokenizer(str(tmp_path), [])
    assert said in str(refused.value)
    assert "sentencepiece" not in str(refused.value)


def test_a_tokenizer_of_bytes_needs_no_vocabulary(tmp_path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer", "mask_token": "<mask>"}')
    assert read_tokenizer(str(tmp_path), []).mask_token == "<mask>"


def test_paths_are_told_from_names(tmp_path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\n[MASK]\n")
    with pytest.raises(ValueError, match=r"vocab.txt' is a file. Pass the folder that contains the tokenizer."):
        read_tokenizer(str(tmp_path / "vocab.txt"), [])
    with pytest.raises(ValueError, match=r"but got './nowhere': there is no such folder."):
        read_tokenizer("./nowhere", [])
    with pytest.raises(ValueError, match="but 'nowhere-on-the-hub' cannot be read: "):
        read_tokenizer("nowhere-on-the-hub", [])


def test_a_mask_token_is_needed(wordpiece, tmp_path) -> None:
    maskless = copy.deepcopy(wordpiece)
    maskless.mask_token = None
    maskless.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"`--tokenizer` must have a mask token, but '.*' has none. Pass one of a "):
        read_tokenizer(str(tmp_path), [])


def test_the_toy_keeps_case_and_accents() -> None:
    toy = toy_tokenizer(["The Café"])
    ids = toy("The Café", add_special_tokens=False)["input_ids"]
    assert [surface(toy, id_) for id_ in ids] == ["The", "Café"]
