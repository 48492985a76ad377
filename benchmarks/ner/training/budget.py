"""The training budget that all arms share. Nothing heavy is imported, so that wrong values are reported at once."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The training budget of every arm. Batch sizes are totals over all processes; lengths are in tokens.

    `mlm_evaluation_masks` is the number of masks per example that the final MLM loss averages; `fine_tunings` is the
    number of classifiers that are fine-tuned from one pre-trained model, 0 for none.
    """

    mlm_epochs: float
    mlm_learning_rate: float
    mlm_batch_size: int
    mlm_block_size: int
    ner_epochs: float
    ner_learning_rate: float
    ner_batch_size: int
    ner_max_length: int
    warmup_ratio: float
    weight_decay: float
    dataloader_num_workers: int
    dataloader_persistent_workers: bool
    mlm_evaluation_masks: int
    fine_tunings: int


LEARNING_FIELDS = tuple(name for name in Budget.__annotations__ if not name.startswith("dataloader_"))


def violated_rule(name: str, value: object) -> str | None:
    """Returns the rule that the value of a field of [`Budget`] violates, or None."""
    if name == "fine_tunings":
        return None if type(value) is int and value >= 0 else "an integer >= 0"
    if Budget.__annotations__[name] is int:
        return None if type(value) is int and value > 0 else "an integer >= 1"
    return None if type(value) in (int, float) and 0 <= value < math.inf else "a number >= 0"  # type: ignore[operator]


def check_budget(budget: Budget, num_processes: int) -> None:
    """Raises `ValueError` for invalid values, and for batch sizes that the processes cannot share evenly."""
    for name in LEARNING_FIELDS:
        if rule := violated_rule(name, getattr(budget, name)):
            raise ValueError(f"`{name}` must be {rule}, but got {getattr(budget, name)}. Change it.")
    for name in ("mlm_batch_size", "ner_batch_size"):
        if getattr(budget, name) % num_processes:
            raise ValueError(
                f"`{name}` must be a multiple of the {num_processes} processes, but got {getattr(budget, name)}. It "
                "is the total over all processes."
            )
