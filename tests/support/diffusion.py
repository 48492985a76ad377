"""A toy model of masked diffusion whose bounds can be enumerated: its logits are a table over all masked texts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import torch

LENGTH, WORDS = 4, 3
FIRST_WORD, MASK, VOCABULARY = 5, 4, 9  # of the `wordpiece` tokenizer, whose special tokens come first
TEXT = (5, 7, 6, 5)

Mask = tuple[bool, ...]
MASKS: list[Mask] = [mask for mask in itertools.product((False, True), repeat=LENGTH) if any(mask)]


class TableModel(torch.nn.Module):
    """Random logits of the last tokens of a sequence, as a function of these tokens, masked or not."""

    def __init__(self, vocabulary: int = VOCABULARY) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = torch.nn.Parameter(2 * torch.randn((WORDS + 1) ** LENGTH, LENGTH, vocabulary, generator=generator))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        text = input_ids[:, -LENGTH:]
        digits = torch.where(text == MASK, WORDS, text - FIRST_WORD)
        codes = (digits * (WORDS + 1) ** torch.arange(LENGTH)).sum(1)
        padding = (0, 0, input_ids.shape[1] - LENGTH, 0)
        return {"logits": torch.nn.functional.pad(self.table[codes], padding)}


def masked(mask: Mask, text: Sequence[int] = TEXT) -> tuple[torch.Tensor, torch.Tensor]:
    """`input_ids` and `labels` of a text with this mask, int64 `[1, length]` each."""
    is_masked, ids = torch.tensor([mask]), torch.tensor([text])
    return ids.where(~is_masked, MASK), ids.where(is_masked, -100)


def nats(model: torch.nn.Module) -> Callable[[Mask], list[float]]:
    """A function of a mask: `-log p(token | masked text)` of each token, 0 where it is not masked."""
    inputs = torch.cat([masked(mask)[0] for mask in MASKS])
    with torch.no_grad():
        log_probs = model(inputs)["logits"].double().log_softmax(-1)[:, range(LENGTH), TEXT]
    table = (-log_probs * torch.tensor(MASKS)).tolist()
    return dict(zip(MASKS, table, strict=True)).__getitem__


def nelbo(nats_of: Callable[[Mask], Sequence[float]], blocks: Iterable[Sequence[int]] = (range(LENGTH),)) -> float:
    """The sum over all masks of their probability at the rates of the blocks, over the rate of each masked token.

    Each rate is integrated over (0, 1): `t^m (1 - t)^(n - m)` where `m` of `n` tokens of a block are masked, and
    `t^(m - 1) (1 - t)^(n - m)` in the block of the token itself.
    """
    blocks, total = list(blocks), 0.0
    for mask in MASKS:
        counts = [(sum(mask[i] for i in block), len(block)) for block in blocks]
        for own, block in enumerate(blocks):
            if counts[own][0]:
                losses = sum(nats_of(mask)[i] for i in block)
                total += losses * math.prod(beta(m + (k != own), n - m + 1) for k, (m, n) in enumerate(counts))
    return total


def mean_over_orders(nats_of: Callable[[Mask], Sequence[float]]) -> float:
    """The negative log-likelihood of the text, averaged over the orders in which its tokens are revealed."""
    orders = list(itertools.permutations(range(LENGTH)))
    total = 0.0
    for order in orders:
        for step, i in enumerate(order):
            total += nats_of(tuple(j in order[step:] for j in range(LENGTH)))[i]
    return total / len(orders)


def beta(a: int, b: int) -> float:
    return math.gamma(a) * math.gamma(b) / math.gamma(a + b)
