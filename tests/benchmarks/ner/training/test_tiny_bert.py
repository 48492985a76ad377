"""The tiny tokenizer and configuration: trained the same in every process, and fit for a BERT."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertForMaskedLM, BertForTokenClassification, PreTrainedTokenizerFast

from benchmarks.ner.data.readers import ner_dataset
from benchmarks.ner.data.synthetic import embedded_corpus
from benchmarks.ner.training.tiny_bert import tiny_config, tiny_tokenizer

SIZES = {"train": 300}
PRINT_VOCAB = f"""
import json
from benchmarks.ner.data.synthetic import embedded_corpus
from benchmarks.ner.training.tiny_bert import tiny_tokenizer
print(json.dumps(tiny_tokenizer(embedded_corpus(sizes={SIZES})["train"], 400).get_vocab(), sort_keys=True))
"""


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return tiny_tokenizer(embedded_corpus(sizes=SIZES)["train"], vocab_size=400)


def test_another_process_trains_the_same_vocabulary(tokenizer: PreTrainedTokenizerFast) -> None:
    run = subprocess.run([sys.executable, "-c", PRINT_VOCAB], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == tokenizer.get_vocab()


def test_special_tokens_frame_a_cased_text(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = tokenizer(["Jordan", "lost", "☃"], is_split_into_words=True).tokens()
    assert (tokens[0], tokens[-2], tokens[-1]) == ("[CLS]", "[UNK]", "[SEP]")
    assert "".join(token.removeprefix("##") for token in tokens[1:-2]) == "Jordanlost"
    assert sorted(tokenizer.all_special_ids) == [0, 1, 2, 3, 4]
    assert sorted(tokenizer.get_vocab().values()) == list(range(400))


def test_the_saved_tokenizer_is_the_same(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    words = ["Washington", "lost", "xyz-1", "[MASK]"]
    assert loaded(words, is_split_into_words=True) == tokenizer(words, is_split_into_words=True)
    assert loaded.get_vocab() == tokenizer.get_vocab()


def test_characters_that_leave_no_room_are_not_counted() -> None:
    split = ner_dataset([["abc", "abc"]], [["O", "O"]])
    sizes = {vocab_size: len(tiny_tokenizer(split, vocab_size)) for vocab_size in (1, 2, 11, 12, 13)}
    assert sizes == {1: 12, 2: 13, 11: 13, 12: 12, 13: 13}, "5 special tokens, 3 characters twice, and pieces of abc"


def test_every_character_of_a_large_alphabet_has_an_id() -> None:
    alphabet = [chr(0x4E00 + i) for i in range(2500)]
    tokenizer = tiny_tokenizer(ner_dataset([alphabet], [["O"] * len(alphabet)]))
    ids = tokenizer(alphabet, is_split_into_words=True, add_special_tokens=False)["input_ids"]
    assert len(set(ids)) == len(alphabet)
    assert tokenizer.unk_token_id not in ids


def test_the_vocabulary_of_a_small_alphabet_stays_as_it_was() -> None:
    tokenizer = tiny_tokenizer(embedded_corpus(sizes=SIZES)["train"])
    digest = hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()
    assert digest == "6a9cc777a9fb08c7064b4c6bbff6a09a1b2bb8e5dc55b55570ca9c0a27054dd0"


def test_config_makes_both_models(tokenizer: PreTrainedTokenizerFast) -> None:
    batch = tokenizer(["Jordan lost"], return_tensors="pt")
    length = batch["input_ids"].shape[1]
    with torch.no_grad():
        tags = BertForTokenClassification(tiny_config(tokenizer, num_labels=9))(**batch)
        pieces = BertForMaskedLM(tiny_config(tokenizer))(**batch)
    assert tags.logits.shape == (1, length, 9)
    assert pieces.logits.shape == (1, length, len(tokenizer))
