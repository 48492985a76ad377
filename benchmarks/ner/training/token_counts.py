"""Counts the tokens and the masked tokens of a training, from its batches."""

from collections.abc import Callable, Mapping

import torch
from transformers import PreTrainedTokenizerBase

from benchmarks.ner.data.encoding import IGNORED

Batch = Mapping[str, torch.Tensor]
Count = Callable[[Batch], torch.Tensor]


def mlm_counts(tokenizer: PreTrainedTokenizerBase) -> Count:
    """Returns a function that counts a batch of masked language modeling, whose masked tokens have a label.

    The counts are int64 `[3]`: all tokens, the maskable tokens, and the masked tokens.
    """
    return lambda batch: _counts(batch, batch["labels"] != IGNORED, tokenizer)


def ner_counts(tokenizer: PreTrainedTokenizerBase) -> Count:
    """Like [`mlm_counts`] for fine-tuning, where masked tokens are mask tokens and keep the labels of their words."""
    return lambda batch: _counts(batch, batch["input_ids"] == tokenizer.mask_token_id, tokenizer)


def _counts(batch: Batch, masked: torch.Tensor, tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """Counts on the device of the batch, without waiting for it."""
    attended = batch["attention_mask"].bool()
    masked = masked & attended
    special = torch.zeros_like(attended)
    for token in tokenizer.all_special_ids:
        special |= batch["input_ids"] == token
    maskable = attended & (masked | ~special)
    return torch.stack([attended.sum(), maskable.sum(), masked.sum()])


class TokenCounter:
    """Accumulates the counts of a training's batches for the logs."""

    def __init__(self) -> None:
        self._total, self._last_total = torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)

    def add(self, counts: torch.Tensor) -> None:
        """Adds the counts of a batch of this rank; they stay on its device."""
        self._total = self._total.to(counts.device) + counts

    def logs(self, reduce: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, float]:
        """Returns `num_input_tokens_seen`, `num_masked_tokens_seen`, and `masked_fraction`.

        The numbers are those so far, the fraction that of maskable tokens since the last call. All are totals over all
        ranks; `reduce` sums a tensor over the ranks.
        """
        total = reduce(self._total.clone()).cpu()
        _, maskable, masked = (total - self._last_total).tolist()
        self._last_total = total
        return {
            "num_input_tokens_seen": int(total[0]),
            "num_masked_tokens_seen": int(total[2]),
            "masked_fraction": masked / max(maskable, 1),
        }
