"""A tiny BERT for runs without a model hub: a tokenizer trained on the data, and a configuration."""

from collections import Counter

from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

MAX_LENGTH = 512
PREFIX = "##"
SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def tiny_tokenizer(split: Dataset, vocab_size: int = 4000) -> PreTrainedTokenizerFast:
    """Trains a cased BERT-style tokenizer of at most `vocab_size` pieces on the `words` of a split.

    If the characters leave no room for other pieces, as those of Chinese do, they are not counted.
    The same split gives the same vocabulary in every process.
    """
    tokenizer = Tokenizer(WordPiece(_train_vocab(split, vocab_size), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "attention_mask"],  # the default differs between transformers 4 and 5
        **SPECIAL_TOKENS,
    )


def tiny_config(tokenizer: PreTrainedTokenizerBase, num_labels: int | None = None) -> BertConfig:
    """Returns the configuration of a BERT of 2 layers, 128 hidden units and 2 heads for the tokenizer's vocabulary."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
        max_position_embeddings=MAX_LENGTH,
        pad_token_id=tokenizer.pad_token_id,
    )
    if num_labels is not None:
        config.num_labels = num_labels
    return config


def _train_vocab(split: Dataset, vocab_size: int) -> dict[str, int]:
    """Trains the vocabulary and returns the id of each piece.

    Sorted characters precede all other pieces. Otherwise the trainer numbers characters in hash order and breaks ties
    between pairs by number, so the pieces would differ between processes.
    """
    counts = Counter(word for words in split["words"] for word in words)
    alphabet = sorted({character for word in counts for character in word})
    first = [*SPECIAL_TOKENS.values(), *alphabet, *(PREFIX + character for character in alphabet)]
    if vocab_size <= len(first):
        vocab_size += len(first)
    trainee = Tokenizer(WordPiece(unk_token="[UNK]"))
    trainee.pre_tokenizer = BertPreTokenizer()
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=first,
        continuing_subword_prefix=PREFIX,
        show_progress=False,
    )
    trainee.train_from_iterator(counts.elements(), trainer)
    return trainee.get_vocab()
