"""Scores texts with a masked language model, by the probability of each token given all others."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_dynmask.batching.eligibility import check_columns, maskable_tokens, padding_mask
from hf_dynmask.batching.packs import refuse_packs
from hf_dynmask.core.checks import checked_flag, checked_integer, checked_tokenizer
from hf_dynmask.core.ragged import RaggedBatch
from hf_dynmask.core.rows import count_flags, segment_reduce
from hf_dynmask.modeling.masked_copies import MaskedCopier
from hf_dynmask.modeling.position_logits import position_logits
from hf_dynmask.modeling.scored_texts import (
    check_fits_model,
    check_masked_language_model,
    forward_arguments,
    read_texts,
)
from hf_dynmask.vocabulary.vocabulary import Vocabulary, read_vocabulary
from hf_dynmask.vocabulary.whole_words import whole_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class PseudoLogLikelihood(NamedTuple):
    """The result of [`pseudo_log_likelihood`].

    Attributes:
        scores: float64 `[texts]`, the pseudo-log-likelihood of each text in nats, the sum of `token_log_probs`; 0 for a
            text without a scored token.
        num_tokens: int64 `[texts]`, the number of scored tokens of each text.
        token_log_probs: for each text, float64 `[tokens]`, the log-probability of each of its `input_ids` in nats; NaN
            where a token is not scored.

    >>> result = PseudoLogLikelihood(np.array([-6.0, -2.0]), np.array([3, 1]), [])
    >>> (result.scores / result.num_tokens).tolist(), round(result.pseudo_perplexity, 3)
    ([-2.0, -2.0], 7.389)
    """

    scores: np.ndarray
    num_tokens: np.ndarray
    token_log_probs: list[np.ndarray]

    @property
    def pseudo_perplexity(self) -> float:
        """exp(-sum of `scores` / sum of `num_tokens`), of all texts together; NaN if no token is scored."""
        total = int(self.num_tokens.sum())
        return math.exp(-float(self.scores.sum()) / total) if total else math.nan


def pseudo_log_likelihood(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Any,
    *,
    batch_size: int = 64,
    within_word: bool = False,
    max_length: int | None = None,
) -> PseudoLogLikelihood:
    """Scores texts by their pseudo-log-likelihood (PLL) under a masked language model.

    The score of a text is the sum of log P(token | the other tokens of the text) over its tokens. The model predicts
    each token in a copy of the text in which this token is masked, so a text takes as many forward passes of one row as
    it has tokens to score. The method is that of Salazar et al. 2020, "Masked language model scoring". `scores` sum
    over tokens, so longer texts have lower scores: `scores / num_tokens` is the mean per token.

    A word of several tokens has a high score if each of its tokens follows from the others. With `within_word`, the
    later tokens of the word are masked as well when a token is scored (Kauf and Ivanova 2023, "A better way to do
    masked language model scoring", PLL-word-l2r).

    Special and unknown tokens are not scored, and never masked. Scores of models with different tokenizers are not
    comparable per token, and of texts with unknown tokens not at all: compare `num_tokens`.

    The model is in evaluation mode during the call, and computes on its own device and in its own precision. The
    log-softmax is in float32, or in float64 for a model in float64. Rows of one length share a forward pass, so nothing
    is padded, and scores depend on `batch_size` and on the other texts by no more than rounding. Models with a head
    that [`sparse_prediction`] knows compute logits at the scored tokens only; others need memory for
    `[batch_size, length, vocabulary]` logits.

    Args:
        model: a model for masked language modeling, such as `AutoModelForMaskedLM` returns. If it is wrapped, by DDP
            for example, pass the model inside.
        tokenizer: the tokenizer of the model, with a mask token.
        texts: a list of strings; or the examples that [`DataCollatorForDynamicMasking`] takes as `features`: a list of
            mappings or of sequences of token ids, a mapping of columns, a `pyarrow.Table`, or a dataset with a length.
            In examples, tokens with the label -100 or a `special_tokens_mask` of 1 are not scored, and the model sees
            them. Padding is dropped. Other columns reach the model if its `forward` takes them.
        batch_size: the maximum number of rows, with one scored token each, in a forward pass.
        within_word: whether the later tokens of a word are masked when a token of it is scored. Words are those of the
            strategy `"whole_word"`, of any length. Later tokens with the label -100 are masked as well.
        max_length: truncate strings to this number of tokens, special tokens included; None for an error if a text
            is longer than the model's positions. The tokens that are cut off do not count in the score.

    Returns:
        `scores`, float64 `[texts]`; `num_tokens`, int64 `[texts]`; `token_log_probs`, a list of float64 `[tokens]`. The
        property `pseudo_perplexity` is exp(-sum of `scores` / sum of `num_tokens`).

    Raises:
        ValueError: if an argument is out of its range, the model is not a masked language model or returns NaN, the
            tokenizer has no mask token or is not that of the model, a text is longer than the model's positions,
            examples are invalid or packed, or the vocabulary does not show words and `within_word` is True.
        TypeError: if an example is neither a mapping nor a sequence of ids.

    Example:

        >>> from transformers import BertConfig, BertForMaskedLM
        >>> sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        >>> model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes))
        >>> result = pseudo_log_likelihood(model, tokenizer, ["the cat sat on a mat", "the dog"])
        >>> result.num_tokens.tolist(), [len(each) for each in result.token_log_probs]
        ([6, 2], [8, 4])
    """
    checked_tokenizer(tokenizer)
    check_masked_language_model(model)
    checked_integer(batch_size, "batch_size", 1, "Pass the number of rows in a forward pass, such as 64.")
    checked_flag(within_word, "within_word")
    vocabulary = read_vocabulary(tokenizer)
    names = forward_arguments(model)
    given = read_texts(texts, tokenizer, max_length, names)
    check_columns(given, vocabulary)
    given = given.with_padding(padding_mask(given, vocabulary))
    refuse_packs(given)
    batch = given.without_padding()
    check_fits_model(batch, vocabulary, model)
    scored = maskable_tokens(batch, vocabulary)
    log_probs = _log_probs(model, _copier(batch, vocabulary, within_word, names), scored, batch_size)
    with_padding = np.full(len(given.per_token["input_ids"]), np.nan)
    with_padding[given.indices_with_padding(np.arange(len(log_probs)))] = log_probs
    return PseudoLogLikelihood(
        segment_reduce(np.add, np.where(scored, log_probs, 0.0), batch.lengths),
        count_flags(scored, batch.lengths),
        np.split(with_padding, given.lengths.cumsum()[:-1]),
    )


def _copier(batch: RaggedBatch, vocabulary: Vocabulary, within_word: bool, names: Collection[str]) -> MaskedCopier:
    """The copies to score, with the columns that the model takes. Labels do not keep a token of a word from a mask."""
    ones = np.ones_like(batch.per_token["input_ids"])
    return MaskedCopier(
        batch=batch.with_column("attention_mask", ones),
        stops=_word_stops(batch, vocabulary) if within_word else ones.cumsum(),
        maskable=maskable_tokens(batch, vocabulary, read=("labels",)),
        mask_token_id=vocabulary.mask_token_id,
        names={"input_ids", *names} - {"labels"},
    )


def _word_stops(batch: RaggedBatch, vocabulary: Vocabulary) -> np.ndarray:
    """Where the word of each token ends: int64 `[tokens]`."""
    if vocabulary.words is None:
        raise ValueError(
            "`within_word` must be False with a vocabulary that does not show where words begin, but got True. Pass "
            "False, or the tokenizer of another model."
        )
    starts = whole_words(batch.tokens, vocabulary.words, max_word_length=None)
    bounds = np.append(np.flatnonzero(starts), len(starts))
    return bounds[1:].repeat(np.diff(bounds))


def _log_probs(model: PreTrainedModel, copier: MaskedCopier, scored: np.ndarray, batch_size: int) -> np.ndarray:
    """The log-probability of each token: float64 `[tokens]`, NaN where a token is not `scored`, bool `[tokens]`."""
    input_ids = copier.batch.per_token["input_ids"]
    log_probs = np.full(len(input_ids), np.nan)
    with position_logits(model) as logits_at:
        for indices, positions, columns in copier.copies(np.flatnonzero(scored), batch_size):
            logits = logits_at(columns, positions)
            targets = torch.from_numpy(input_ids[indices]).to(logits.device)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            log_probs[indices] = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0].cpu().numpy()
    if np.isnan(log_probs[scored]).any():
        raise ValueError(
            "`model` must return finite logits, but returned NaN or infinity. Check its weights; for a model in "
            "float16, load it in bfloat16 or float32."
        )
    return log_probs
