"""Samples are the inverse of the cumulative distribution, to the bit, and follow the softmax."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import chisquare
from support import sampling_oracle

from hf_dynmask.modeling import categorical_sampling
from hf_dynmask.modeling.categorical_sampling import sample_ids

DRAWS = st.sampled_from([0, 1, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
LOGITS = st.floats(-30, 30, width=32) | st.just(-np.inf)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 12).flatmap(
        lambda size: st.lists(
            st.tuples(st.lists(LOGITS, min_size=size, max_size=size).filter(lambda row: max(row) > -np.inf), DRAWS),
            max_size=4,
        )
    ),
    temperature=st.sampled_from([0.1, 1.0, 7.5]),
)
def test_samples_are_those_of_the_oracle(rows, temperature) -> None:
    size = len(rows[0][0]) if rows else 3
    logits = torch.tensor([row for row, _ in rows], dtype=torch.float32).reshape(len(rows), size)
    draws = torch.tensor([drawn for _, drawn in rows], dtype=torch.int64)
    sampled = sample_ids(logits, draws, temperature)
    assert sampled.dtype == torch.int64
    assert sampled.tolist() == [sampling_oracle.sampled(row, drawn, temperature) for row, drawn in rows]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_those_of_the_softmax(dtype, temperature) -> None:
    logits = torch.tensor([1.0, -0.5, 0.25, 2.0, -30.0, -1.5, 0.0], dtype=dtype)
    draws = torch.from_numpy(np.random.default_rng(0).integers(0, 2**32, 20_000))
    counts = np.bincount(sample_ids(logits.expand(len(draws), -1), draws, temperature), minlength=7)
    likely = [0, 1, 2, 3, 5, 6]  # one id is too rare to expect
    probs = softmax(logits.double().numpy()[likely] / temperature)
    assert counts[4] == 0
    assert chisquare(counts[likely], probs * len(draws)).pvalue > 0.001


def test_a_low_temperature_gives_the_most_probable_id() -> None:
    logits = torch.randn(200, 50, generator=torch.Generator().manual_seed(1))
    draws = torch.from_numpy(np.random.default_rng(1).integers(0, 2**32, 200))
    for temperature in (1e-6, 1e-300):
        assert torch.equal(sample_ids(logits, draws, temperature), logits.argmax(-1))
    assert not torch.equal(sample_ids(logits, draws, 1.0), logits.argmax(-1))


@pytest.mark.parametrize("id_", [0, 7, 2**18 - 1])
def test_the_weights_of_a_large_vocabulary_do_not_overflow(id_) -> None:
    logits, draws = torch.zeros(2, 2**18), torch.tensor([id_ << 14, (id_ + 1 << 14) - 1])
    assert sample_ids(logits, draws, 1.0).tolist() == [id_, id_], "each id has 2**14 of the draws"


def test_a_sample_depends_on_its_row_only(monkeypatch) -> None:
    logits = torch.randn(30, 1000, generator=torch.Generator().manual_seed(2))
    draws = torch.from_numpy(np.random.default_rng(2).integers(0, 2**32, 30))
    sampled = sample_ids(logits, draws, 1.0)
    assert sampled.tolist() == [int(sample_ids(logits[i : i + 1], draws[i : i + 1], 1.0)) for i in range(30)]
    monkeypatch.setattr(categorical_sampling, "_CHUNK", 7000)
    assert torch.equal(sample_ids(logits, draws, 1.0), sampled)
    assert torch.equal(sample_ids(logits.T.contiguous().T, draws, 1.0), sampled)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value) -> None:
    logits = torch.tensor([[0.0, 1.0], [value, value]])
    with pytest.raises(ValueError, match="`logits` must have a finite maximum at each masked token"):
        sample_ids(logits, torch.tensor([0, 0]), 1.0)
