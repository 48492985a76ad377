"""A collator prints itself as a sentence that says which masking it is."""

from __future__ import annotations

import logging
import math
from functools import partial

import pytest
from datasets import Dataset
from support.witness import witnessed
from transformers import DataCollatorForTokenClassification

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    DataCollatorWithTokenDropout,
    MaskRateCallback,
    constant_schedule,
    cosine_schedule,
    linear_schedule,
    polynomial_schedule,
    step_schedule,
    strategies,
    uniform_rate,
    with_warmup,
)
from hf_dynmask.collators.summary import format_rate


def fading(progress: float) -> float:
    return 0.4 * (1 - progress)


def failing(progress: float) -> float:
    raise RuntimeError("not yet")


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0.15, "15 % of the tokens"),
        (1 / 3, "33.3 % of the tokens"),
        (uniform_rate(), "50 % of the tokens on average, each sequence draws its rate"),
        (uniform_rate(block_size=8), "50 % of the tokens on average, each block of 8 tokens draws its rate"),
        (linear_schedule(0.3, 0.15), "30 % to 15 % of the tokens, linear"),
        (polynomial_schedule(0.3, 0.15), "30 % to 15 % of the tokens, polynomial"),
        (cosine_schedule(0.3, 0.15), "30 % to 15 % of the tokens, cosine"),
        (constant_schedule(0.2), "20 % to 20 % of the tokens, constant"),
        (step_schedule([0.3, 0.1], [0.5]), "30 % to 10 % of the tokens, in steps"),
        (with_warmup(0.3, 0.1), "0 % to 30 % of the tokens, with warm-up"),
        (fading, "40 % to 0 % of the tokens, by fading"),
        (partial(math.pow, 0.5), "100 % to 50 % of the tokens, by partial"),
        (failing, "a scheduled share of the tokens, by failing"),
    ],
)
def test_rates_in_words(rate, said) -> None:
    assert format_rate(rate) == said


def test_the_usual_one(wordpiece) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, strategy="whole_word", seed=3)
    assert str(collator) == (
        "Dynamic masking, new in every epoch; 15 % of the tokens; whole words; of the masked tokens, 80 % become the "
        "mask token, 10 % become a random token, 10 % stay unchanged; seed 3; epoch not set yet (use "
        "MaskRateCallback or start_epoch)."
    )
    collator.set_epoch(0)
    assert str(collator).endswith("; seed 3; the epoch is known from set_epoch.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_mask_patterns": 1}, "Static masking, one mask per example; 15 %"),
        ({"num_mask_patterns": 1}, "the epoch does not matter."),
        ({"num_mask_patterns": 10}, "Static masking, 10 masks per example in turn; 15 %"),
        ({"mlm_probability": linear_schedule(0.3, 0.15)}, "; 30 % to 15 % of the tokens, linear;"),
        ({"exact_count": True}, "; single tokens, an exact count;"),
        ({"strategy": strategies.span()}, "; spans;"),
        ({"strategy": strategies.position("prefix")}, "; all units after a prefix;"),
        ({"strategy": "entity"}, "; entities at their own probability;"),
        ({"whole_word_mask": True}, "; whole words;"),
        (
            {"mask_replace_prob": 1.0, "random_replace_prob": 0.0},
            "; of the masked tokens, 100 % become the mask token;",
        ),
        ({"mask_replace_prob": 0.9}, "90 % become the mask token, 10 % become a random token;"),
        ({"padding_free": True}, "; one row without padding;"),
        ({}, "; seed of the Trainer, or 0;"),
    ],
)
def test_what_was_chosen_is_said(wordpiece, options, said) -> None:
    assert said in str(DataCollatorForDynamicMasking(wordpiece, **options))


def test_no_masks_are_no_masks(wordpiece) -> None:
    assert (
        str(DataCollatorForDynamicMasking(wordpiece, mlm=False)) == "No masking: labels for causal language modeling."
    )


def test_the_other_collators_say_theirs(wordpiece, with_sentinels) -> None:
    tagging = DataCollatorForTokenClassification(wordpiece)
    said = str(DataCollatorWithTokenDropout(tagging, target="attention_mask"))
    assert (
        "; single tokens; masked tokens stay unchanged, and no token attends to them; over DataCollatorForToken" in said
    )
    assert "of the masked tokens, 100 % become the mask token; over" in str(DataCollatorWithTokenDropout(tagging))
    assert "; spans of 3 tokens on average become one sentinel each;" in str(
        DataCollatorForSpanCorruption(with_sentinels)
    )


def test_training_logs_what_it_masks_with(wordpiece, tmp_path, caplog) -> None:
    caplog.set_level(logging.INFO, logger="hf_dynmask")
    data = Dataset.from_list([dict(wordpiece("the cat sat on a mat"))] * 4)
    collator = DataCollatorForDynamicMasking(wordpiece, return_mask_rate=True)
    callback = MaskRateCallback(linear_schedule(0.3, 0.1))
    witnessed(collator, data, tmp_path, [callback], num_train_epochs=1, seed=5).train()
    (message,) = caplog.messages
    assert message.startswith("Dynamic masking, new in every epoch; 30 % to 10 % of the tokens, linear; single tokens;")
    assert message.endswith("; seed 5; the epoch is known from MaskRateCallback.")
