"""A discriminator's batch: samples that depend on the example alone, in every layout, and labels for both heads."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from support import oracle, sampling_oracle
from support.mlm_models import OTHER_SIZES, SIZES, VOCABULARY, mlm_model
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    BatchEncoding,
    ElectraConfig,
    ElectraForPreTraining,
    ElectraForTokenClassification,
    masking_utils,
)

from hf_dynmask import DataCollatorForDynamicMasking, packed_attention, sparse_prediction
from hf_dynmask.batching.packing import Packing
from hf_dynmask.core.draws import Purpose
from hf_dynmask.modeling.replaced_tokens import replaced_token_batch

LAYOUTS: dict[str, dict[str, Any]] = {
    "right": {},
    "left": {"pad_to_multiple_of": 8},
    "padding-free": {"padding_free": True},
    "padding-free, seq_idx": {"padding_free": True, "return_seq_idx": True, "return_flash_attn_kwargs": False},
    "padding-free, positions": {"padding_free": True, "position_ids_start": 2, "return_flash_attn_kwargs": False},
    "padding-free, filled up": {"padding_free": True, "pad_to_multiple_of": 16},
    "packed": {"packing": Packing(one_row=False, position_ids_start=0)},
}
ROWS = st.lists(st.lists(st.integers(5, VOCABULARY - 1), min_size=1, max_size=12), min_size=1, max_size=5)
TABLE = torch.randn(VOCABULARY + 1, VOCABULARY + 1, generator=torch.Generator().manual_seed(0))


def _collated(tokenizer: Any, rows: list[list[int]], layout: str = "right", epoch: int = 0, **options: Any) -> Any:
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.padding_side = "left" if layout == "left" else "right"
    collator = DataCollatorForDynamicMasking(tokenizer, 0.5, seed=3, **{**LAYOUTS[layout], **options})
    return collator([{"input_ids": [2, *row, 3]} for row in rows], epoch=epoch)


def _original(batch: Any) -> torch.Tensor:
    return torch.where(batch["labels"] == -100, batch["input_ids"], batch["labels"])


def _logits(batch: Any) -> torch.Tensor:
    """Those of a generator that sees the original token only."""
    return TABLE[_original(batch)]


def _by_sequence(values: torch.Tensor, batch: Any, lengths: list[int]) -> list[list[int]]:
    if "attention_mask" in batch:
        return [row[seen.bool()].tolist() for row, seen in zip(values, batch["attention_mask"], strict=True)]
    if "seq_idx" in batch:
        return [values[batch["seq_idx"] == i].tolist() for i in range(len(lengths))]
    return [part.tolist() for part in values[0, : sum(lengths)].split(lengths)]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    rows=ROWS,
    layout=st.sampled_from(list(LAYOUTS)),
    seed=st.sampled_from([0, -1, 2**70]),
    epoch=st.sampled_from([0, 1, 2**40]),
    temperature=st.sampled_from([0.5, 1.0]),
)
def test_samples_are_those_of_the_oracle_in_every_layout(wordpiece, rows, layout, seed, epoch, temperature) -> None:
    batch = _collated(wordpiece, rows, layout, epoch)
    replaced = replaced_token_batch(batch, _logits(batch), temperature=temperature, seed=seed, epoch=epoch)
    lengths = [len(row) + 2 for row in rows]
    masked, found, labels = (
        _by_sequence(values, batch, lengths)
        for values in (batch["labels"] != -100, replaced["input_ids"], replaced["labels"])
    )
    for i, row in enumerate(rows):
        original = [2, *row, 3]
        key, expected = oracle.key(seed, original, epoch), list(original)
        for position, is_masked in enumerate(masked[i]):
            if is_masked:
                drawn = oracle.draw(key, position, Purpose.SAMPLE)
                logits = TABLE[original[position]].tolist()
                expected[position] = sampling_oracle.sampled(logits, drawn, temperature)
        assert found[i] == expected
        assert labels[i] == [int(a != b) for a, b in zip(expected, original, strict=True)]


def test_padding_and_the_other_columns_stay(wordpiece) -> None:
    for layout in LAYOUTS:
        batch = _collated(wordpiece, [[5, 6, 7, 8, 9, 10], [6], [7, 8]], layout, return_mask_rate=True)
        before = copy.deepcopy(dict(batch))
        replaced = replaced_token_batch(batch, _logits(batch), epoch=0)
        assert type(replaced) is BatchEncoding
        assert replaced["input_ids"].dtype == replaced["labels"].dtype == torch.int64
        assert set(replaced) == set(batch) - {"mask_rate"}
        assert batch.keys() == before.keys()
        assert all(torch.equal(torch.as_tensor(batch[name]), torch.as_tensor(before[name])) for name in before)
        assert all(replaced[name] is batch[name] for name in set(replaced) - {"input_ids", "labels"})
        masked = batch["labels"] != -100
        assert torch.equal(replaced["input_ids"][~masked], batch["input_ids"][~masked])
        padding = torch.zeros_like(masked)
        if "attention_mask" in batch:
            padding = batch["attention_mask"] == 0
        elif "seq_idx" in batch:
            padding = batch["seq_idx"] < 0
        assert torch.equal(replaced["labels"] == -100, padding)


def test_the_samples_follow_seed_and_epoch(wordpiece) -> None:
    batch = dict(_collated(wordpiece, [list(range(5, 45))]))
    state = torch.get_rng_state()

    def ids(**options: Any) -> list[int]:
        replaced = replaced_token_batch(batch, torch.zeros(1, 42, VOCABULARY), **options)
        assert type(replaced) is dict
        return replaced["input_ids"][0].tolist()

    assert ids(epoch=0) == ids(seed=0, epoch=0) == ids(epoch=torch.tensor(0))
    with pytest.raises(ValueError, match="`epoch` must be given with `logits`"):
        ids()
    assert len({tuple(ids(seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(3)}) == 9
    assert torch.equal(torch.get_rng_state(), state)


def test_a_sample_that_equals_the_original_counts_as_original(wordpiece) -> None:
    batch = _collated(wordpiece, [[5 + (start + i) % 40 for i in range(60)] for start in range(20)])
    original = _original(batch)
    logits = torch.nn.functional.one_hot(original, VOCABULARY + 1).float() * 4.0
    replaced = replaced_token_batch(batch, logits, epoch=0)
    assert torch.equal(replaced["labels"], (replaced["input_ids"] != original).long())
    masked = batch["labels"] != -100
    prob = logits.softmax(-1).gather(-1, original[..., None])[0, 0, 0].item()
    kept = int((replaced["labels"][masked] == 0).sum())
    assert binomtest(kept, int(masked.sum()), prob).pvalue > 0.001
    assert not replaced_token_batch(batch, logits, temperature=1e-3, epoch=0)["labels"].any()


@pytest.mark.parametrize("layout", ["right", "left"])
def test_sparse_logits_give_the_samples_of_all_logits(wordpiece, layout) -> None:
    batch = _collated(wordpiece, [[5, 6, 7, 8, 9], [10, 11], [7] * 9], layout)
    generator = mlm_model(vocab_size=len(wordpiece), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    with sparse_prediction(generator):
        sparse = generator(**batch).logits
    assert sparse.shape[:2] == (1, int((batch["labels"] != -100).sum()))
    samples = [
        replaced_token_batch(batch, logits, epoch=0)["input_ids"] for logits in (generator(**batch).logits, sparse)
    ]
    assert torch.equal(*samples)
    assert torch.equal(replaced_token_batch(batch, sparse[0], epoch=0)["input_ids"], samples[0])
    assert not samples[0].requires_grad


def test_a_batch_without_masked_tokens(wordpiece) -> None:
    batch = _collated(wordpiece, [[1], [1, 1]], min_masked=0)  # unknown tokens
    for logits in (torch.zeros(2, 4, VOCABULARY), torch.zeros(1, 0, VOCABULARY), None):
        replaced = replaced_token_batch(batch, logits, epoch=0)
        assert torch.equal(replaced["input_ids"], batch["input_ids"])
        assert replaced["labels"].tolist() == [[0, 0, 0, -100], [0, 0, 0, 0]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_random_token_substitution(wordpiece, layout) -> None:
    rows = [[5, 6, 7, 8, 9, 10] * 4, [11, 12]]
    batch = _collated(wordpiece, rows, layout, mask_replace_prob=0.0, random_replace_prob=1.0)
    replaced = replaced_token_batch(batch)
    assert torch.equal(replaced["input_ids"], batch["input_ids"])
    lengths = [len(row) + 2 for row in rows]
    found, labels = (_by_sequence(values, batch, lengths) for values in (replaced["input_ids"], replaced["labels"]))
    originals = [[2, *row, 3] for row in rows]
    assert labels == [[int(a != b) for a, b in zip(*pair, strict=True)] for pair in zip(found, originals, strict=True)]
    assert sum(map(sum, labels)) > 5


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by DeBERTa in transformers 4
@pytest.mark.parametrize("layout", ["right", "left"])
def test_the_losses_of_both_heads_leave_padding_out(wordpiece, layout) -> None:
    batch = _collated(wordpiece, [[5, 6, 7, 8, 9], [10, 11], [7] * 9], layout)
    replaced = replaced_token_batch(batch, _logits(batch), epoch=0)
    seen = replaced["attention_mask"].bool()
    sizes = {**SIZES, "vocab_size": VOCABULARY + 1}
    torch.manual_seed(0)
    electra = ElectraForPreTraining(ElectraConfig(**sizes, **OTHER_SIZES["electra"])).eval()
    output = electra(**replaced)
    expected = binary_cross_entropy_with_logits(output.logits[seen], replaced["labels"][seen].float())
    torch.testing.assert_close(output.loss, expected)
    config = AutoConfig.for_model("deberta-v2", **sizes, num_labels=2)
    deberta = AutoModelForTokenClassification.from_config(config).eval()
    output = deberta(**replaced)
    torch.testing.assert_close(output.loss, cross_entropy(output.logits[seen], replaced["labels"][seen]))


@pytest.mark.skipif(not hasattr(masking_utils, "create_bidirectional_mask"), reason="needs transformers 5")
def test_the_loss_of_packed_rows_is_that_of_padded_ones(wordpiece) -> None:
    rows = [[5, 6, 7, 8, 9], [10, 11], [7] * 9, [12]]
    torch.manual_seed(0)
    config = ElectraConfig(**{**SIZES, "vocab_size": VOCABULARY + 1}, **OTHER_SIZES["electra"], num_labels=2)
    model = ElectraForTokenClassification(config).eval()
    padded = _collated(wordpiece, rows)
    packed = _collated(wordpiece, rows, packing=packed_attention(model))
    assert packed["input_ids"].shape[0] < len(rows)
    assert (packed["seq_idx"] < 0).any()
    losses = [model(**replaced_token_batch(batch, _logits(batch), epoch=0)).loss for batch in (padded, packed)]
    torch.testing.assert_close(*losses)


IDS = torch.tensor([[5, 6, 7]])
BATCH = {"input_ids": IDS, "labels": torch.tensor([[-100, 6, -100]])}


@pytest.mark.parametrize(
    ("batch", "arguments", "message"),
    [
        (IDS, {}, "`batch` must be a mapping whose `input_ids` are an int64 tensor .* but got torch.int64"),
        ({}, {}, r"whose `input_ids` are an int64 tensor .* but got the keys \[\]"),
        ({"input_ids": IDS}, {}, r"whose `labels` are an int64 tensor .* but got the keys \['input_ids'\]"),
        ({**BATCH, "labels": IDS.numpy()}, {}, "whose `labels` .* but got a ndarray"),
        ({**BATCH, "input_ids": IDS.int()}, {}, "whose `input_ids` .* but got torch.int32"),
        ({**BATCH, "labels": IDS[:, :2]}, {}, r"must have `labels` for its `input_ids`, .* got torch.int64 \[1, 2\]"),
        (
            {**BATCH, "attention_mask": IDS[0]},
            {},
            r"`attention_mask` must have a value for each token .* torch.int64 \[3\]",
        ),
        ({**BATCH, "seq_idx": [0, 0, 0]}, {}, "`seq_idx` must have a value for each token .* but got a list"),
        ({**BATCH, "cu_seq_lens_q": IDS}, {}, r"`cu_seq_lens_q` must be integers .* got torch.int64 \[1, 3\]"),
        (BATCH, {"logits": IDS}, "`logits` must be a tensor of floats .* but got torch.int64"),
        (BATCH, {"logits": [[0.0]]}, "`logits` must be a tensor of floats .* but got a list"),
        (BATCH, {"logits": torch.zeros(1, 2, 9)}, r"`logits` must be `\[1, 3, vocabulary\]`, or `\[1, 1, vocab.*got"),
        (BATCH, {"logits": torch.zeros(1, 3, 0)}, "`logits` must be a tensor of floats"),
        (BATCH, {"logits": torch.full((1, 3, 9), torch.nan)}, "`logits` must have a finite maximum"),
        (BATCH, {"temperature": 2.0}, "`temperature` must be left at 1.0 without `logits`.* got 2.0"),
        (BATCH, {"logits": torch.zeros(1, 3, 9), "temperature": 0}, "`temperature` must be a finite number above 0"),
        (BATCH, {"logits": torch.zeros(1, 3, 9), "seed": 0.5}, "`seed` must be an integer, but got 0.5"),
        (BATCH, {"logits": torch.zeros(1, 3, 9), "epoch": -1}, "`epoch` must be an integer of at least 0, but got -1"),
    ],
)
def test_errors(batch, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        replaced_token_batch(batch, **{"epoch": 0, **arguments})
