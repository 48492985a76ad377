"""The loss of masked diffusion is, on average over masks, the bound that an enumeration of all masks gives."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.diffusion import LENGTH, MASKS, TableModel, masked, mean_over_orders, nats, nelbo

from hf_dynmask.modeling.diffusion_loss import masked_diffusion_loss

EVERY = settings(derandomize=True, deadline=None, max_examples=25)
HALVES = ((0, 1), (2, 3))


@pytest.fixture(scope="module")
def model() -> TableModel:
    return TableModel().requires_grad_(False)


def _quadrature(low: float = 0.0, high: float = 1.0) -> list[tuple[float, float]]:
    """Rates and weights that integrate over [low, high]: exact, as the integrands are polynomials of the rate."""
    nodes, weights = np.polynomial.legendre.leggauss(LENGTH)
    return [
        (low + (high - low) * (1 + node) / 2, (high - low) * weight / 2)
        for node, weight in zip(nodes, weights, strict=True)
    ]


def _expected_loss(model, rates: list[list[float]], weights: list[float], per_token: bool = False) -> float:
    """The mean of the loss over all masks, at the rates of the tokens, weighted."""
    total = 0.0
    for mask in MASKS:
        input_ids, labels = masked(mask)
        logits = model(input_ids)["logits"]
        for rate, weight in zip(rates, weights, strict=True):
            prob = math.prod(t if is_masked else 1 - t for t, is_masked in zip(rate, mask, strict=True))
            mask_rate = torch.tensor([rate]) if per_token else torch.tensor(rate[:1])
            total += weight * prob * masked_diffusion_loss(logits, labels, mask_rate).item()
    return total


def _one_rate(model, low: float, high: float) -> float:
    """The integral of the mean loss over rates in [low, high]."""
    rates, weights = zip(*_quadrature(low, high), strict=True)
    return _expected_loss(model, [[rate] * LENGTH for rate in rates], list(weights))


class TestBound:
    def test_mean_is_the_bound(self, model) -> None:
        expected = nelbo(nats(model))
        assert mean_over_orders(nats(model)) == pytest.approx(expected, rel=1e-9)
        assert _one_rate(model, 0, 1) == pytest.approx(expected, rel=1e-5)

    def test_clipped_rates_miss_both_ends(self, model) -> None:
        expected = nelbo(nats(model))
        clipped, below, above = (_one_rate(model, *ends) for ends in ((0.01, 0.98), (0, 0.01), (0.98, 1)))
        assert below + clipped + above == pytest.approx(expected, rel=1e-5)
        singles = [mask for mask in MASKS if sum(mask) == 1]
        assert below == pytest.approx(0.01 * sum(sum(nats(model)(mask)) for mask in singles), rel=0.05)
        assert above == pytest.approx(0.02 * sum(nats(model)((True,) * LENGTH)), rel=0.05)

    def test_rates_of_blocks(self, model) -> None:
        pairs = list(itertools.product(_quadrature(), repeat=2))
        rates = [[first, first, second, second] for (first, _), (second, _) in pairs]
        weights = [first * second for (_, first), (_, second) in pairs]
        expected = nelbo(nats(model), HALVES)
        assert _expected_loss(model, rates, weights, per_token=True) == pytest.approx(expected, rel=1e-5)

    def test_blocks_that_see_each_other_masked_have_no_bound(self) -> None:
        """Four equal words, each of three with the same probability: one word that is not masked shows all others."""

        def exact(mask: tuple[bool, ...]) -> list[float]:
            return [math.log(3) if all(mask) else 0.0] * LENGTH

        assert nelbo(exact) == pytest.approx(math.log(3))
        assert nelbo(exact, HALVES) == pytest.approx(2 / 3 * math.log(3))


@st.composite
def _batches(draw) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, labels and the rates of tokens, of any shape, with any number of masked tokens."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    batch, length, vocabulary = draw(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(2, 9)))
    logits = 3 * torch.randn(batch, length, vocabulary, generator=generator)
    labels = torch.randint(vocabulary, (batch, length), generator=generator)
    labels[torch.rand(batch, length, generator=generator) < draw(st.sampled_from((0.0, 0.5, 1.0)))] = -100
    return logits, labels, 1 - torch.rand(batch, length, generator=generator)


class TestSums:
    @EVERY
    @given(_batches())
    def test_a_loop_over_tokens(self, batch) -> None:
        logits, labels, rates = batch
        total = 0.0
        for row, i in (labels != -100).nonzero().tolist():
            total -= logits[row, i].double().log_softmax(-1)[labels[row, i]].item() / rates[row, i].item()
        assert masked_diffusion_loss(logits, labels, rates).item() == pytest.approx(total / len(labels), rel=1e-4)
        num_tokens = torch.arange(1, len(labels) + 1)
        for divisor in (num_tokens, num_tokens.sum(), int(num_tokens.sum())):
            loss = masked_diffusion_loss(logits, labels, rates, divisor)
            assert loss.item() == pytest.approx(total / num_tokens.sum().item(), rel=1e-4)

    @EVERY
    @given(_batches())
    def test_a_rate_for_each_sequence(self, batch) -> None:
        logits, labels, rates = batch
        loss = masked_diffusion_loss(logits, labels, rates[:, 0])
        assert loss == masked_diffusion_loss(logits, labels, rates[:, :1].expand_as(labels))

    @EVERY
    @given(_batches())
    def test_packed_rows(self, batch) -> None:
        """All sequences in one row, each with its own rate: the same nats per token."""
        logits, labels, rates = batch
        apart = masked_diffusion_loss(logits, labels, rates[:, 0], labels.numel())
        rates = rates[:, :1].expand_as(labels).reshape(1, -1)
        packed = masked_diffusion_loss(logits.flatten(0, 1)[None], labels.reshape(1, -1), rates, labels.numel())
        assert packed.item() == pytest.approx(apart.item(), rel=1e-5)


class TestEdges:
    def test_no_masked_token(self) -> None:
        logits = torch.randn(2, 3, 5, requires_grad=True)
        for num_tokens in (None, torch.zeros(2), 6):
            loss = masked_diffusion_loss(logits, torch.full((2, 3), -100), torch.zeros(2), num_tokens)
            loss.backward()
            assert loss.item() == 0
        assert not logits.grad.any()

    @pytest.mark.parametrize("num_tokens", [0.5, 2.0])
    def test_a_tensor_is_as_a_number(self, num_tokens) -> None:
        losses = [
            masked_diffusion_loss(LOGITS, LABELS, RATES, value) for value in (num_tokens, torch.tensor(num_tokens))
        ]
        assert losses[0] == losses[1] > 0
        halves = masked_diffusion_loss(LOGITS, LABELS, RATES, torch.full((2,), num_tokens / 2))
        assert halves == losses[0]

    def test_a_rate_of_zero_counts_only_at_masked_tokens(self) -> None:
        logits = torch.randn(2, 2, 5, requires_grad=True)
        labels = torch.tensor([[-100, -100], [3, -100]])
        loss = masked_diffusion_loss(logits, labels, torch.tensor([0.0, 0.5]))
        loss.backward()
        assert loss.isfinite()
        assert logits.grad.isfinite().all()
        assert masked_diffusion_loss(logits, labels, torch.tensor([0.5, 0.0])).item() == math.inf

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision(self, dtype) -> None:
        logits = torch.randn(2, 3, 5).to(dtype).requires_grad_()
        labels = torch.tensor([[1, -100, 2], [-100, 4, -100]])
        loss = masked_diffusion_loss(logits, labels, torch.tensor([0.5, 0.25]))
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.item() == masked_diffusion_loss(logits.float(), labels, torch.tensor([0.5, 0.25])).item()
        assert logits.grad.dtype == dtype


LOGITS, LABELS, RATES = torch.zeros(2, 3, 5), torch.full((2, 3), 1), torch.ones(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((LOGITS, LABELS, None), "`mask_rate` must be a tensor .* got None. Pass `return_mask_rate=True`"),
        (
            (LOGITS, LABELS, torch.ones(3)),
            r"must have one value .* shape \[2, 3\], but got the shape \[3\]",
        ),
        ((LOGITS, LABELS, torch.ones(3, 2)), r"got the shape \[3, 2\].*`return_mask_rate=\"token\"`"),
        ((LOGITS[0], LABELS[0], torch.ones(3)), r"Pass labels `\[batch, length\]`"),
        ((LOGITS[:, :2], LABELS, RATES), r"`logits` must be those of all tokens.*got the shape \[2, 2, 5\]"),
        ((LOGITS.flatten(0, 1)[None], LABELS, RATES), "Call the model without labels, so that `sparse_prediction`"),
        ((LOGITS, LABELS, RATES, torch.ones(3)), r"`num_tokens` must be a number or have one value .* shape \[3\]"),
        ((LOGITS, LABELS, RATES, 0), "`num_tokens` must be a finite number above 0, but got 0"),
    ],
)
def test_errors(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        masked_diffusion_loss(*arguments)
