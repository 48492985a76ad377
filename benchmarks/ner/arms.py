"""The arms of the comparison: each is a file of what differs from `presets/defaults.yaml`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from transformers import PreTrainedTokenizerBase

import hf_dynmask
from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class Arm:
    """How an arm masks.

    Attributes:
        name: the preset's.
        pretrain: False to skip pre-training.
        mlm_probability: a number, or one `hf_dynmask` schedule and its arguments: `{"linear": [0.30, 0.15]}`.
        num_mask_patterns: see `DataCollatorForDynamicMasking`, as for `strategy`.
    """

    name: str
    pretrain: bool
    mlm_probability: float | dict[str, list[float]]
    num_mask_patterns: int | None
    strategy: str

    def settings(self) -> dict[str, Any]:
        """The arm as plain data, for a result file."""
        return asdict(self)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> DataCollatorForDynamicMasking:
        """The collator of this arm; its seed is the `Trainer`'s, by the callback."""
        return DataCollatorForDynamicMasking(
            tokenizer, strategy=self.strategy, num_mask_patterns=self.num_mask_patterns, pad_to_multiple_of=8
        )

    def callback(self) -> MaskRateCallback:
        """Makes the rate follow this arm's schedule; evaluation is the same in every arm."""
        return MaskRateCallback(self._rate(), eval_mlm_probability=0.15)

    def _rate(self) -> Any:
        if not isinstance(self.mlm_probability, dict):
            return self.mlm_probability
        ((schedule, arguments),) = self.mlm_probability.items()
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
