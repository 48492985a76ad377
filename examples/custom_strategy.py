"""A custom strategy: whole words, with numbers masked four times as often as other words.

Two short functions define which tokens are masked together, and with what probability. Both work on all tokens of a
batch at once. The expected fraction of masked tokens stays the mask rate.

    python examples/custom_strategy.py --model bert-base-cased --text "In 1969 two men walked on the moon for 2 hours."
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from transformers import AutoTokenizer, HfArgumentParser

from hf_dynmask import DataCollatorForDynamicMasking
from hf_dynmask.strategies import Strategy, words

TEXT = "In 1969 two men walked on the moon for 2 hours and 31 minutes, 384400 kilometres from home."


def numbers_first(tokenizer: Any, times: float = 4.0) -> Strategy:
    """The strategy. Its parts are functions of a module, so spawned workers can unpickle them."""
    is_number = np.zeros(len(tokenizer), dtype=bool)
    for token, id_ in tokenizer.get_vocab().items():
        is_number[id_] = token.strip("#Ġ▁").isdigit()
    weights = partial(weights_of_words, is_number=is_number, times=times)
    return Strategy("numbers first", partition=partial(words, max_word_length=16), weights=weights)


def weights_of_words(tokens: Any, units: Any, is_number: np.ndarray, times: float) -> np.ndarray:
    """float64 `[words]`: `times` for a word that has a number in it, 1 for any other."""
    return np.where(units.segment_any(is_number[tokens.input_ids]), times, 1.0)


def masked_words(tokenizer: Any, text: str, epochs: int) -> Counter[str]:
    """How often each token of a text is masked."""
    collator = DataCollatorForDynamicMasking(tokenizer, strategy=numbers_first(tokenizer), seed=0)
    counts: Counter[str] = Counter()
    for epoch in range(epochs):
        collator.set_epoch(epoch)
        labels = collator([tokenizer(text)])["labels"][0]
        counts.update(tokenizer.convert_ids_to_tokens(labels[labels != -100].tolist()))
    return counts


@dataclass
class Arguments:
    model: str = field(default="bert-base-cased", metadata={"help": "A tokenizer, by name or path."})
    text: str = field(default=TEXT, metadata={"help": "The text to mask."})
    epochs: int = field(default=1000, metadata={"help": "The number of masks to draw."})


def main() -> None:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    for token, count in masked_words(tokenizer, arguments.text, arguments.epochs).most_common():
        print(f"{count / arguments.epochs:6.1%}  {token}")


if __name__ == "__main__":
    main()
