"""Describes in words, from the settings in its results, how an arm masks."""

from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.number_text import percent
from benchmarks.ner.training.arms import EVALUATION_RATE

MOST_PATTERNS = 10**6  # of a preset; a result file can have any number


def is_pretrained(run: Result) -> bool:
    return run["arm"].get("pretrain") is not False


def is_repeated(run: Result) -> bool:
    """Whether the masks of pre-training repeat."""
    return is_pretrained(run) and run["arm"].get("num_mask_patterns") is not None


def arm_words(run: Result) -> str:
    """Returns how the arm of a run masks; "" for settings without words.

    Such as "10 masks for each example, each seen 4 times". A rate that is not that of evaluation is appended.
    """
    match run["arm"]:
        case {"pretrain": False, "fine_tuning": {}}:
            return "no pre-training, masks in fine-tuning"
        case {"pretrain": False}:
            return "no pre-training"
        case {"num_mask_patterns": patterns, "mlm_probability": rate}:
            masks, tokens = _masks(patterns, run["budget"]["mlm_epochs"]), _tokens(rate)
            return "" if masks is None or tokens is None else masks + tokens
    return ""


def _masks(patterns: object, epochs: float) -> str | None:
    match patterns:
        case None:
            return "new masks in each epoch"
        case int() if 0 < patterns < MOST_PATTERNS:
            passes = epochs / patterns
            seen = f"seen {passes:.3g} times" if passes > 1 else "seen once at most"
            masks = "one mask for each example," if patterns == 1 else f"{patterns} masks for each example, each"
            return f"{masks} {seen}"
    return None


def _tokens(rate: object) -> str | None:
    match rate:
        case float():
            return "" if rate == EVALUATION_RATE else f", {percent(rate)} of tokens"
        case {"linear": [float(first), float(last)]}:
            return f", from {percent(first)} to {percent(last)} of tokens"
    return None
