"""The arms of the comparison. Each is a file with its differences from `config/presets/defaults.yaml`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from transformers import DataCollatorForTokenClassification, PreTrainedTokenizerBase

import hf_dynmask
from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorWithTokenDropout, MaskRateCallback

PRESETS = Path(__file__).parents[1] / "config" / "presets"


@dataclass(frozen=True)
class Arm:
    """The settings of an arm.

    Attributes:
        name: the name of the preset.
        pretrain: False to skip pre-training.
        mlm_probability: a number, or one `hf_dynmask` schedule and its arguments: `{"linear": [0.30, 0.15]}`.
        num_mask_patterns: see `DataCollatorForDynamicMasking`, also for `strategy`.
        fine_tuning: arguments of `DataCollatorWithTokenDropout`, which masks the inputs of fine-tuning; the rate
            may be a schedule. None to fine-tune without masks.
    """

    name: str
    pretrain: bool
    mlm_probability: float | dict[str, list[float]]
    num_mask_patterns: int | None
    strategy: str
    fine_tuning: dict[str, Any] | None = None

    def settings(self) -> dict[str, Any]:
        """Returns the arm as plain data, for a result file.

        It omits `fine_tuning` if that is None, so that the identity of older results stays the same."""
        settings = asdict(self)
        if self.fine_tuning is None:
            del settings["fine_tuning"]
        return settings

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> DataCollatorForDynamicMasking:
        """Returns the collator of this arm; the callback gives it the seed of the `Trainer`."""
        return DataCollatorForDynamicMasking(
            tokenizer, strategy=self.strategy, num_mask_patterns=self.num_mask_patterns, pad_to_multiple_of=8
        )

    def callback(self) -> MaskRateCallback:
        """Returns the callback that applies this arm's schedule; evaluation is the same in every arm."""
        return MaskRateCallback(_rate(self.mlm_probability), eval_mlm_probability=0.15)

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


def arm_names() -> list[str]:
    """Returns the names of all presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml") if path.stem != "defaults")


def load_arm(name: str) -> Arm:
    """Loads the arm of a preset.

    Raises:
        ValueError: if there is no such preset, or if it has a key that the defaults lack.
    """
    if name not in arm_names():
        raise ValueError(
            f"`arms` must be among {', '.join(arm_names())}, but got {name!r}. Add config/presets/{name}.yaml."
        )
    defaults, own = _read("defaults"), _read(name)
    unknown = sorted(own.keys() - defaults.keys())
    if unknown:
        raise ValueError(
            f"config/presets/{name}.yaml may set {', '.join(defaults)}, but sets {', '.join(unknown)}. Remove them."
        )
    return Arm(name=name, **{**defaults, **own})


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))
