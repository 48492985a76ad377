"""Tokenizers whose vocabulary has words and nothing that goes on with one: each token is a word, without any mark."""

from __future__ import annotations

from typing import Any

from tokenizers.models import WordLevel, WordPiece
from transformers import BertTokenizer


def has_only_whole_words(tokenizer: Any) -> bool:
    """Whether each token is known to be a word: text is cut into words first, and no token can go on with one.

    That is known of WordLevel, and of WordPiece without a token that bears its mark, where the tokenizer's first step
    takes letters between spaces for a word. Slow tokenizers do not show their parts; BERT's is known to work so.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return isinstance(tokenizer, BertTokenizer) and _lacks_continuations(tokenizer, "##")
    if backend.pre_tokenizer is None or not _cuts_at_spaces(backend.pre_tokenizer):
        return False
    if isinstance(backend.model, WordPiece):
        return _lacks_continuations(tokenizer, backend.model.continuing_subword_prefix)
    return isinstance(backend.model, WordLevel)


def _cuts_at_spaces(pre_tokenizer: Any) -> bool:
    return [word for word, _ in pre_tokenizer.pre_tokenize_str("ab cd")] == ["ab", "cd"]


def _lacks_continuations(tokenizer: Any, mark: str) -> bool:
    """Without a mark, any token may go on with any other."""
    return bool(mark) and not any(token.startswith(mark) and token != mark for token in tokenizer.get_vocab())
