"""Reads the texts to score with a masked language model, and checks that the model can score them."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from hf_dynmask.batching.examples import ragged_batch
from hf_dynmask.batching.features import feature_columns, length_or_none
from hf_dynmask.batching.packs import SEQ_LENGTHS
from hf_dynmask.core.checks import checked_integer
from hf_dynmask.core.ragged import RaggedBatch
from hf_dynmask.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_READ = ("input_ids", "attention_mask", "special_tokens_mask", "labels", "position_ids", SEQ_LENGTHS)
_POSITION_TABLES = ("position_embeddings", "embed_positions")  # the modules that hold a vector for each position


def read_texts(
    texts: Any, tokenizer: PreTrainedTokenizerBase, max_length: int | None, names: Collection[str]
) -> RaggedBatch:
    """The columns of strings or examples.

    Args:
        texts: a sequence of strings; or examples, columns or a table: see [`feature_columns`].
        tokenizer: tokenizes strings.
        max_length: the number of tokens to which strings are truncated; None for no truncation.
        names: the columns to keep, in addition to those that are read here.

    Raises:
        ValueError: if the tokenizer has no mask token, `texts` has no length or no order, there is no text, some texts
            are not strings and others are, a text is a sequence of strings, examples are invalid, or `max_length` is
            below its minimum or is not None with examples.
        TypeError: if an example is neither a mapping nor a sequence of ids.
    """
    if tokenizer.mask_token_id is None:
        raise ValueError(
            "`tokenizer` must have a mask token, but has none. Pass the tokenizer of a masked language model; the "
            "model has not learned a mask token that is added now."
        )
    if isinstance(texts, str | bytes) or texts is None or length_or_none(texts) == 0:
        raise ValueError(
            f"`texts` must be a list of at least one string, or of examples with `input_ids`, but got {texts!r}. For a "
            "single text, pass a list of one."
        )
    items = _items(texts)
    if isinstance(items, list) and any(isinstance(item, str) for item in items):
        items = _tokenized(items, tokenizer, max_length)
    elif max_length is not None:
        raise ValueError(
            f"`max_length` must be None with examples, which are tokenized already, but got {max_length!r}. Pass it to "
            "the tokenizer, with `truncation=True`."
        )
    columns = feature_columns(items)
    return ragged_batch({name: rows for name, rows in columns.items() if name in _READ or name in names})


def _items(texts: Any) -> Any:
    """A list for a sequence, such as a tuple or a dataset; columns and tables as they are.

    Raises:
        ValueError: if `texts` has no length or no order, or a text is a sequence of strings.
    """
    if isinstance(texts, Mapping) or hasattr(texts, "schema"):  # columns, or a table of pyarrow
        return texts
    if isinstance(texts, Set) or length_or_none(texts) is None:
        raise ValueError(
            f"`texts` must be a list of strings or of examples, but got one {type(texts).__name__}. Pass a list, such "
            "as `list(texts)`: the scores are in its order."
        )
    items = list(texts)
    for number, item in enumerate(items):
        if isinstance(item, list | tuple) and item and isinstance(item[0], str):
            raise ValueError(
                f"`texts` must be strings or examples with `input_ids`, but text {number} is a {type(item).__name__} "
                "of strings. Pass one string per text; for pairs of texts, or words, pass what `tokenizer` makes of "
                "them."
            )
    return items


def _tokenized(texts: Sequence[Any], tokenizer: PreTrainedTokenizerBase, max_length: int | None) -> Mapping[str, Any]:
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"`texts` must all be strings if one is, but text {number} is a {type(text).__name__}. Remove it or "
                "convert it to a string."
            )
    if max_length is None:
        return tokenizer(texts)
    special = tokenizer.num_special_tokens_to_add()
    remedy = f"The tokenizer adds {special} special tokens: pass a larger number, or None for no truncation."
    checked_integer(max_length, "max_length", special + 1, remedy)
    return tokenizer(texts, truncation=True, max_length=max_length)


def forward_arguments(model: PreTrainedModel) -> list[str]:
    """The names of the arguments of `forward`."""
    return list(inspect.signature(model.forward).parameters)


def check_masked_language_model(model: Any) -> None:
    """Checks that a model predicts masked tokens from both sides.

    Raises:
        ValueError: if it is not a masked language model of transformers, or if its tokens attend to earlier ones only.
    """
    if not isinstance(model, PreTrainedModel):
        raise ValueError(
            f"`model` must be a transformers model, but got a `{type(model).__name__}`. Pass the one inside, such as "
            "`model.module` of DDP, `model.get_base_model()` of PEFT or `model._orig_mod` of `torch.compile`."
        )
    known = {*MODEL_FOR_MASKED_LM_MAPPING_NAMES.values()}
    names = [base.__name__ for base in type(model).__mro__]
    if not any(name in known or name.endswith("ForMaskedLM") for name in names):
        raise ValueError(
            f"`model` must be a masked language model, but got a `{type(model).__name__}`. Load it with "
            "`AutoModelForMaskedLM`."
        )
    if getattr(model.config, "is_decoder", False):
        raise ValueError(
            "`model` must attend to the tokens on both sides, but its `config.is_decoder` is True. Load it with "
            "`is_decoder=False`."
        )


def check_fits_model(batch: RaggedBatch, vocabulary: Vocabulary, model: PreTrainedModel) -> None:
    """Checks that the model has an embedding for each token and each position.

    Args:
        batch: the texts, without padding.
        vocabulary: that of the tokenizer.
        model: the model.

    Raises:
        ValueError: if a token is outside the model's vocabulary, or a text is longer than its positions.
    """
    size = getattr(model.config, "vocab_size", None)
    largest = max(batch.per_token["input_ids"].max(initial=0), vocabulary.mask_token_id or 0)
    if size is not None and largest >= size:
        raise ValueError(
            f"`tokenizer` must be that of the model, which has {size} token ids, but got the id {largest}. Pass the "
            "tokenizer that the model was trained with."
        )
    limit = max_tokens(model)
    if limit is not None and batch.lengths.max() > limit:
        number = int(batch.lengths.argmax())
        raise ValueError(
            f"`texts` must have at most {limit} tokens each, special tokens included, which are the positions of the "
            f"model, but text {number} has {batch.lengths[number]}. Split it, or truncate it: pass "
            f"`max_length={limit}` with strings, and `truncation=True, max_length={limit}` to the tokenizer for "
            "examples."
        )


def max_tokens(model: PreTrainedModel) -> int | None:
    """The number of positions of a model, those of RoBERTa counted from its first one; None if it has no limit.

    Models with rotary or relative positions only have no table of positions. Their `max_position_embeddings` is the
    length that they are trained for, and longer texts run.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:  # such as the -1 of models with relative positions
        return None
    if getattr(model.config, "position_embedding_type", None) == "rotary":  # ESM may have a table that it does not use
        return None
    if not any(name.rpartition(".")[2] in _POSITION_TABLES for name, _ in model.named_modules()):
        return None
    embeddings = getattr(model.base_model, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return limit if padding is None else limit - padding - 1
