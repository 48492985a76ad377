"""Windows lose no word and no entity; blocks hold the whole text."""

from itertools import chain

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from benchmarks.ner.data.encoding import check_complete, encode_for_mlm, encode_for_ner, join_predictions
from benchmarks.ner.data.load import tag_names
from benchmarks.ner.data.readers import ner_dataset
from benchmarks.ner.training.tiny_bert import tiny_tokenizer

NAMES = ["O", "B-X", "I-X"]
NO_SUBWORD = "\u2003"  # white space, which the tokenizer drops
WORDS = st.text("abc", min_size=1, max_size=12) | st.just(NO_SUBWORD)
SPLITS = st.lists(st.lists(WORDS, max_size=12), min_size=1, max_size=4)
LENGTHS = st.integers(3, 20)

TOKENIZER = tiny_tokenizer(ner_dataset([["a", "b", "c", "ab", "ab"]], [["O"] * 5]))


def split_of(words: list[list[str]]) -> Dataset:
    """The words with tags that follow their place, every third an entity of two words."""
    tags = [[("O", "B-X", "I-X")[i % 3] for i in range(len(sentence))] for sentence in words]
    return ner_dataset(words, tags)


@settings(derandomize=True, deadline=None)
@given(words=SPLITS, max_length=LENGTHS)
def test_windows_hold_every_word_once(words: list[list[str]], max_length: int) -> None:
    split = split_of(words)
    encoded, index = encode_for_ner(split, TOKENIZER, NAMES, max_length)
    held = [(window.sentence, word) for window in index for word in window.words]
    assert held == [(s, w) for s, row in enumerate(words) for w, word in enumerate(row) if word != NO_SUBWORD]
    for row in encoded:
        assert len(row["input_ids"]) == len(row["labels"]) == len(row["attention_mask"]) <= max_length
        assert (row["input_ids"][0], row["input_ids"][-1]) == (TOKENIZER.cls_token_id, TOKENIZER.sep_token_id)


@settings(derandomize=True, deadline=None)
@given(words=SPLITS, max_length=LENGTHS)
def test_labels_predicted_come_back_as_the_gold_tags(words: list[list[str]], max_length: int) -> None:
    split = split_of(words)
    encoded, index = encode_for_ner(split, TOKENIZER, NAMES, max_length)
    predictions = np.full((len(encoded), max_length), 2)
    for row, labels in zip(predictions, encoded["labels"] if len(encoded) else [], strict=True):
        row[: len(labels)] = labels
    joined = join_predictions(predictions, index, split, NAMES)
    gold = list(split["tags"])
    rows = [zip(*row, strict=True) for row in zip(words, gold, strict=True)]
    assert joined == [["O" if word == NO_SUBWORD else tag for word, tag in row] for row in rows]
    check_complete(split, gold, joined)


@settings(derandomize=True, deadline=None)
@given(words=SPLITS, block_size=LENGTHS)
def test_blocks_hold_the_whole_text(words: list[list[str]], block_size: int) -> None:
    blocks = encode_for_mlm(split_of(words), TOKENIZER, block_size)["input_ids"]
    sentences = [TOKENIZER(row, is_split_into_words=True)["input_ids"][1:] for row in words]
    expected = list(chain(*(ids for ids in sentences if len(ids) > 1)))[:-1]
    assert list(chain(*(block[1:-1] for block in blocks))) == expected
    assert all(len(block) == block_size for block in blocks[:-1])
    for block in blocks:
        assert (block[0], block[-1]) == (TOKENIZER.cls_token_id, TOKENIZER.sep_token_id)
        assert 2 < len(block) <= block_size


def test_a_sentence_that_fits_is_what_the_tokenizer_makes() -> None:
    words = ["ab", "c", "cab"]
    encoded, index = encode_for_ner(split_of([words]), TOKENIZER, NAMES, 32)
    expected = TOKENIZER(words, is_split_into_words=True)
    assert len(encoded) == 1
    assert {name: encoded[0][name] for name in expected} == dict(expected)
    assert index[0].words == [0, 1, 2]


def test_token_types_come_only_where_the_tokenizer_makes_them() -> None:
    typed = PreTrainedTokenizerFast(
        tokenizer_object=TOKENIZER.backend_tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    encoded, _ = encode_for_ner(split_of([["ab"]]), typed, NAMES, 32)
    assert encoded[0]["token_type_ids"] == [0, 0, 0]
    assert "token_type_ids" not in encode_for_ner(split_of([["ab"]]), TOKENIZER, NAMES, 32)[0].column_names


def test_a_word_longer_than_a_window_keeps_its_first_subwords() -> None:
    encoded, index = encode_for_ner(split_of([["c", "cccccc", "c"]]), TOKENIZER, NAMES, 5)
    assert [window.words for window in index] == [[0], [1], [2]]
    assert [len(ids) for ids in encoded["input_ids"]] == [3, 5, 3]


@pytest.mark.parametrize("prefix", [True, False])
def test_byte_level_tokenizers_need_the_space_before_a_word(prefix: bool) -> None:
    tokenizer = byte_level(prefix)
    if prefix:
        blocks = encode_for_mlm(split_of([["ab", "c"], ["a"]]), tokenizer, 64)
        assert "".join(tokenizer.convert_ids_to_tokens(blocks["input_ids"][0])) == "ĠabĠc</s>Ġa"
    else:
        with pytest.raises(ValueError, match="load it with add_prefix_space=True"):
            encode_for_mlm(split_of([["ab"]]), tokenizer, 64)


def test_unfit_arguments_are_refused() -> None:
    split = split_of([["a", "b"]])
    with pytest.raises(ValueError, match=r"max_length must leave room for a subword next to 2 .*; got 2"):
        encode_for_ner(split, TOKENIZER, NAMES, 2)
    with pytest.raises(ValueError, match=r"block_size must leave room .* got 0; pass 3 or more"):
        encode_for_mlm(split, TOKENIZER, 0)
    with pytest.raises(ValueError, match=r"names must contain every tag of the split; \['B-X'\] are missing"):
        encode_for_ner(split, TOKENIZER, ["O"], 32)
    with pytest.raises(ValueError, match="must be a fast tokenizer"):
        encode_for_mlm(split, SlowTokenizer(), 32)
    left = PreTrainedTokenizerFast(tokenizer_object=TOKENIZER.backend_tokenizer, padding_side="left")
    with pytest.raises(ValueError, match="set padding_side='right'"):
        encode_for_ner(split, left, NAMES, 32)
    bare = PreTrainedTokenizerFast(tokenizer_object=TOKENIZER.backend_tokenizer)
    with pytest.raises(ValueError, match="must have a separator"):
        encode_for_mlm(split, bare, 32)


def test_what_is_lost_is_named() -> None:
    split = split_of([["a", "b", "c"], ["a"]])
    gold = list(split["tags"])
    with pytest.raises(
        ValueError, match=r"predicted must have one tag per word .* 3 tags in 1 sentences for 4 words in 2"
    ):
        check_complete(split, gold, gold[:1])
    with pytest.raises(ValueError, match="gold must have one tag per word"):
        check_complete(split, [["O"], ["O"]], gold)
    with pytest.raises(ValueError, match="0 entities for 1"):
        check_complete(split, [["O"] * 3, ["O"]], gold)
    with pytest.raises(ValueError, match="one row per window"):
        join_predictions(np.zeros((1, 9), dtype=int), [], split, tag_names(DatasetDict(train=split)))


class SlowTokenizer(PreTrainedTokenizerBase):
    """A tokenizer without a fast backend."""

    is_fast = False


def byte_level(add_prefix_space: bool) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate([*alphabet, "</s>"])}
    backend = Tokenizer(models.BPE(vocab, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="</s>", add_prefix_space=add_prefix_space, padding_side="right"
    )
