"""What a training's batches held, counted on the batches themselves: tokens, and how many of them were masked."""

from collections.abc import Callable, Mapping

import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.ner.data.encoding import IGNORED

Batch = Mapping[str, torch.Tensor]
Count = Callable[[Batch], torch.Tensor]


def mlm_counts(tokenizer: PreTrainedTokenizerBase) -> Count:
    """Counts a batch of masked language modeling, where what is masked has a label: int64 `[3]`, which are all tokens,
    those that could be masked, and those that are.
    """
    return lambda batch: _counts(batch, batch["labels"] != IGNORED, tokenizer)


def ner_counts(tokenizer: PreTrainedTokenizerBase) -> Count:
    """As [`mlm_counts`], of fine-tuning, where what is masked is the mask token and has the labels of its word."""
    return lambda batch: _counts(batch, batch["input_ids"] == tokenizer.mask_token_id, tokenizer)


def _counts(batch: Batch, masked: torch.Tensor, tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """On the batch's device, and without waiting for it."""
    attended = batch["attention_mask"].bool()
    masked = masked & attended
    special = torch.zeros_like(attended)
    for token in tokenizer.all_special_ids:
        special |= batch["input_ids"] == token
    maskable = attended & (masked | ~special)
    return torch.stack([attended.sum(), maskable.sum(), masked.sum()])


class TokenCounter:
    """Adds up the counts of a training's batches, and tells them to the logs."""

    def __init__(self) -> None:
        self._total, self._last_total = torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)

    def add(self, counts: torch.Tensor) -> None:
        """The counts of a batch of this rank; they stay on its device."""
        self._total = self._total.to(counts.device) + counts

    def logs(self, reduce: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, float]:
        """`num_input_tokens_seen` so far, and `masked_fraction`, the share of maskable tokens that were masked since
        the last call; of all ranks, over which `reduce` sums a tensor.
        """
        total = reduce(self._total.clone()).cpu()
        _, maskable, masked = (total - self._last_total).tolist()
        self._last_total = total
        return {"num_input_tokens_seen": int(total[0]), "masked_fraction": masked / max(maskable, 1)}
