from __future__ import annotations

import copy
import functools
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from support import oracle, resumable
from support.extended import pairs
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    DataCollatorForLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorWithFlattening,
    DataCollatorWithPadding,
    DefaultDataCollator,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)
from transformers.data.data_collator import DataCollatorForMultipleChoice
from transformers.trainer_utils import get_last_checkpoint

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorWithTokenDropout,
    MaskRateCallback,
    linear_schedule,
    strategies,
    uniform_rate,
)
from hf_dynmask.core.draws import Purpose

TARGETS = ("input_ids", "attention_mask")
SCHEDULE = linear_schedule(0.6, 0.1)


def _masking(collator: Any, **options: Any) -> DataCollatorWithTokenDropout:
    return DataCollatorWithTokenDropout(collator, **{"seed": 42, **options})


def _padded(tokenizer, rows: list[list[int]], columns: tuple[str, ...]) -> list[dict]:
    padded = tokenizer.pad({"input_ids": rows}, padding="max_length", max_length=max(map(len, rows)) + 2)
    return [dict(zip(columns, values, strict=True)) for values in zip(*(padded[name] for name in columns), strict=True)]


def _pairs(rows: list[list[int]]) -> list[list[list[int]]]:
    """An even number of sequences, two a question."""
    rows = rows + rows[: len(rows) % 2]
    return [rows[i : i + 2] for i in range(0, len(rows), 2)]


# Each makes the collator and its examples from (tokenizer, rows of ids, tags of the same lengths, tensors' type).
INNERS = {
    "token classification": lambda tokenizer, rows, tags, kind: (
        DataCollatorForTokenClassification(tokenizer, pad_to_multiple_of=8, return_tensors=kind),
        [{"input_ids": ids, "labels": of} for ids, of in zip(rows, tags, strict=True)],
    ),
    "sequence classification": lambda tokenizer, rows, tags, kind: (
        DataCollatorWithPadding(tokenizer, return_tensors=kind),
        [{"input_ids": ids, "label": of[0] % 2, "weight": 0.5} for ids, of in zip(rows, tags, strict=True)],
    ),
    "seq2seq": lambda tokenizer, rows, tags, kind: (
        DataCollatorForSeq2Seq(tokenizer, return_tensors=kind),
        [{"input_ids": ids, "labels": ids[:3]} for ids in rows],
    ),
    "multiple choice": lambda tokenizer, rows, tags, kind: (
        DataCollatorForMultipleChoice(tokenizer, return_tensors="pt"),
        [{"input_ids": pair, "label": 1} for pair in _pairs(rows)],
    ),
    "default": lambda tokenizer, rows, tags, kind: (
        DefaultDataCollator(return_tensors=kind),
        [{**row, "label": 1} for row in _padded(tokenizer, rows, ("input_ids", "attention_mask"))],
    ),
    "default, no attention mask": lambda tokenizer, rows, tags, kind: (
        DefaultDataCollator(return_tensors=kind),
        _padded(tokenizer, rows, ("input_ids",)),
    ),
}


@pytest.fixture(scope="module")
def tokenizers(wordpiece) -> dict[str, Any]:
    sides = {"left": copy.deepcopy(wordpiece), "right": copy.deepcopy(wordpiece)}
    for side, tokenizer in sides.items():
        tokenizer.padding_side = side
    return sides


def _oracle(tokenizer, row: list[int], tags: list[int], target: str, epoch: int, **options: Any) -> np.ndarray:
    """What a sequence becomes, by the pre-training collator, which is given it alone and without padding."""
    probs = {"mask_replace_prob": 1.0, "random_replace_prob": 0.0, "min_masked": 0, "seed": 42}
    collator = DataCollatorForDynamicMasking(tokenizer, **{**probs, **options})
    collator.set_epoch(epoch)
    columns = {"labels": tags} if collator._strategy.columns else {}
    batch = collator([{"input_ids": row, "attention_mask": [1] * len(row), **columns}])
    if target == "input_ids":
        return batch["input_ids"][0].numpy()
    attended = (batch["labels"][0] == -100).numpy()
    attended[:1] |= not attended.any()  # one token at least stays attended to
    return attended


def _same(first: Any, second: Any) -> bool:
    return type(first) is type(second) and first.dtype == second.dtype and np.array_equal(first, second)


ROWS = st.lists(
    st.lists(st.tuples(st.integers(1, 50), st.sampled_from([-100, 0, 1, 2])), min_size=1, max_size=14),
    min_size=1,
    max_size=5,
)
OPTIONS = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(["token", "whole_word", "span", "ngram", "position", "entity"]),
        "mlm_probability": st.sampled_from([0.0, 0.15, 0.5, 1.0, uniform_rate(0.1, 0.9)]),
        "exact_count": st.booleans(),
        "min_masked": st.sampled_from([0, 2]),
    }
)
PROBS = st.sampled_from([(1.0, 0.0), (0.8, 0.1), (0.0, 1.0)])


@pytest.mark.parametrize("name", INNERS)
@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    rows=ROWS,
    options=OPTIONS,
    probs=PROBS,
    target=st.sampled_from(TARGETS),
    kind=st.sampled_from(["pt", "np"]),
    side=st.sampled_from(["left", "right"]),
    epoch=st.integers(0, 3),
)
def test_the_batch_is_the_inner_one_with_the_pre_training_masks(
    tokenizers, name, rows, options, probs, target, kind, side, epoch
) -> None:
    if options["strategy"] == "entity" and name != "token classification":
        options = {**options, "strategy": "token"}
    if target == "input_ids":
        options = {**options, "mask_replace_prob": probs[0], "random_replace_prob": probs[1]}
    tokenizer = tokenizers[side]
    ids, tags = ([[pair[i] for pair in row] for row in rows] for i in (0, 1))
    inner, examples = INNERS[name](tokenizer, ids, tags, kind)
    collator = _masking(inner, target=target, tokenizer=tokenizer, **options)
    collator.set_epoch(epoch)
    plain, batch = inner(copy.deepcopy(examples)), collator(copy.deepcopy(examples))

    assert type(batch) is type(plain)
    added = {target} - set(plain)
    assert set(batch) == set(plain) | added
    assert all(_same(batch[key], plain[key]) for key in plain if key != target)
    if not added:
        assert type(batch[target]) is type(plain[target])
        assert batch[target].dtype == plain[target].dtype

    sequences = list(itertools.chain(*_pairs(ids))) if name == "multiple choice" else ids
    length = plain["input_ids"].shape[-1]
    masked = np.asarray(batch[target]).reshape(len(sequences), length)
    unmasked = np.asarray(plain["input_ids"]).reshape(len(sequences), length)
    for row, sequence in enumerate(sequences):
        place = slice(length - len(sequence), length) if side == "left" else slice(0, len(sequence))
        tag = tags[row] if row < len(tags) else tags[0]
        expected = (unmasked[row] if target == "input_ids" else np.zeros(length, np.int64)).copy()
        expected[place] = _oracle(tokenizer, sequence, tag, target, epoch, **options)
        assert masked[row].tolist() == expected.tolist()


def _kept(tokenizer, sequence: list[int], masked: list[bool], epoch: int) -> list[int]:
    """The indices of a sequence's tokens that are not deleted, by the definition."""
    ordinary = [i for i, id_ in enumerate(sequence) if id_ not in tokenizer.all_special_ids]
    deleted = [i for i in range(len(sequence)) if masked[i]]
    if deleted and deleted == ordinary:
        drawn = oracle.draw(oracle.key(42, sequence, epoch), 0, Purpose.REPLACEMENT)
        deleted.pop(drawn * len(deleted) >> 32)
    return [i for i in range(len(sequence)) if i not in deleted]


@pytest.mark.parametrize("name", INNERS)
@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    rows=ROWS,
    options=OPTIONS,
    kind=st.sampled_from(["pt", "np"]),
    side=st.sampled_from(["left", "right"]),
    epoch=st.integers(0, 3),
)
def test_the_tokens_that_are_masked_with_the_same_seed_are_deleted(
    tokenizers, name, rows, options, kind, side, epoch
) -> None:
    of_tokens = name == "token classification"
    if options["strategy"] == "entity" and not of_tokens:
        options = {**options, "strategy": "token"}
    tokenizer = tokenizers[side]
    ids, tags = ([[pair[i] for pair in row] for row in rows] for i in (0, 1))
    inner, examples = INNERS[name](tokenizer, ids, tags, kind)
    columns = {"per_token_columns": ["labels"]} if of_tokens else {}
    plain = inner(copy.deepcopy(examples))
    masking = _masking(inner, tokenizer=tokenizer, **options)
    deleting = _masking(inner, tokenizer=tokenizer, target="delete", **columns, **options)
    masked, batch = (collator(copy.deepcopy(examples), epoch=epoch) for collator in (masking, deleting))

    sequences = list(itertools.chain(*_pairs(ids))) if name == "multiple choice" else ids
    old = plain["input_ids"].shape[-1]
    before = np.asarray(plain["input_ids"]).reshape(len(sequences), old)
    changed = np.asarray(masked["input_ids"]).reshape(len(sequences), old) != before
    begins = [old - len(sequence) if side == "left" else 0 for sequence in sequences]
    kept = [
        [begin + i for i in _kept(tokenizer, sequence, row[begin:].tolist(), epoch)]
        for sequence, row, begin in zip(sequences, changed, begins, strict=True)
    ]
    length = max(map(len, kept))
    length = -(-length // 8) * 8 if of_tokens else length  # as the inner collator
    fills = {"input_ids": 0, "attention_mask": 0, **({"labels": -100} if of_tokens else {})}

    assert type(batch) is type(plain)
    added = {"attention_mask"} - set(plain) if any(len(row) < length for row in kept) else set()
    assert set(batch) == set(plain) | added
    assert all(_same(batch[key], plain[key]) for key in set(plain) - set(fills))
    for key in set(batch) & set(fills):
        values = np.asarray(plain[key]).reshape(before.shape) if key in plain else np.ones_like(before)
        expected = []
        for row, indices in zip(values, kept, strict=True):
            padding = [fills[key]] * (length - len(indices))
            tokens = row[indices].tolist()
            expected.append(padding + tokens if side == "left" else tokens + padding)
        assert np.asarray(batch[key]).reshape(len(sequences), -1).tolist() == expected
        like = plain[key] if key in plain else plain["input_ids"]
        assert (type(batch[key]), batch[key].dtype) == (type(like), like.dtype)
        assert tuple(batch[key].shape) == (*plain["input_ids"].shape[:-1], length)


def test_one_token_of_a_sequence_stays_and_every_one_may(wordpiece) -> None:
    collator = _masking(DataCollatorWithPadding(wordpiece), mlm_probability=1.0, target="delete")
    examples = [{"input_ids": [2, 5, 6, 7, 3]}, {"input_ids": [2, 1, 3]}, {"input_ids": [8]}]
    stays = set()
    for epoch in range(20):
        batch = collator(examples, epoch=epoch)
        (begin, stayed, end), unknown, single = batch["input_ids"].tolist()
        assert (begin, end, unknown, single) == (2, 3, [2, 1, 3], [8, 0, 0])
        assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 1], [1, 0, 0]]
        stays.add(stayed)
    assert stays == {5, 6, 7}


def test_whole_words_are_deleted_whole(wordpiece) -> None:
    collator = _masking(DataCollatorWithPadding(wordpiece), mlm_probability=0.4, strategy="whole_word", target="delete")
    encoding = wordpiece("the unbelievable cats were playing with flowers")
    words = encoding.word_ids()
    lost = set()
    for epoch in range(30):
        left = iter(collator([dict(encoding)], epoch=epoch)["input_ids"][0].tolist())
        remaining, pending = [], next(left)
        for word, id_ in zip(words, encoding["input_ids"], strict=True):  # no id occurs twice
            if id_ == pending:
                remaining.append(word)
                pending = next(left, None)
        assert pending is None
        assert all(remaining.count(word) == words.count(word) for word in set(remaining))
        lost |= set(words) - set(remaining)
    assert lost == set(words) - {None}


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_deletion_leaves_the_arrays_of_others_and_the_dtypes(wordpiece, kind) -> None:
    ids = np.arange(5, 45, dtype=np.int32).reshape(5, 8).T
    own = {
        "input_ids": ids,
        "token_type_ids": np.ones_like(ids, dtype=np.int8),
        "bbox": np.stack([ids, ids], -1).astype(np.float32),
        "scores": ids.astype(np.float64),
        "labels": ids.astype(np.int64),
    }
    own = {name: torch.from_numpy(values) for name, values in own.items()} if kind == "torch" else own
    before = copy.deepcopy(own)
    collator = _masking(
        lambda examples: own, tokenizer=wordpiece, mlm_probability=0.5, target="delete", per_token_columns=["scores"]
    )
    batch = collator([], epoch=0)
    assert all(_same(own[name], before[name]) for name in own)
    assert all(batch[name].dtype == own[name].dtype for name in own)
    assert batch["labels"] is own["labels"]
    kept = batch["attention_mask"] == 1
    assert batch["input_ids"].shape == kept.shape == batch["bbox"].shape[:2]
    assert 0 < kept.sum() < 40
    for name in ("scores", "bbox"):
        values = batch[name] if name == "scores" else batch[name][..., 1]
        assert (values == batch["input_ids"]).all()
    assert (batch["token_type_ids"] == batch["attention_mask"]).all()


def test_a_tokenizer_without_a_pad_token(wordpiece) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.pad_token = None
    rows = np.array([[5, 6, 7, 8], [9, 10, 11, 12]])
    for rate in (0.0, 1.0):  # rows are as long as each other
        collator = _masking(_returns({"input_ids": rows}), tokenizer=tokenizer, mlm_probability=rate, target="delete")
        assert set(collator([], epoch=0)) == {"input_ids"}
    rows[1] = [2, 3, 1, 1]  # special tokens
    collator = _masking(_returns({"input_ids": rows}), tokenizer=tokenizer, mlm_probability=1.0, target="delete")
    with pytest.raises(ValueError, match="`tokenizer` must have a pad token, as rows differ in length"):
        collator([], epoch=0)


@pytest.mark.parametrize("target", TARGETS)
def test_special_tokens_and_padding_stay_and_all_else_is_masked_whatever_the_labels(wordpiece, target) -> None:
    inner = DataCollatorForTokenClassification(wordpiece)
    encodings = [wordpiece("the unbelievable cats sat zebra"), wordpiece("dogs")]
    examples = [{**encoding, "labels": [-100] * len(encoding["input_ids"])} for encoding in encodings]
    batch = _masking(inner, mlm_probability=1.0, target=target)(examples)
    plain = inner(examples)
    stays = (plain["attention_mask"] == 0) | torch.isin(
        plain["input_ids"], torch.tensor([wordpiece.cls_token_id, wordpiece.sep_token_id, wordpiece.unk_token_id])
    )
    assert stays.sum(1).tolist() == [3, 6]
    changed = batch[target] != plain[target]
    assert torch.equal(changed, ~stays)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rate", [0.05, 0.15, 0.5])
def test_the_number_of_masked_tokens_is_binomial(wordpiece, target, rate) -> None:
    generator = np.random.default_rng(1)
    examples = [{"input_ids": generator.integers(5, 51, 60).tolist(), "label": 0} for _ in range(400)]
    inner = DataCollatorWithPadding(wordpiece)
    masked = _masking(inner, mlm_probability=rate, target=target, num_mask_patterns=1)(examples)[target]
    changed = (masked != inner(examples)[target]).sum(1).numpy()
    assert binomtest(int(changed.sum()), 400 * 60, rate).pvalue > 0.001
    assert changed.var() == pytest.approx(60 * rate * (1 - rate), rel=0.25)


def test_whole_words_are_masked_whole(wordpiece) -> None:
    collator = _masking(DataCollatorWithPadding(wordpiece), mlm_probability=0.4, strategy="whole_word")
    encoding = wordpiece("the unbelievable cats were playing with flowers")
    words = encoding.word_ids()
    several = {word for word in words if word is not None and words.count(word) > 1}
    seen = set()
    for epoch in range(50):
        collator.set_epoch(epoch)
        masked = (collator([dict(encoding)])["input_ids"][0] == wordpiece.mask_token_id).tolist()
        for word in several:
            of_word = {masked[i] for i, of in enumerate(words) if of == word}
            assert len(of_word) == 1
            seen |= of_word
    assert seen == {True, False}


def test_entities_have_a_rate_of_their_own_and_their_tags_stay(wordpiece) -> None:
    strategy = strategies.entity(1.0, tag_names=["O", "B-X", "I-X"])
    inner = DataCollatorForTokenClassification(wordpiece)
    example = {**wordpiece("the cat sat on a mat"), "labels": [-100, 0, 1, 2, 0, 0, 1, -100]}
    for target, masked in (("input_ids", wordpiece.mask_token_id), ("attention_mask", 0)):
        batch = _masking(inner, mlm_probability=0.0, strategy=strategy, target=target)([example])
        assert (batch[target][0] == masked).nonzero().flatten().tolist() == [2, 3, 6]
        assert batch["labels"][0].tolist() == example["labels"]


def test_the_users_special_tokens_mask_is_kept_to(wordpiece) -> None:
    example = wordpiece("the cat sat", return_special_tokens_mask=True)
    example["special_tokens_mask"][2] = 1
    batch = _masking(DataCollatorWithPadding(wordpiece), mlm_probability=1.0)([example])
    assert (batch["input_ids"][0] == wordpiece.mask_token_id).tolist() == [False, True, False, True, False]
    assert batch["special_tokens_mask"][0].tolist() == example["special_tokens_mask"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("contiguous", [True, False])
def test_arrays_that_belong_to_someone_else_are_left_as_they_were(wordpiece, target, kind, contiguous) -> None:
    """And another integer type is kept."""
    ids = np.arange(5, 45, dtype=np.int32).reshape(10, 4)
    ids = ids if contiguous else ids.T
    own = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    if kind == "torch":
        own = {name: torch.from_numpy(values) for name, values in own.items()}
    before = copy.deepcopy(own)
    batch = _masking(lambda examples: own, tokenizer=wordpiece, mlm_probability=0.5, target=target)([])
    assert all(_same(own[name], before[name]) for name in own)
    assert batch[target].dtype == own[target].dtype
    assert 0 < (batch[target] != own[target]).sum() < 40
    changed = batch[target][batch[target] != own[target]]
    assert (changed == (wordpiece.mask_token_id if target == "input_ids" else 0)).all()


def test_a_tokenizer_without_a_mask_token(metaspace) -> None:
    """Those of T5."""
    tokenizer = copy.deepcopy(metaspace)
    tokenizer.mask_token = None
    inner = DataCollatorForSeq2Seq(tokenizer)
    examples = [{"input_ids": [7, 8, 9, 10, 1], "labels": [7, 1]}]
    with pytest.raises(
        ValueError, match=r'must have a mask token, but has none. Add one .* or pass `target="attention_mask"`'
    ):
        _masking(inner)
    assert _masking(inner, target="attention_mask", mlm_probability=1.0)(examples)["attention_mask"].sum() == 1
    batch = _masking(inner, target="delete", mlm_probability=1.0)(examples)
    assert batch["input_ids"].shape == (1, 2)
    assert batch["labels"].tolist() == [[7, 1]]
    batch = _masking(inner, mask_replace_prob=0.0, random_replace_prob=1.0, mlm_probability=1.0)(examples)
    assert batch["input_ids"][0, :4].tolist() != [7, 8, 9, 10]
    assert not set(batch["input_ids"][0, :4].tolist()) & set(tokenizer.all_special_ids)


class TestTheCall:
    def test_return_tensors_goes_to_a_collator_that_takes_it(self, wordpiece) -> None:
        examples = [{**wordpiece("the cat sat"), "labels": [0] * 5}]
        for inner in (DataCollatorForTokenClassification(wordpiece), default_data_collator):
            collator = _masking(inner, tokenizer=wordpiece, num_mask_patterns=1)
            as_torch, as_numpy = collator(examples), collator(examples, return_tensors="np")
            assert isinstance(as_numpy["input_ids"], np.ndarray)
            assert np.array_equal(as_numpy["input_ids"], as_torch["input_ids"])

    def test_return_tensors_for_a_collator_that_does_not_take_it(self, wordpiece) -> None:
        collator = _masking(DataCollatorWithPadding(wordpiece))
        with pytest.raises(ValueError, match="`return_tensors` must be None with a DataCollatorWithPadding"):
            collator([wordpiece("the cat")], "np")

    def test_evaluation_is_the_inner_collator(self, wordpiece) -> None:
        inner = DataCollatorWithPadding(wordpiece)
        for target in (*TARGETS, "delete"):
            assert _masking(inner, mlm_probability=1.0, target=target).for_evaluation(0.5) is inner

    def test_the_summary_of_deletion(self, wordpiece) -> None:
        collator = _masking(DataCollatorWithPadding(wordpiece), mlm_probability=0.6, target="delete")
        assert "60 % of the tokens; single tokens; masked tokens are deleted; over DataColl" in str(collator)

    def test_a_row_always_has_a_token_to_attend_to(self, wordpiece) -> None:
        collator = _masking(DataCollatorWithPadding(wordpiece), mlm_probability=1.0, target="attention_mask")
        batch = collator([{"input_ids": [5, 6, 7]}, {"input_ids": [5]}, {"input_ids": [2, 6, 3]}])
        assert batch["attention_mask"].tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 1]]

    def test_ids_that_do_not_fit_are_refused(self, wordpiece) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.add_tokens([f"more{i}" for i in range(300)])
        tokenizer.add_special_tokens({"mask_token": "<mask>"})

        def narrow(features):
            return {"input_ids": np.array([[5, 6, 7]], dtype=np.uint8)}

        collator = _masking(narrow, mlm_probability=1.0, tokenizer=tokenizer)
        with pytest.raises(ValueError, match=r"`input_ids` must have a dtype that holds the id 351, but .* uint8"):
            collator([])

    def test_what_is_set_later_counts(self, wordpiece) -> None:
        collator = _masking(DataCollatorWithPadding(wordpiece), mlm_probability=1.0)
        assert collator.tokenizer is wordpiece
        collator.target = "attention_mask"
        assert collator([wordpiece("the cat")])["attention_mask"].tolist() == [[1, 0, 0, 1]]
        collator.strategy = strategies.position("prefix")
        collator.mlm_probability = 0.5
        assert collator([wordpiece("the cat")])["attention_mask"].tolist() == [[1, 1, 0, 1]]
        with pytest.raises(ValueError, match="Did you mean 'whole_word'"):
            collator.strategy = "whole_wrong"

    def test_the_tokenizer_of_a_processor(self, wordpiece) -> None:
        class Processor:
            tokenizer = wordpiece

        class Inner(DataCollatorWithPadding):
            processor = Processor()

        inner = Inner(wordpiece)
        inner.tokenizer, padding = None, DataCollatorWithPadding(wordpiece)
        assert _masking(inner).tokenizer is wordpiece
        assert _masking(padding).tokenizer is wordpiece


class TestPatterns:
    @staticmethod
    def _epochs(wordpiece, target: str, workers: int, patterns: int | None, announce: bool = True) -> list[list]:
        examples = [{"input_ids": list(range(5 + i, 35 + i)), "label": i % 2} for i in range(16)]
        collator = _masking(DataCollatorWithPadding(wordpiece), target=target, num_mask_patterns=patterns)
        loader = DataLoader(examples, batch_size=3, num_workers=workers, collate_fn=collator)
        epochs = []
        for epoch in range(4):
            if announce:
                collator.set_epoch(epoch)
            epochs.append([row for batch in loader for row in batch[target].tolist()])
        return epochs

    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize(("patterns", "distinct"), [(None, 4), (1, 1), (2, 2)])
    def test_masks_repeat_after_num_mask_patterns_whatever_the_workers(
        self, wordpiece, target, patterns, distinct
    ) -> None:
        epochs = self._epochs(wordpiece, target, 0, patterns)
        assert self._epochs(wordpiece, target, 2, patterns) == epochs
        for i in range(4):
            for j in range(i):
                assert (epochs[i] == epochs[j]) == ((i - j) % distinct == 0)

    def test_without_an_epoch_masks_are_dynamic_all_the_same(self, wordpiece) -> None:
        for workers in (0, 2):
            epochs = self._epochs(wordpiece, "input_ids", workers, None, announce=False)
            assert all(epochs[i] != epochs[j] for i in range(4) for j in range(i))


LENGTH, EXAMPLES, BATCH = 300, 12, 2


class Numbers(torch.utils.data.Dataset):
    """Long sequences, so that a batch's masked fraction tells its rate; the label tells the example."""

    def __len__(self) -> int:
        return EXAMPLES

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": [5 + (index + i) % 40 for i in range(LENGTH)], "label": index, "text": "unused"}


class Witness(nn.Module):
    """A model that notes what it sees: (training, rate, labels, masked places) a batch."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.target = target
        self.seen: list[tuple[bool, float, list[int], list]] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor) -> dict:
        masked = input_ids == 4 if self.target == "input_ids" else attention_mask == 0
        self.seen.append((self.training, masked.float().mean().item(), labels.tolist(), masked.tolist()))
        return {"loss": self.weight**2 + 1.0, "logits": labels[:, None].float()}

    def rates(self, training: bool) -> list[float]:
        return [rate for when, rate, _, _ in self.seen if when == training]


class NewCheckpoint(TrainerCallback):
    """Saves once, in the middle of the second epoch."""

    def on_step_end(self, args, state, control, **kwargs):
        control.should_save = state.global_step == 8


def _trainer(wordpiece, tmp_path, target: str, callbacks: list, data: Any = None, **arguments: Any) -> Trainer:
    defaults = {
        "output_dir": str(tmp_path),
        "per_device_train_batch_size": BATCH,
        "per_device_eval_batch_size": 4,
        "num_train_epochs": 2,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "eval_strategy": "steps",
        "eval_steps": 4,
        "eval_on_start": True,
        "logging_steps": 1,
        "dataloader_pin_memory": False,
    }
    return Trainer(
        model=Witness(target),
        args=TrainingArguments(**{**defaults, **arguments}),
        train_dataset=Numbers() if data is None else data,
        eval_dataset=torch.utils.data.Subset(Numbers(), range(6)),
        data_collator=DataCollatorWithTokenDropout(DataCollatorWithPadding(wordpiece), target=target, exact_count=True),
        callbacks=callbacks,
    )


def _arrow() -> Any:
    from datasets import Dataset

    return Dataset.from_list([Numbers()[i] for i in range(EXAMPLES)])


class TestTrainer:
    """`DataCollatorWithPadding` takes nothing but the examples, and the unused column has Trainer wrap the collator."""

    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize(("data", "loader"), pairs([Numbers, _arrow], [(0, False), (2, False), (2, True)]))
    def test_training_follows_the_schedule_and_evaluation_has_no_masks(
        self, wordpiece, tmp_path, target, data, loader
    ) -> None:
        workers, persistent = loader
        trainer = _trainer(
            wordpiece,
            tmp_path,
            target,
            [MaskRateCallback(SCHEDULE)],
            data(),
            dataloader_num_workers=workers,
            dataloader_persistent_workers=persistent,
        )
        trainer.train()
        model = trainer.model
        assert model.rates(training=True) == pytest.approx([SCHEDULE(step / 12) for step in range(12)], abs=1 / LENGTH)
        during = len(model.rates(training=False))
        assert during == 4 * 2, "at the start and after every fourth step, two batches each"
        trainer.evaluate()
        predicted = trainer.predict(torch.utils.data.Subset(Numbers(), range(5))).predictions
        assert predicted[:, 0].tolist() == [0, 1, 2, 3, 4]
        assert model.rates(training=False) == [0.0] * (during + 4)
        assert sorted(label for when, _, labels, _ in model.seen[:-4] for label in labels if when) == sorted(
            [*range(EXAMPLES)] * 2
        )
        history = [entry["mask_rate"] for entry in trainer.state.log_history if "loss" in entry]
        assert history == [SCHEDULE(step / 12) for step in range(12)]

    @resumable.in_order
    def test_a_resumed_run_sees_the_masks_it_would_have_seen(self, wordpiece, tmp_path) -> None:
        run = _trainer(wordpiece, tmp_path, "input_ids", [MaskRateCallback(SCHEDULE), NewCheckpoint()], eval_steps=50)
        run.train()
        resumed = _trainer(
            wordpiece, tmp_path, "input_ids", [MaskRateCallback(SCHEDULE)], eval_steps=50, dataloader_num_workers=2
        )
        resumed.train(resume_from_checkpoint=get_last_checkpoint(tmp_path))
        trained = [[entry for entry in trainer.model.seen if entry[0]] for trainer in (run, resumed)]
        assert len(trained[1]) == 4
        assert trained[1] == trained[0][8:]

    @pytest.mark.filterwarnings("ignore:This model was already trained")
    def test_a_second_training_is_masked_again_with_the_trainers_seed(self, wordpiece, tmp_path) -> None:
        masks = []
        for seed in (1, 2):
            trainer = _trainer(wordpiece, tmp_path, "input_ids", [MaskRateCallback()], seed=seed, data_seed=0)
            trainer.train()
            first = [entry for entry in trainer.model.seen if entry[0]]
            trainer.model.seen.clear()
            trainer.train()
            assert [entry for entry in trainer.model.seen if entry[0]] == first
            masks.append({label: mask for _, _, *both in first for label, mask in zip(*both, strict=True)})
        assert masks[0].keys() == masks[1].keys()
        assert all(masks[0][label] != masks[1][label] for label in masks[0])


def test_an_encoder_decoder_learns_to_restore_deleted_tokens(wordpiece, tmp_path) -> None:
    lengths = []

    def note(model: Any, args: Any, inputs: Any) -> None:
        lengths.append((model.training, inputs["attention_mask"].sum(1).tolist(), inputs["labels"].shape[1]))

    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.0}
    special = {"decoder_start_token_id": 2, "eos_token_id": 3}
    model = T5ForConditionalGeneration(T5Config(vocab_size=len(wordpiece), **special, **sizes))
    model.register_forward_pre_hook(note, with_kwargs=True)
    texts = [[2, *range(5 + i, 35 + i), 3] for i in range(12)]
    data = [{"input_ids": ids, "labels": ids} for ids in texts]
    schedule = linear_schedule(0.6, 0.2)
    inner = DataCollatorForSeq2Seq(wordpiece, model=model)
    trainer = Trainer(
        model,
        TrainingArguments(
            str(tmp_path),
            per_device_train_batch_size=4,
            num_train_epochs=2,
            learning_rate=3e-2,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1,
            dataloader_num_workers=2,
            dataloader_pin_memory=False,
        ),
        DataCollatorWithTokenDropout(inner, target="delete", exact_count=True),
        train_dataset=data,
        eval_dataset=data,
        callbacks=[MaskRateCallback(schedule)],
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < 0.9 * before
    rates = [schedule(step / 6) for step in range(6)]
    assert [entry["mask_rate"] for entry in trainer.state.log_history if "loss" in entry] == rates
    seen = [each for training, each, _ in lengths if training]
    for rate, row in zip(rates, seen, strict=True):
        assert row == pytest.approx([32 - 30 * rate] * 4, abs=1)  # 30 of 32 tokens may be deleted
    assert {length for training, each, _ in lengths if not training for length in each} == {32}
    assert {length for _, _, length in lengths} == {32}


def _returns(batch: Any) -> Any:
    return lambda examples: batch


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"target": "labels"}, "`target` must be one of 'input_ids', 'attention_mask', 'delete', but got 'labels'"),
            ({"target": "delete", "mask_replace_prob": 0.8}, 'with `target="delete"`, .* but got 0.8 and 0.0'),
            ({"target": "delete", "per_token_columns": "labels"}, "`per_token_columns` must be a list of names"),
            ({"per_token_columns": ["labels"]}, "must be left out with `target=\"input_ids\"`.* got .'labels'."),
            ({"mlm_probability": 1.5}, "`mlm_probability` must be a number between 0 and 1, but got 1.5"),
            ({"mlm_probability": math.nan}, "`mlm_probability` must be a number between 0 and 1, but got nan"),
            ({"strategy": "whole_wrd"}, "`strategy` must be one of .*Did you mean 'whole_word'"),
            ({"strategy": "adaptive"}, "`strategy` must not follow the losses .* got 'adaptive'"),
            ({"mask_replace_prob": 0.9, "random_replace_prob": 0.2}, r"must not exceed 1, but got 0.9 \+ 0.2"),
            ({"mask_replace_prob": 0.0}, "must be above 0, but got 0: masked tokens would stay"),
            ({"target": "attention_mask", "random_replace_prob": 0.1}, "left at 1.0 and 0.0 .* but got 1.0 and 0.1"),
            ({"num_mask_patterns": 0}, "`num_mask_patterns` must be an integer of at least 1, but got 0"),
            ({"min_masked": -1}, "`min_masked` must be an integer of at least 0"),
            ({"seed": 1.5}, "`seed` must be an integer, but got 1.5"),
            ({"mlm_probability": uniform_rate(block_size=4), "exact_count": True}, "`block_size` must be None with"),
        ],
    )
    def test_bad_arguments(self, wordpiece, options, message) -> None:
        with pytest.raises(ValueError, match=message):
            _masking(DataCollatorWithPadding(wordpiece), **options)

    def test_labels_of_a_decoder_that_would_not_be_deleted(self, wordpiece) -> None:
        inner = DataCollatorForLanguageModeling(wordpiece, mlm=False)
        with pytest.raises(ValueError, match="must name `labels` with a DataCollatorForLanguageModeling"):
            _masking(inner, target="delete")
        batch = _masking(inner, target="delete", per_token_columns=["labels"], mlm_probability=0.5)(
            [wordpiece("the cat sat on a mat"), wordpiece("the dog")], epoch=0
        )
        attended = batch["attention_mask"].bool()
        assert torch.equal(batch["input_ids"][attended], batch["labels"][attended])

    def test_labels_of_tokens_that_would_not_be_deleted(self, wordpiece) -> None:
        inner = DataCollatorForTokenClassification(wordpiece)
        with pytest.raises(ValueError, match="must name `labels` with a DataCollatorForTokenClassification"):
            _masking(inner, target="delete")
        assert _masking(inner, target="delete", strategy="entity").columns == ("labels",)

    def test_two_masks(self, wordpiece) -> None:
        inners = [
            DataCollatorForDynamicMasking(wordpiece),
            _masking(DataCollatorWithPadding(wordpiece)),
            DataCollatorForLanguageModeling(wordpiece),
        ]
        for inner in inners:
            with pytest.raises(ValueError, match=f"must not mask tokens itself, but got a {type(inner).__name__}"):
                _masking(inner)
        _masking(DataCollatorForLanguageModeling(wordpiece, mlm=False))

    def test_no_collator(self) -> None:
        with pytest.raises(ValueError, match="`collator` must be a data collator, but got 'token'"):
            _masking("token")

    @pytest.mark.parametrize("inner", [default_data_collator, DefaultDataCollator(), functools.partial(int)])
    def test_no_tokenizer(self, inner) -> None:
        with pytest.raises(ValueError, match="`tokenizer` must be given if `collator` has no attribute"):
            _masking(inner)

    @pytest.mark.parametrize(
        ("batch", "options", "message"),
        [
            ([1], {}, "`collator` must return a mapping .* but returned a list"),
            ({"x": 1}, {}, r"but returned the keys \['x'\]"),
            ({"input_ids": [[5, 6]]}, {}, "but returned `input_ids` of type list"),
            ({"input_ids": np.array([5, 6])}, {}, r"but returned `input_ids` of shape \(2,\)"),
            ({"input_ids": np.array([[5, 99]])}, {}, "within the tokenizer's vocabulary, 0 to 50, but got 99"),
            ({"input_ids": np.array([[5.0, 6.0]])}, {}, "`input_ids` must be integers"),
            (
                {"input_ids": np.array([[5, 6]]), "attention_mask": np.ones((1, 2, 2))},
                {},
                r"`attention_mask` must have a value for each token .*, \(1, 2\), but got shape \(1, 2, 2\)",
            ),
            (
                {"input_ids": np.array([[5, 6]])},
                {"strategy": "entity"},
                r"`labels` must have a value for each token .*, \(1, 2\), but it has none",
            ),
            (
                {"input_ids": np.array([[5, 6]]), "labels": np.array([1])},
                {"strategy": "entity"},
                r"`labels` must have a value for each token .*, \(1, 2\), but got shape \(1,\)",
            ),
            (
                {"input_ids": np.array([[5, 6]])},
                {"target": "delete", "per_token_columns": ["scores"]},
                r"`scores` must have a value for each token .*, \(1, 2\), .* but it has no such column",
            ),
            (
                {"input_ids": np.array([[5, 6]]), "token_type_ids": np.array([[0]])},
                {"target": "delete"},
                r"`token_type_ids` must have a value for each token .* but it has shape \(1, 1\)",
            ),
        ],
    )
    def test_batches_that_cannot_be_masked(self, wordpiece, batch, options, message) -> None:
        collator = _masking(_returns(batch), tokenizer=wordpiece, **options)
        with pytest.raises(ValueError, match=message):
            collator([])

    @pytest.mark.filterwarnings("ignore:Using `DataCollatorWithFlattening`")  # says transformers 4
    def test_rows_of_several_sequences(self, wordpiece) -> None:
        collator = _masking(DataCollatorWithFlattening(), tokenizer=wordpiece)
        with pytest.raises(ValueError, match="`collator` must return one sequence per row"):
            collator([{"input_ids": [5, 6]}, {"input_ids": [7, 8]}])

    def test_a_schedule_whose_step_is_not_known(self, wordpiece) -> None:
        collator = _masking(DataCollatorWithPadding(wordpiece), mlm_probability=SCHEDULE)
        with pytest.raises(ValueError, match="the current optimizer step is unknown"):
            collator([wordpiece("the cat")])
