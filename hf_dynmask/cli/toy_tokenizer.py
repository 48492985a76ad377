"""The tokenizer of a preview if none is given: made from the text itself, without a download."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

_LONGEST = 5  # characters of a piece
_SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


def toy_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A cased WordPiece tokenizer like BERT's. Its vocabulary is the words of the texts, in pieces of 5 characters."""
    normalizer, splitter = normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()
    # "##s" makes every vocabulary mark its words, even if all are short
    words = (word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    tokens = [*_SPECIAL.values(), "##s", *dict.fromkeys(piece for word in words for piece in _pieces(word))]
    vocabulary = {token: id_ for id_, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=1_000_000))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{role}_token": token for role, token in _SPECIAL.items()}
    )


def _pieces(word: str) -> list[str]:
    starts = range(0, len(word), _LONGEST)
    return [("##" if start else "") + word[start : start + _LONGEST] for start in starts]
