"""Tokenizers whose vocabulary contains only whole words, so that each token is a word, without a mark."""

from __future__ import annotations

from typing import Any

from tokenizers.models import WordLevel, WordPiece
from transformers import BertTokenizer


def has_only_whole_words(tokenizer: Any) -> bool:
    """Whether each token is known to be a word, because the text is split at spaces and no token continues a word.

    This is known for WordLevel, and for WordPiece without a token that has its mark, if the pre-tokenizer splits at
    spaces. Slow tokenizers do not show their parts, and only BERT's is known to work this way.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return isinstance(tokenizer, BertTokenizer) and _lacks_continuations(tokenizer, "##")
    if backend.pre_tokenizer is None or not _splits_at_spaces(backend.pre_tokenizer):
        return False
    if isinstance(backend.model, WordPiece):
        return _lacks_continuations(tokenizer, backend.model.continuing_subword_prefix)
    return isinstance(backend.model, WordLevel)


def _splits_at_spaces(pre_tokenizer: Any) -> bool:
    return [word for word, _ in pre_tokenizer.pre_tokenize_str("ab cd")] == ["ab", "cd"]


def _lacks_continuations(tokenizer: Any, mark: str) -> bool:
    """Whether no token has the mark. With an empty mark, every token may continue a word."""
    return bool(mark) and not any(token.startswith(mark) and token != mark for token in tokenizer.get_vocab())
