"""A small tokenizer of each family, trained here: no test needs a network.

All have the special tokens that are usual in their family, and a mask token. Vocabularies are small, so that words are
split, into bytes where there are any.
"""
# ruff: noqa: RUF001 - letters of other scripts look like Latin ones

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    ByT5Tokenizer,
    CanineTokenizer,
    PhobertTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from support.trained import train

TEXTS = {
    "latin": "The naïve café-owner didn't say “hello, world” (twice)... She'll pay €5 at 20°; isn't it über-groß?!",
    "cyrillic": "Быстрая лиса прыгает: «через ленивую собаку», а потом — домой. Объявление №5, правда?",
    "greek": "Η γρήγορη αλεπού πηδά, πάνω από το τεμπέλικο σκυλί· γιατί; Ναι, «ίσως» αύριο.",
    "arabic": "الثعلب السريع يقفز، فوق الكلب الكسول. هل هذا صحيح؟ كِتَابٌ جَدِيدٌ (١٢٣).",
    "hebrew": "השועל המהיר קופץ מעל הכלב העצלן, נכון? שָׁלוֹם עוֹלָם! צה״ל.",
    "devanagari": "तेज़ लोमड़ी कुत्ते के ऊपर कूदती है, क्यों? हिन्दी सीखो। क्ष १२३",
    "thai": "สุนัขจิ้งจอกกระโดดข้ามสุนัข ที่นี่ ๑๒๓ (ดี)",
    "chinese": "我们今天去北京大学看电影，然后在图书馆学习中文和数学。天气很好！",
    "japanese": "私は東京タワーへ行きます。ラーメンを食べた、「美味しい」です！",
    "korean": "빠른 갈색 여우가 게으른 개를 뛰어넘는다. 안녕하세요, 여러분!",
    "numbers": "In 2024, covid19 cost 1,234.56 at 10:30 (50%) or 3.5e7 x2 ½ 7th",
    "urls": "See https://www.example.com/a_b/c?id=42&x=y#top or mail me@example.org; C:\\dir @user #tag",
    "emoji": "ok😀 wow😀😀! 👩‍👩‍👧 fine 👍🏽 ❤️ go🇩🇪🇫🇷 now ☎️",
}
CORPUS = [text for text in TEXTS.values() for _ in range(3)]
BERT = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
ROBERTA = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
T5 = {"pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}


def _fast(tokenizer: Tokenizer, special: dict[str, str], begin: str | None, end: str | None) -> PreTrainedTokenizerFast:
    ends = [token for token in (begin, end) if token is not None]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join(filter(None, [begin, "$A", end])),
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ends],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{role}_token": token for role, token in special.items()},
    )


def _bert(lowercase: bool) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    train(tokenizer, CORPUS, trainers.WordPieceTrainer, BERT.values(), vocab_size=700)
    return _fast(tokenizer, BERT, "[CLS]", "[SEP]")


def _byte_level(special: dict[str, str], begin: str, end: str, add_prefix_space: bool) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(unk_token=special["unk"]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    train(tokenizer, CORPUS, trainers.BpeTrainer, special.values(), vocab_size=420, initial_alphabet=alphabet)
    return _fast(tokenizer, special, begin, end)


def _metaspace(
    special: dict[str, str],
    begin: str | None,
    end: str,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    byte_fallback: bool = False,
) -> PreTrainedTokenizerFast:
    """With `byte_fallback`, all but the first text are unknown to the vocabulary."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizer
    texts, vocab_size = (CORPUS[:3], 100) if byte_fallback else (CORPUS, 600)
    options = {"vocab_size": vocab_size, "unk_token": special["unk"]}
    train(tokenizer, texts, trainers.UnigramTrainer, special.values(), **options)
    if byte_fallback:
        state = json.loads(tokenizer.to_str())["model"]
        scores = [(token, score) for token, score in state["vocab"]]
        scores += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
        tokenizer.model = models.Unigram(scores, state["unk_id"], byte_fallback=True)
    tokenizer.decoder = decoders.Metaspace()
    return _fast(tokenizer, special, begin, end)


def _end_of_word(tokenizer: Tokenizer, special: dict[str, str], alphabet: list[str]) -> PreTrainedTokenizerFast:
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    options = {"vocab_size": 700 if alphabet else 600, "initial_alphabet": alphabet, "end_of_word_suffix": "</w>"}
    train(tokenizer, CORPUS, trainers.BpeTrainer, special.values(), **options)
    return _fast(tokenizer, special, special.get("bos"), special.get("eos"))


@functools.cache
def bert_cased() -> PreTrainedTokenizerFast:
    return _bert(lowercase=False)


@functools.cache
def bert_uncased() -> PreTrainedTokenizerFast:
    return _bert(lowercase=True)


@functools.cache
def roberta() -> PreTrainedTokenizerFast:
    return _byte_level(ROBERTA, "<s>", "</s>", add_prefix_space=True)


@functools.cache
def modernbert() -> PreTrainedTokenizerFast:
    """GPT-2's layout of bytes with BERT's special tokens."""
    return _byte_level(BERT, "[CLS]", "[SEP]", add_prefix_space=False)


@functools.cache
def xlm_r() -> PreTrainedTokenizerFast:
    split = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    return _metaspace(ROBERTA, "<s>", "</s>", split)


@functools.cache
def deberta_v3() -> PreTrainedTokenizerFast:
    return _metaspace(BERT, "[CLS]", "[SEP]", pre_tokenizers.Metaspace())


@functools.cache
def t5() -> PreTrainedTokenizerFast:
    """With byte fallback, which T5's own vocabulary lacks and its successors' have."""
    return _metaspace(T5, None, "</s>", pre_tokenizers.Metaspace(), byte_fallback=True)


@functools.cache
def clip() -> PreTrainedTokenizerFast:
    special = {"bos": "<|startoftext|>", "eos": "<|endoftext|>", "pad": "<|pad|>", "unk": "<|unk|>", "mask": "<|mask|>"}
    tokenizer = Tokenizer(models.BPE(unk_token=special["unk"], end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return _end_of_word(tokenizer, special, pre_tokenizers.ByteLevel.alphabet())


@functools.cache
def openai_gpt() -> PreTrainedTokenizerFast:
    special = {"pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return _end_of_word(tokenizer, special, [])


@functools.cache
def byt5() -> ByT5Tokenizer:
    tokenizer = ByT5Tokenizer()
    tokenizer.add_special_tokens({"mask_token": "<mask>"})
    return tokenizer


@functools.cache
def canine() -> CanineTokenizer:
    return CanineTokenizer()


@functools.cache
def phobert() -> PhobertTokenizer:
    """A slow tokenizer: nothing but its vocabulary and its ids is to be had. `@@` says that a word goes on."""
    letters = sorted({letter for text in TEXTS.values() for word in text.split() for letter in word})
    merges = ["t h 111", "th e</w> 110", "i n 109", "o n</w> 108", "e r 107", "l l 106"]
    merged = ["th@@", "the", "in@@", "on", "er@@", "ll@@"]
    tokens = [*(f"{letter}@@" for letter in letters), *letters, *merged]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, codes = Path(folder, "vocab.txt"), Path(folder, "bpe.codes")
        vocabulary.write_text("".join(f"{token} 1\n" for token in tokens), encoding="utf-8")
        codes.write_text("".join(f"{merge}\n" for merge in merges), encoding="utf-8")
        return PhobertTokenizer(str(vocabulary), str(codes))


ZOO: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    make.__name__: make
    for make in (
        bert_cased,
        bert_uncased,
        roberta,
        modernbert,
        xlm_r,
        deberta_v3,
        t5,
        clip,
        openai_gpt,
        byt5,
        canine,
        phobert,
    )
}
