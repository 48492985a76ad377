"""The examples of the benchmarks: random tokens from a vocabulary of BERT's size; the floor; a check of batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

VOCABULARY_SIZE = 30_522  # BERT's
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
PAD, CLS, SEP, MASK = 0, 2, 3, 4
SHAPES = ((32, 128), (32, 512), (128, 512), (32, 2048))

Example = dict[str, Any]


def tokenizer() -> PreTrainedTokenizerFast:
    """Returns a WordPiece tokenizer; every third of its tokens continues a word."""
    ordinary = [f"##{number}" if number % 3 == 0 else str(number) for number in range(len(SPECIAL), VOCABULARY_SIZE)]
    vocabulary = {token: id_ for id_, token in enumerate([*SPECIAL.values(), *ordinary])}
    wordpiece = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(
        tokenizer_object=wordpiece, **{f"{role}_token": token for role, token in SPECIAL.items()}
    )


def lengths_of(batch_size: int, length: int) -> list[int]:
    """Draws lengths, uniform in [length / 2, length]; the maximum always occurs."""
    lengths = np.random.default_rng(length).integers(length // 2, length + 1, batch_size)
    lengths[0] = length
    return lengths.tolist()


def numpy_examples(lengths: Sequence[int], seed: int = 0) -> list[Example]:
    """Returns examples as `Dataset.with_format("numpy")` does, with random ids."""
    random = np.random.default_rng(seed)
    examples = []
    for length in lengths:
        input_ids = random.integers(len(SPECIAL), VOCABULARY_SIZE, length)
        input_ids[0], input_ids[-1] = CLS, SEP
        examples.append({"input_ids": input_ids, "attention_mask": np.ones(length, dtype=np.int64)})
    return examples


def list_examples(lengths: Sequence[int], seed: int = 0) -> list[Example]:
    """Returns the same examples as lists of integers, as tokenizers do."""
    return [{name: values.tolist() for name, values in each.items()} for each in numpy_examples(lengths, seed)]


def offsets(input_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Returns the offsets of tokens in a text, from which the stock collator derives words."""
    places, end = [], 0
    for id_ in input_ids:
        start = end if id_ >= len(SPECIAL) and id_ % 3 == 0 else end + 1
        end = start + 3
        places.append((start, end))
    return places


def floor(examples: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The minimum work of a collator: copies the rows into new arrays, and the ids into labels."""
    length = max(len(example["input_ids"]) for example in examples)
    batch = {}
    for name in ("input_ids", "attention_mask"):
        rows = batch[name] = np.zeros((len(examples), length), dtype=np.int64)
        for row, example in zip(rows, examples, strict=True):
            row[: len(example[name])] = example[name]
    return {**batch, "labels": batch["input_ids"].copy()}


def check(batch: Mapping[str, Any], examples: Sequence[Example], rate: float = 0.15, mask_share: float = 0.8) -> None:
    """Checks that a batch has these examples, padded, with about the requested fraction of tokens masked correctly."""
    names = ("input_ids", "attention_mask")
    plain = floor([{name: np.asarray(example[name]) for name in names} for example in examples])
    inputs, attention, labels = (np.asarray(batch[name]) for name in ("input_ids", "attention_mask", "labels"))
    masked = labels != -100
    assert (attention == plain["attention_mask"]).all()
    assert (inputs == plain["input_ids"])[~masked].all()
    assert (labels == plain["input_ids"])[masked].all()
    assert (plain["input_ids"] >= len(SPECIAL))[masked].all()
    tokens = (plain["input_ids"] >= len(SPECIAL)).sum()
    assert abs(masked.sum() / tokens - rate) < 8 * (rate / tokens) ** 0.5
    assert abs((inputs == MASK).sum() / masked.sum() - mask_share) < 4 / masked.sum() ** 0.5


def token_counts(batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The tokens of a batch that are not padding, on its device, as the three counts that `TimedTrainer` takes."""
    attended = batch["seq_idx"] >= 0 if "seq_idx" in batch else batch["attention_mask"]
    return attended.sum().expand(3)
