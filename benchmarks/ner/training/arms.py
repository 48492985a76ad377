"""The arms of the comparison: how each masks, in pre-training and in fine-tuning."""

from dataclasses import asdict, dataclass
from typing import Any

from transformers import DataCollatorForTokenClassification, PreTrainedTokenizerBase

import hf_dynmask
from benchmarks.ner.training.presets import preset
from benchmarks.ner.training.seeds import derived_seed
from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorWithTokenDropout, MaskRateCallback

EVALUATION_RATE = 0.15
OPTIONAL = ("fine_tuning", "mask_seed")


@dataclass(frozen=True)
class Arm:
    """The settings of an arm.

    Attributes:
        name: the name of the preset.
        pretrain: False to skip pre-training.
        mlm_probability: a number, or one `hf_dynmask` schedule and its arguments: `{"linear": [0.30, 0.15]}`.
        num_mask_patterns: see `DataCollatorForDynamicMasking`, also for `strategy`.
        mask_seed: with a number, masks have a seed of their own, made from it and the seed of the run. None to use the
            seed of the run.
        fine_tuning: arguments of `DataCollatorWithTokenDropout`, which masks the inputs of fine-tuning; the rate
            may be a schedule. None to fine-tune without masks.
    """

    name: str
    pretrain: bool
    mlm_probability: float | dict[str, list[float]]
    num_mask_patterns: int | None
    strategy: str
    fine_tuning: dict[str, Any] | None = None
    mask_seed: int | None = None

    def settings(self) -> dict[str, Any]:
        """Returns the arm as plain data, for a result file.

        It omits `fine_tuning` and `mask_seed` if they are None, so that the identity of older results stays the same.
        """
        settings = asdict(self)
        return {name: value for name, value in settings.items() if name not in OPTIONAL or value is not None}

    def collator(self, tokenizer: PreTrainedTokenizerBase, seed: int) -> DataCollatorForDynamicMasking:
        """Returns the collator that masks the training text of this arm in the run with this seed.

        Unless the arm has a `mask_seed`, the callback gives it the seed of the `Trainer`.
        """
        own = None if self.mask_seed is None else derived_seed(seed, "masks", self.mask_seed)
        return DataCollatorForDynamicMasking(
            tokenizer, strategy=self.strategy, num_mask_patterns=self.num_mask_patterns, pad_to_multiple_of=8, seed=own
        )

    def evaluation_collator(self, tokenizer: PreTrainedTokenizerBase, seed: int) -> DataCollatorForDynamicMasking:
        """Returns a collator with one fixed mask per example, the same in every arm of this strategy."""
        collator = DataCollatorForDynamicMasking(tokenizer, strategy=self.strategy, pad_to_multiple_of=8, seed=seed)
        return collator.for_evaluation(EVALUATION_RATE)

    def callback(self) -> MaskRateCallback:
        """Returns the callback that applies this arm's schedule; evaluation is the same in every arm."""
        return MaskRateCallback(_rate(self.mlm_probability), eval_mlm_probability=EVALUATION_RATE)

    def fine_tuning_collator(
        self, tokenizer: PreTrainedTokenizerBase
    ) -> DataCollatorForTokenClassification | DataCollatorWithTokenDropout:
        """Returns the collator of fine-tuning.

        A collator that masks needs [`fine_tuning_callbacks`], which also turn masks off in evaluation.
        """
        collator = DataCollatorForTokenClassification(tokenizer, pad_to_multiple_of=8)
        if self.fine_tuning is None:
            return collator
        rate = _rate(self.fine_tuning["mlm_probability"])
        return DataCollatorWithTokenDropout(collator, **{**self.fine_tuning, "mlm_probability": rate})

    def fine_tuning_callbacks(self) -> list[MaskRateCallback]:
        """Returns the callbacks that [`fine_tuning_collator`] needs."""
        return [] if self.fine_tuning is None else [MaskRateCallback()]


def _rate(rate: float | dict[str, list[float]]) -> Any:
    if not isinstance(rate, dict):
        return rate
    ((schedule, arguments),) = rate.items()
    return getattr(hf_dynmask, f"{schedule}_schedule")(*arguments)


def load_arm(name: str) -> Arm:
    """Loads the arm of a preset. Raises `ValueError` as [`preset`] does."""
    return Arm(name=name, **preset(name))
