"""Everything that golden.json holds, made anew: fixed inputs through all that draws a mask.

Nothing here may depend on a version of Python or of a library: ids, tags and vocabularies are written down or worked
out by integers, and no generator of random numbers, tokenizer or corpus has a part in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from typing import Any

import numpy as np
from support.variants import VARIANTS, tags, variant
from tokenizers import Tokenizer, models
from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    DataCollatorWithTokenDropout,
    cosine_rate,
    cosine_schedule,
    linear_schedule,
    step_schedule,
    truncated_normal_rate,
    uniform_rate,
    with_warmup,
)
from hf_dynmask.core.draws import Purpose, as_fraction, as_index, below, draw, example_hashes, mix64, stream_keys

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENS = [*SPECIAL, *(f"w{id_}" if id_ % 3 else f"##w{id_}" for id_ in range(5, 80))]
SENTINELS = [f"<extra_id_{number}>" for number in range(9, -1, -1)]
LENGTHS = (0, 1, 7, 24, 40)
ROWS = [[2, *(5 + (place * place * 7 + place * 11 + length) % 75 for place in range(length)), 3] for length in LENGTHS]
SEEDS = (0, -1, 10**30)
EPOCHS = (0, 1, 1000)
SCHEDULES = {
    "linear": linear_schedule(0.5, 0.1),
    "cosine": cosine_schedule(0.5, 0.1),
    "step": step_schedule([0.4, 0.2, 0.05], [0.3, 0.8]),
    "warmed": with_warmup(0.3, 0.6),
}
DISTRIBUTIONS = {"uniform": uniform_rate, "truncated normal": truncated_normal_rate, "cosine": cosine_rate}


def tokenizer(padding_side: str = "right", more: tuple[str, ...] = (), **roles: str) -> PreTrainedTokenizerFast:
    """BERT's layout, over ids that are written down here, every third of which continues a word."""
    vocabulary = {token: id_ for id_, token in enumerate([*TOKENS, *more])}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]")),
        padding_side=padding_side,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")},
        **roles,
    )


def shown(inputs: Any, labels: Any, side: str = "right") -> str:
    """A batch as text, without loss: `.` for a token or padding that is as it came and has no label; others as
    `label>input`, or `>input` without a label.
    """
    width = inputs.shape[1]
    kept = [row + [0] * (width - len(row)) if side == "right" else [0] * (width - len(row)) + row for row in ROWS]
    if len(inputs) == 1:
        kept = [list(chain.from_iterable(ROWS))]
    table = zip(inputs.tolist(), labels.tolist(), kept, strict=True)
    return re.sub(r"(?<=\.) (?=\.)", "", " | ".join(" ".join(map(_token, *row)) for row in table))


def _token(input_id: int, label: int, kept: int) -> str:
    return "." if (input_id, label) == (kept, -100) else f"{label}>{input_id}".replace("-100", "")


def _examples(**more: Callable[[np.ndarray], np.ndarray]) -> list[dict[str, Any]]:
    return [{"input_ids": row, **{name: make(np.array(row)) for name, make in more.items()}} for row in ROWS]


def _masked(epoch: int = 0, progress: float | None = None, side: str = "right", **options: Any) -> str:
    options = {"mlm_probability": 0.3, "return_tensors": "np", "per_token_columns": ("tags",), **options}
    collator = DataCollatorForDynamicMasking(tokenizer(side), **options)
    if collator.losses is not None:  # as a checkpoint of this epoch, so that no losses are awaited from the one before
        collator.losses.load_state_dict({**collator.losses.state_dict(), "epoch": epoch})
    if collator.losses is not None:
        collator.losses.start_epoch(epoch)
    batch = collator(_examples(tags=tags), epoch=epoch, progress=progress)
    rates = [f"{rate:.5f}" for rate in batch.get("mask_rate", [])]
    return " ".join([*rates, shown(batch["input_ids"], batch["labels"], side)])


def uniforms() -> Iterator[tuple[str, str]]:
    """Hashes, keys and draws, in hexadecimal."""
    lengths = np.array([len(row) for row in ROWS])
    positions = np.concatenate([np.arange(length, dtype=np.uint32) for length in lengths])
    hashes = example_hashes(np.concatenate([np.array(row) for row in ROWS]), positions, np.cumsum(lengths))
    yield "mix64", _hex(mix64(np.array([0, 1, 2**64 - 1], dtype=np.uint64)))
    yield "example_hashes", _hex(hashes)
    for seed in SEEDS:
        for pattern in EPOCHS:
            yield f"stream_keys, seed {seed}, pattern {pattern}", _hex(stream_keys(seed, hashes, pattern))
    places = np.array([0, 1, 511, 2**32 - 1], dtype=np.uint32)
    for purpose in Purpose:
        yield f"draws, {purpose.name}", _hex(draw(hashes[:1], places, purpose))
    numbers = draw(hashes[:1], np.arange(6, dtype=np.uint32), Purpose.SELECTION)
    yield "as_index below 30522", str(as_index(numbers, 30522).tolist())
    odds = as_fraction(numbers)[:3]  # at the very number, where a mask turns
    yield "below, odds each", str(below(numbers[:3], odds).tolist() + below(numbers[:3], odds + 2.0**-32).tolist())
    yield "below, odds of all", str([below(numbers, float(each)).tolist() for each in (*odds, 0.0, 1.0)])
    yield "as_fraction", str([float(number).hex() for number in as_fraction(numbers)])


def _hex(numbers: np.ndarray) -> str:
    return " ".join(f"{number:x}" for number in numbers.tolist())


def batches() -> Iterator[tuple[str, str]]:
    """Every strategy, with its own and with exact counts, under seeds and in epochs."""
    for name in VARIANTS:
        for exact in (False, True):
            for seed in SEEDS:
                for epoch in EPOCHS:
                    case = f"{name}{', exact' * exact}, seed {seed}, epoch {epoch}"
                    yield case, _masked(epoch, strategy=variant(name, len(TOKENS)), exact_count=exact, seed=seed)


def options() -> Iterator[tuple[str, str]]:
    """What else has a part in a mask, or in where it lies."""
    for patterns in (1, 3):
        for epoch in (0, 1, 2, 5):
            yield f"{patterns} patterns, epoch {epoch}", _masked(epoch, num_mask_patterns=patterns)
    for rate in (0.0, 0.05, 1.0):
        yield f"rate {rate}", _masked(mlm_probability=rate)
    yield "min_masked=3", _masked(mlm_probability=0.05, min_masked=3)
    yield "random ids only", _masked(mask_replace_prob=0.0, random_replace_prob=1.0)
    yield "whole_word_mask", _masked(whole_word_mask=True)
    yield "left padding to a multiple of 8", _masked(side="left", pad_to_multiple_of=8)
    yield "padding_free", _masked(padding_free=True, return_flash_attn_kwargs=False)
    for name, schedule in SCHEDULES.items():
        for step in (0, 4, 9):
            yield f"{name} schedule, step {step} of 10", _masked(progress=step / 10, mlm_probability=schedule)
    for name, distribution in DISTRIBUTIONS.items():
        for even in (False, True):
            rate = distribution(low_discrepancy=even)
            yield f"{name} rate{', even' * even}", _masked(mlm_probability=rate, return_mask_rate=True)


def evaluation() -> Iterator[tuple[str, str]]:
    """The twin that evaluates, whatever has trained."""
    training = DataCollatorForDynamicMasking(tokenizer(), linear_schedule(0.5, 0.1), return_tensors="np", seed=5)
    for rate in (0.15, 0.3):
        batch = training.for_evaluation(rate)(_examples())
        yield f"evaluation at {rate}", shown(batch["input_ids"], batch["labels"])


def fine_tuning() -> Iterator[tuple[str, str]]:
    """Masks over another collator's batch; what is not attended to has the label 0."""
    for target in ("input_ids", "attention_mask"):
        for seed in SEEDS:
            inner = DataCollatorWithPadding(tokenizer(), return_tensors="np")
            collator = DataCollatorWithTokenDropout(inner, 0.3, target=target, seed=seed)
            collator.set_epoch(1)
            batch = collator(_examples())
            yield f"fine-tuning, {target}, seed {seed}", shown(batch["input_ids"], batch["attention_mask"] * -100)


def span_corruption() -> Iterator[tuple[str, str]]:
    """Inputs and targets as ids, row by row."""
    t5 = tokenizer(more=tuple(SENTINELS), eos_token="[SEP]")
    for seed in SEEDS:
        for density, length in ((0.15, 3.0), (0.5, 2.0), (uniform_rate(), 4.5)):
            collator = DataCollatorForSpanCorruption(
                t5, density, mean_noise_span_length=length, seed=seed, return_tensors="np"
            )
            collator.set_epoch(1)
            batch = collator(_examples())
            density_shown = density if isinstance(density, float) else "uniform"
            for name in ("input_ids", "labels"):
                rows = " | ".join(" ".join(map(str, row)) for row in batch[name].tolist())
                yield f"spans of {length}, density {density_shown}, seed {seed}, {name}", rows.replace(" -100", "")


PARTS = (uniforms, batches, options, evaluation, fine_tuning, span_corruption)


def made(parts: Collection[Callable[[], Iterator[tuple[str, str]]]] = PARTS) -> dict[str, str]:
    """The cases by name."""
    cases = [case for part in parts for case in part()]
    named = dict(cases)
    assert len(named) == len(cases), "two cases have one name"
    return named
