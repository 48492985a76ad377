"""The arms of the comparison: each is a file of what differs from `presets/defaults.yaml`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from transformers import DataCollatorForTokenClassification, PreTrainedTokenizerBase

import hf_dynmask
from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorWithTokenDropout, MaskRateCallback

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class Arm:
    """How an arm masks.

    Attributes:
        name: the preset's.
        pretrain: False to skip pre-training.
        mlm_probability: a number, or one `hf_dynmask` schedule and its arguments: `{"linear": [0.30, 0.15]}`.
        num_mask_patterns: see `DataCollatorForDynamicMasking`, as for `strategy`.
        fine_tuning: arguments of `DataCollatorWithTokenDropout`, which then masks the inputs of fine-tuning; the rate
            as above. None for no masks there.
    """

    name: str
    pretrain: bool
    mlm_probability: float | dict[str, list[float]]
    num_mask_patterns: int | None
    strategy: str
    fine_tuning: dict[str, Any] | None = None

    def settings(self) -> dict[str, Any]:
        """The arm as plain data, for a result file; without `fine_tuning` where it is None, as results once were."""
        settings = asdict(self)
        if self.fine_tuning is None:
            del settings["fine_tuning"]
        return settings

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> DataCollatorForDynamicMasking:
        """The collator of this arm; its seed is the `Trainer`'s, by the callback."""
        return DataCollatorForDynamicMasking(
            tokenizer, strategy=self.strategy, num_mask_patterns=self.num_mask_patterns, pad_to_multiple_of=8
        )

    def callback(self) -> MaskRateCallback:
        """Makes the rate follow this arm's schedule; evaluation is the same in every arm."""
        return MaskRateCallback(_rate(self.mlm_probability), eval_mlm_probability=0.15)

    def fine_tuning_collator(
        self, tokenizer: PreTrainedTokenizerBase
    ) -> DataCollatorForTokenClassification | DataCollatorWithTokenDropout:
        """The collator of fine-tuning; one that masks needs [`fine_tuning_callbacks`], which also keep evaluation
        without masks.
        """
        collator = DataCollatorForTokenClassification(tokenizer, pad_to_multiple_of=8)
        if self.fine_tuning is None:
            return collator
        rate = _rate(self.fine_tuning["mlm_probability"])
        return DataCollatorWithTokenDropout(collator, **{**self.fine_tuning, "mlm_probability": rate})

    def fine_tuning_callbacks(self) -> list[MaskRateCallback]:
        """What [`fine_tuning_collator`] needs."""
        return [] if self.fine_tuning is None else [MaskRateCallback()]


def _rate(rate: float | dict[str, list[float]]) -> Any:
    if not isinstance(rate, dict):
        return rate
    ((schedule, arguments),) = rate.items()
    return getattr(hf_dynmask, f"{schedule}_schedule")(*arguments)


def arm_names() -> list[str]:
    """All arms there is a preset for."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml") if path.stem != "defaults")


def load_arm(name: str) -> Arm:
    """The arm of a preset.

    Raises:
        ValueError: if there is no such preset, or it holds a key that the defaults do not.
    """
    if name not in arm_names():
        raise ValueError(f"`arms` must be among {', '.join(arm_names())}, but got {name!r}. Add presets/{name}.yaml.")
    defaults, own = _read("defaults"), _read(name)
    unknown = sorted(own.keys() - defaults.keys())
    if unknown:
        raise ValueError(f"presets/{name}.yaml may set {', '.join(defaults)}, but sets {', '.join(unknown)}. Mend it.")
    return Arm(name=name, **{**defaults, **own})


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))
