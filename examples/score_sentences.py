"""Scores sentences with a masked language model, each next to the same words in random order.

A model that knows the language gives most sentences a higher pseudo-log-likelihood than their shuffled words (Salazar
et al. 2020, "Masked language model scoring"). With `--within_word`, the later tokens of a word do not tell its first
ones (Kauf and Ivanova 2023).

    python examples/score_sentences.py --text_file sentences.txt --model bert-base-cased
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, HfArgumentParser

from hf_dynmask import pseudo_log_likelihood


def shuffled(sentences: Sequence[str], seed: int) -> list[str]:
    """The words of each sentence in random order, which is another one than before if two words differ."""
    generator = random.Random(seed)
    return [" ".join(_other_order(sentence.split(), generator)) for sentence in sentences]


def _other_order(words: list[str], generator: random.Random) -> list[str]:
    order = words
    while order == words and len(set(words)) > 1:
        order = generator.sample(words, len(words))
    return order


@dataclass
class Arguments:
    text_file: str = field(metadata={"help": "One sentence per line. Lines without two different words are left out."})
    model: str = field(default="bert-base-cased", metadata={"help": "A masked language model, by name or path."})
    max_sentences: int = field(default=100, metadata={"help": "The number of sentences to score."})
    batch_size: int = field(default=64, metadata={"help": "The number of masked copies in a forward pass."})
    max_length: int | None = field(default=None, metadata={"help": "Truncate sentences to this number of tokens."})
    within_word: bool = field(default=False, metadata={"help": "Also mask the later tokens of a word."})
    seed: int = field(default=0, metadata={"help": "The seed of the random order."})


def main() -> float:
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    lines = Path(arguments.text_file).read_text(encoding="utf-8").splitlines()
    real = [line for line in lines if len(set(line.split())) > 1][: arguments.max_sentences]
    model = AutoModelForMaskedLM.from_pretrained(arguments.model)
    if torch.accelerator.is_available():
        model = model.to(torch.accelerator.current_accelerator())
    result = pseudo_log_likelihood(
        model,
        AutoTokenizer.from_pretrained(arguments.model),
        [*real, *shuffled(real, arguments.seed)],
        batch_size=arguments.batch_size,
        within_word=arguments.within_word,
        max_length=arguments.max_length,
    )
    means = result.scores / result.num_tokens.clip(1)  # nats per token
    for sentence, score, other in zip(real, means, means[len(real) :], strict=False):
        print(f"{score:7.2f} (shuffled: {other:.2f})  {sentence}")
    share = float((means[: len(real)] > means[len(real) :]).mean())
    print(f"mean {means[: len(real)].mean():.2f}, shuffled {means[len(real) :].mean():.2f} nats per token")
    print(f"{share:.1%} of {len(real)} sentences score above their shuffled words")
    return share


if __name__ == "__main__":
    main()
