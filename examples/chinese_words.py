"""Whole words of a language without spaces, by a word segmenter: here jieba (`pip install jieba`) for Chinese.

A BERT for Chinese has a token for each character. Without a segmenter, each character is masked by itself. With
one, the characters of a word are masked together (Cui et al. 2021, "Pre-training with whole word masking for Chinese
BERT").

    python examples/chinese_words.py --model bert-base-chinese
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import AutoTokenizer, HfArgumentParser

from hf_dynmask import DataCollatorForDynamicMasking, strategies

TEXT = "我今天早上和朋友一起去公园散步然后在湖边喝茶聊天看书"


def masked_texts(tokenizer: Any, text: str, segmenter: Callable[[str], Sequence[str]], epochs: int) -> list[str]:
    """The text as the model sees it in each epoch, masked characters shown as `_`."""
    collator = DataCollatorForDynamicMasking(
        tokenizer,
        mlm_probability=0.3,
        strategy=strategies.whole_word(segmenter=segmenter),
        mask_replace_prob=1.0,
        random_replace_prob=0.0,
        seed=0,
    )
    shown = []
    for epoch in range(epochs):
        collator.set_epoch(epoch)
        ids = collator([tokenizer(text, add_special_tokens=False)])["input_ids"][0].tolist()
        tokens = tokenizer.convert_ids_to_tokens(ids)
        shown.append(
            "".join("_" if id_ == tokenizer.mask_token_id else token for id_, token in zip(ids, tokens, strict=True))
        )
    return shown


@dataclass
class Arguments:
    model: str = field(default="bert-base-chinese", metadata={"help": "A tokenizer, by name or path."})
    text: str = field(default=TEXT, metadata={"help": "The text to mask."})
    epochs: int = field(default=5, metadata={"help": "The number of masks to show."})


def main() -> None:
    import jieba

    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    print(" ".join(jieba.lcut(arguments.text)))
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    for line in masked_texts(tokenizer, arguments.text, jieba.lcut, arguments.epochs):
        print(line)


if __name__ == "__main__":
    main()
