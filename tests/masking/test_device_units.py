"""Words, spans, packed rows and drawn rates on the device have the masks of the collator, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tokenizers_zoo
from support.extended import pairs
from torch._subclasses.fake_tensor import FakeTensorMode

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    cosine_rate,
    strategies,
    truncated_normal_rate,
    uniform_rate,
)
from hf_dynmask.batching.packing import Packing
from hf_dynmask.on_device import device_plan, mask_tokens
from hf_dynmask.rates.distributions import RateDistribution

EVERY = settings(derandomize=True, deadline=None, max_examples=60)
STRATEGIES: dict[str, Any] = {
    "token": "token",
    "whole_word": "whole_word",
    "short words": strategies.whole_word(max_word_length=2),
    "unsplit words": strategies.whole_word(max_word_length=None),
    "span": "span",
    "ngram": "ngram",
    "spans of tokens": strategies.span(strategies.fixed_lengths(3), unit="token"),
    "long spans": strategies.span(strategies.geometric_lengths(0.02, 200)),
}
RATES: dict[str, Any] = {
    "number": 0.4,
    "all": 1.0,
    "uniform": uniform_rate(0.1, 0.9),
    "normal": truncated_normal_rate(),
    "cosine": cosine_rate(),
}
TOKENIZERS = ["bert_uncased", "roberta", "xlm_r", "clip", "byt5"]
LENGTHS = st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(any)
BACKEND = "aot_eager"


def _examples(tokenizer: Any, lengths: list[int], seed: int, columns: bool) -> list[dict[str, Any]]:
    """Sequences of any ids, in which the same tokens often follow each other, with columns that exclude tokens."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, len(tokenizer), 40)
    examples = []
    for length in lengths:
        example = {"input_ids": ids[random.integers(0, 40, length)]}
        if columns:
            example["special_tokens_mask"] = random.integers(0, 6, length) // 5
            example["labels"] = np.where(random.integers(0, 3, length) > 0, 1, -100)
        examples.append(example)
    return examples


def _padded(examples: list[dict[str, Any]], name: str) -> torch.Tensor:
    longest = max(len(example["input_ids"]) for example in examples)
    return torch.tensor(np.array([np.pad(example[name], (0, longest - len(example[name]))) for example in examples]))


def _attention(examples: list[dict[str, Any]]) -> torch.Tensor:
    return _padded([{**each, "ones": np.ones(len(each["input_ids"]), np.int64)} for each in examples], "ones")


def _expected(tokenizer: Any, examples: Any, name: str, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    collator = DataCollatorForDynamicMasking(tokenizer, strategy=STRATEGIES[name], seed=3, **options)
    batch = collator([dict(each, attention_mask=[1] * len(each["input_ids"])) for each in examples], epoch=2)
    return batch["input_ids"], batch["labels"]


def _packed(tokenizer: Any, examples: Any, packing: Packing) -> Any:
    """A packed batch without masks, with the columns that exclude tokens laid out like its ids."""
    names = [name for name in examples[0] if name != "input_ids"]
    renamed = [
        {"input_ids": each["input_ids"], "attention_mask": [1] * len(each["input_ids"])}
        | {f"the {name}": each[name] for name in names}
        for each in examples
    ]
    columns = [f"the {name}" for name in names]
    unmasked = DataCollatorForDynamicMasking(
        tokenizer, 0.0, min_masked=0, packing=packing, per_token_columns=columns, mask_replace_prob=0.0
    )(renamed, epoch=0)
    return unmasked["input_ids"], {name: unmasked[f"the {name}"] for name in names}, unmasked


def _plan(tokenizer: Any, name: str, min_masked: int) -> Any:
    return device_plan(tokenizer, "cpu", strategy=STRATEGIES[name], seed=3, min_masked=min_masked)


@pytest.mark.parametrize(("name", "rate"), pairs(STRATEGIES, RATES))
@EVERY
@given(
    lengths=LENGTHS,
    seed=st.integers(0, 99),
    columns=st.booleans(),
    min_masked=st.sampled_from([0, 1, 2, 7]),
    tokenizer=st.sampled_from(TOKENIZERS),
    layout=st.sampled_from(["padded", "rows", "one row"]),
)
def test_masks_are_those_of_the_collator(name, rate, lengths, seed, columns, min_masked, tokenizer, layout) -> None:
    tokenizer = getattr(tokenizers_zoo, tokenizer)()
    if tokenizer.mask_token is None:
        return
    examples = _examples(tokenizer, lengths, seed, columns)
    options: dict[str, Any] = {"mlm_probability": RATES[rate], "min_masked": min_masked}
    plan = _plan(tokenizer, name, min_masked)
    if layout == "padded":
        expected = _expected(tokenizer, examples, name, **options)
        given_columns = {key: _padded(examples, key) for key in examples[0]}
        ids = given_columns.pop("input_ids")
        attention = _attention(examples)
        ours = mask_tokens(ids, plan, epoch=2, mlm_probability=RATES[rate], attention_mask=attention, **given_columns)
        attended = attention == 1
        assert torch.equal(ours[0][attended], expected[0][attended])
        assert torch.equal(ours[1], expected[1])
        return
    packing = Packing(one_row=layout == "one row")
    expected = _expected(tokenizer, examples, name, packing=packing, **options)
    ids, given_columns, batch = _packed(tokenizer, examples, packing)
    boundaries = {"cu_seq_lens": batch["cu_seq_lens_q"]} if packing.one_row else {"seq_idx": batch["seq_idx"]}
    ours = mask_tokens(ids, plan, epoch=2, mlm_probability=RATES[rate], **given_columns, **boundaries)
    assert torch.equal(ours[0], expected[0])
    assert torch.equal(ours[1], expected[1])


@pytest.mark.parametrize("name", ["token", "whole_word", "span"])
@EVERY
@given(lengths=LENGTHS, seed=st.integers(0, 99))
def test_padding_may_be_anywhere(wordpiece, name, lengths, seed) -> None:
    """Words and spans go on after it."""
    random = np.random.default_rng(seed)
    examples = _examples(wordpiece, lengths, seed, columns=False)
    ids = _padded(examples, "input_ids")
    attention = torch.tensor(random.integers(0, 4, ids.shape) > 0).long()
    collator = DataCollatorForDynamicMasking(wordpiece, 0.4, strategy=STRATEGIES[name], seed=3, min_masked=2)
    rows = [{"input_ids": row, "attention_mask": mask} for row, mask in zip(ids, attention, strict=True)]
    expected = collator(rows, epoch=2)
    ours = mask_tokens(ids, _plan(wordpiece, name, 2), epoch=2, mlm_probability=0.4, attention_mask=attention)
    assert torch.equal(ours[0], expected["input_ids"])
    assert torch.equal(ours[1], expected["labels"])


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("layout", ["padded", "rows", "one row"])
def test_a_rate_for_each_sequence(wordpiece, name, layout) -> None:
    """In the order of the sequences, whatever row they are in."""
    lengths = [9, 30, 4, 17, 12]
    rates = torch.linspace(0.1, 0.9, len(lengths), dtype=torch.float64)
    examples, plan = _examples(wordpiece, lengths, 1, columns=False), _plan(wordpiece, name, 1)
    alone = [
        mask_tokens(torch.tensor(each["input_ids"])[None], plan, epoch=0, mlm_probability=float(rate))[1][0].tolist()
        for each, rate in zip(examples, rates, strict=True)
    ]
    if layout == "padded":
        labels = mask_tokens(
            _padded(examples, "input_ids"), plan, epoch=0, mlm_probability=rates, attention_mask=_attention(examples)
        )[1]
        found = [row[:length].tolist() for row, length in zip(labels, lengths, strict=True)]
    else:
        ids, _, batch = _packed(wordpiece, examples, Packing(one_row=layout == "one row"))
        boundaries = {"seq_idx": batch["seq_idx"]} if "seq_idx" in batch else {"cu_seq_lens": batch["cu_seq_lens_q"]}
        labels = mask_tokens(ids, plan, epoch=0, mlm_probability=rates, **boundaries)[1]
        if layout == "rows":
            found = [labels[batch["seq_idx"] == number].tolist() for number in range(len(lengths))]
        else:
            found = [part.tolist() for part in labels[0].split(lengths)]
    assert found == alone


@pytest.mark.parametrize("min_masked", [0, 1, 3])
@pytest.mark.parametrize("name", ["token", "whole_word", "span"])
def test_no_value_is_asked_for_and_it_compiles_to_one_graph(wordpiece, name, min_masked) -> None:
    examples = _examples(wordpiece, [9, 30, 4, 17, 12], 1, columns=True)
    ids, columns, batch = _packed(wordpiece, examples, Packing(one_row=False))
    plan = _plan(wordpiece, name, min_masked)
    arguments = {"epoch": torch.tensor(3), "mlm_probability": uniform_rate(0.1, 0.5), "seq_idx": batch["seq_idx"]}
    expected = mask_tokens(ids, plan, **arguments, **columns)
    torch.compiler.reset()
    compiled = torch.compile(mask_tokens, backend=BACKEND, fullgraph=True)
    assert all(map(torch.equal, compiled(ids, plan, **arguments, **columns), expected))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = mode.from_tensor(ids)
        assert mask_tokens(fake, plan, **arguments, **columns)[0].shape == ids.shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", STRATEGIES)
def test_on_cuda(wordpiece, name) -> None:
    examples = _examples(wordpiece, [9, 30, 4, 17, 12] * 40, 1, columns=True)
    ids, columns, batch = _packed(wordpiece, examples, Packing(one_row=False))
    arguments = {"mlm_probability": 0.3, "seq_idx": batch["seq_idx"], **columns}
    expected = mask_tokens(ids, _plan(wordpiece, name, 2), epoch=1, **arguments)
    moved = {key: value.cuda() if isinstance(value, torch.Tensor) else value for key, value in arguments.items()}
    plan = device_plan(wordpiece, "cuda", strategy=STRATEGIES[name], seed=3, min_masked=2)
    found = mask_tokens(ids.cuda(), plan, epoch=1, **moved)
    assert all(torch.equal(each.cpu(), other) for each, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("entity", "`strategy` must mask tokens, words or spans with equal probabilities .* <Strategy entity>"),
        ("position", "<Strategy position:block>"),
        (strategies.weighted(lambda tokens, units: np.ones(len(units))), "<Strategy weighted>"),
        (strategies.whole_word(segmenter=str.split), "<Strategy whole_word>"),
        ("spam", "`strategy` must be"),
    ],
    ids=["entity", "position", "weighted", "segmenter", "unknown"],
)
def test_other_strategies_are_refused(wordpiece, strategy, message) -> None:
    with pytest.raises(ValueError, match=message):
        device_plan(wordpiece, "cpu", strategy=strategy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seq_idx": torch.zeros(2, 3)}, r"`seq_idx` must be integers, but got torch.float32 \[2, 3\]"),
        ({"seq_idx": torch.zeros(2, 4, dtype=torch.int32)}, "`seq_idx` must be a tensor of the shape"),
        ({"seq_idx": [[0, 0, 1]]}, "`seq_idx` must be a tensor of the shape .* got a list"),
        ({"cu_seq_lens": torch.tensor([0, 3])}, r"`input_ids` must be one row, `\[1, tokens\]`, with `cu_seq_lens`"),
        ({"cu_seq_lens": torch.tensor([0.0, 3.0])}, r"`cu_seq_lens` must be integers `\[sequences \+ 1\]`"),
        ({"cu_seq_lens": [0, 3]}, "`cu_seq_lens` must be integers .* got a list"),
        (
            {"seq_idx": torch.zeros(2, 3, dtype=torch.int32), "cu_seq_lens": torch.tensor([0, 3])},
            "`cu_seq_lens` must be None with `seq_idx`",
        ),
        ({"mlm_probability": RateDistribution(lambda draws: draws)}, "a distribution of this package without"),
        (
            {"mlm_probability": uniform_rate(low_discrepancy=True)},
            "without `low_discrepancy` and `block_size` on",
        ),
    ],
    ids=["floats", "shape", "list", "rows", "float ends", "list of ends", "both", "custom", "low discrepancy"],
)
def test_errors(wordpiece, changes, message) -> None:
    arguments = {"input_ids": torch.tensor([[5, 6, 7], [8, 9, 10]]), "epoch": 0, **changes}
    with pytest.raises(ValueError, match=message):
        mask_tokens(plan=device_plan(wordpiece, "cpu"), **arguments)


def test_a_rate_for_too_many_sequences_is_refused(wordpiece) -> None:
    plan, rates = device_plan(wordpiece, "cpu"), torch.rand(3)
    arguments = {"cu_seq_lens": torch.tensor([0, 1, 3]), "mlm_probability": rates}
    with pytest.raises(ValueError, match=r"one for each of 2 sequences .* got torch.float32 \[3\]"):
        mask_tokens(torch.tensor([[5, 6, 7]]), plan, epoch=0, **arguments)
