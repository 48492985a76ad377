"""A training as a user would run it, started as a program of its own: `training.py SETTINGS`, which are JSON.

Each rank writes a line for each batch before it trains on it, so that what was seen outlives it; in the end the first
writes what the weights are. `die` is [event, which of them, seconds after]: the program kills itself there. `stop` is
the step to stop after, with a checkpoint; `rates` are those of a linear schedule.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from benchmarks.ner.experiments.distributed import exit_all_ranks
from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, linear_schedule
from support.corpora import Numbered, Stream


def newest_complete_checkpoint(output_dir: Path) -> str | None:
    """`Trainer` writes a checkpoint's state last: it is complete if that can be read."""
    for path in sorted(output_dir.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True):
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        return str(path)
    return None


def _dies_at(event: str, which: int, seconds: float) -> Callable[[str], None]:
    """Called with what happens: at the `which`-th `event` death comes after some seconds, whatever is done then."""
    left = [which]

    def happens(what: str) -> None:
        left[0] -= what == event
        if left[0] == 0 and what == event:
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
            if not seconds:
                signal.pause()

    return happens


class Recorded(Trainer):
    """Writes down each batch: epoch, step, batch of the step, and for each example its first token and its masks."""

    def __init__(self, record: Path, happens: Callable[[str], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._file, self._happens = record.open("a"), happens
        self._place = (-1, -1)

    def training_step(self, model: Any, inputs: dict[str, torch.Tensor], *rest: Any) -> torch.Tensor:
        step = self.state.global_step
        self._place = (step, self._place[1] + 1 if self._place[0] == step else 0)
        self._file.write(json.dumps([*self._place, _epoch(self), list(map(_row, *inputs.values()))]) + "\n")
        self._file.flush()
        self._happens("accumulation" if self._place[1] == 1 else "step")
        return super().training_step(model, inputs, *rest)

    def prediction_step(self, *arguments: Any, **options: Any) -> Any:
        self._happens("evaluation")
        return super().prediction_step(*arguments, **options)

    def _save_checkpoint(self, *arguments: Any) -> None:
        self._happens("checkpoint")
        super()._save_checkpoint(*arguments)


class Stops(TrainerCallback):
    """After a step, with a checkpoint."""

    def __init__(self, step: int | None) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self._step:
            control.should_save = control.should_training_stop = True


def _epoch(trainer: Trainer) -> int:
    (callback,) = (one for one in trainer.callback_handler.callbacks if isinstance(one, MaskRateCallback))
    return callback._training.epoch


def _row(input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor) -> tuple[int, str]:
    """An example's number, and a hash of what the model sees of it, without padding."""
    seen = attention_mask.bool()
    shown = [input_ids[seen].tolist(), labels[seen].tolist()]
    number = input_ids[0] if labels[0] == -100 else labels[0]
    return int(number), hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def main(settings: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    folder = Path(settings["output_dir"])
    arguments = TrainingArguments(
        str(folder), use_cpu=True, report_to="none", disable_tqdm=True, logging_strategy="no", **settings["arguments"]
    )
    tokenizer = AutoTokenizer.from_pretrained(settings["tokenizer"])
    set_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    dropout = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), settings.get("dropout", 0.0))
    trainer = Recorded(
        folder / f"{settings['record']}-{arguments.process_index}.jsonl",
        _dies_at(*settings.get("die", ["never", 1, 0.0])),
        model=BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes, **dropout)),
        args=arguments,
        train_dataset=(Stream if settings.get("stream") else Numbered)(settings["examples"]),
        eval_dataset=Numbered(6),
        data_collator=DataCollatorForDynamicMasking(tokenizer, strategy="whole_word", pad_to_multiple_of=32),
        callbacks=[
            MaskRateCallback(linear_schedule(*settings.get("rates", (0.4, 0.1))), audit="every_step"),
            Stops(settings.get("stop")),
        ],
    )
    trainer.train(resume_from_checkpoint=newest_complete_checkpoint(folder))
    if arguments.process_index == 0:
        weights = b"".join(value.numpy().tobytes() for value in trainer.model.state_dict().values())
        (folder / f"{settings['record']}.weights").write_text(hashlib.sha256(weights).hexdigest())
    exit_all_ranks(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
