"""Trainings of a model that is sharded, a program of its own: `sharded.py TOKENIZER SCENARIOS`, which are JSON.

A scenario has a `name`, an `engine`, a `batch` size for each process, and whether a `Trainer` runs it or a loop.
Engines are torch's `fully_shard` ("FSDP2"), tensor parallelism ("TP2"), or None for what the launcher has set up. The
first rank prints for each scenario what each rank saw, what shards the model, and the dtype that it computes in.

accelerate shards on accelerators only, so a `Trainer` on CPUs has it take them for GPUs; nothing else differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DistributedType, gather_object
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler
from transformers import AutoTokenizer, Trainer, TrainerCallback, TrainingArguments, set_seed

from benchmarks.ner.experiments.distributed import exit_all_ranks
from benchmarks.ner.training.observed_launch import ComputeDtype, training_strategy
from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, linear_schedule
from support.corpora import Numbered, Stream

EXAMPLES, EPOCHS, GLOBAL_BATCH = 24, 2, 4
STEPS = EPOCHS * EXAMPLES // GLOBAL_BATCH
SEED, SCHEDULE = 5, linear_schedule(0.4, 0.1)
Batch = dict[str, torch.Tensor]


class Model(nn.Module):
    """Predicts each token from itself."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.embed, self.up = nn.Embedding(vocabulary_size, 16), nn.Linear(16, 32)
        self.down = nn.Linear(32, vocabulary_size)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        logits = self.down(self.up(self.embed(input_ids)).relu())
        return {"loss": nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())}


def sharded(model: Model, engine: str | None) -> Model:
    """By torch's own means, over all processes."""
    if engine == "FSDP2":
        mesh = init_device_mesh("cpu", (PartialState().num_processes,))
        return fully_shard(model, mesh=mesh)
    if engine == "TP2":
        mesh = init_device_mesh("cpu", (2,), mesh_dim_names=("tp",))
        parallelize_module(model, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
        # what a model of transformers says of itself when it is loaded in parts
        model.tp_size = model._tp_size = 2
        model.config = SimpleNamespace(distributed_config=SimpleNamespace(dp_size=1), to_dict=dict)
    return model


def seen(batch: Batch, epoch: int, step: int) -> list[Any]:
    """The epoch, the step, the rates, and for each example its number and a hash of what the model sees of it."""
    batch = {name: values.cpu() for name, values in batch.items()}
    shown = []
    for ids, labels, attended in zip(*(batch[n] for n in ("input_ids", "labels", "attention_mask")), strict=True):
        pair = [ids[attended.bool()].tolist(), labels[attended.bool()].tolist()]
        number = pair[0][0] if pair[1][0] == -100 else pair[1][0]
        shown.append([number, hashlib.sha256(repr(pair).encode()).hexdigest()[:16]])
    return [epoch, step, batch["mask_rate"].tolist(), shown]


def in_a_loop(model: Model, collator: DataCollatorForDynamicMasking, scenario: dict[str, Any]) -> list[Any]:
    """With tensor parallelism, all ranks have the same examples; otherwise each has its own."""
    state, data = PartialState(), Numbered(EXAMPLES)
    shares = 1 if scenario["engine"] == "TP2" else state.num_processes
    sampler = DistributedSampler(data, shares, state.process_index % shares, seed=SEED)
    options = {"batch_size": scenario["batch"], "num_workers": scenario.get("workers", 0)}
    loader = DataLoader(data, sampler=sampler, collate_fn=collator, **options)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    found: list[Any] = []
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        collator.start_epoch(loader, epoch, total_steps=STEPS)
        for batch in loader:
            found.append(seen(batch, epoch, len(found)))
            model(**batch)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
    return found


class CountsEpochs(TrainerCallback):
    epoch = -1

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.epoch += 1


class Recorded(Trainer):
    found: list[Any]
    counter: CountsEpochs

    def training_step(self, model: nn.Module, inputs: Batch, *rest: Any) -> torch.Tensor:
        self.found.append(seen(inputs, self.counter.epoch, self.state.global_step))
        return super().training_step(model, inputs, *rest)


@contextmanager
def accelerate_told_to_shard(engine: str | None) -> Iterator[None]:
    """It takes the CPUs for GPUs, until all that it noted of that is forgotten."""
    environment = dict(os.environ)
    if engine is not None:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    yield
    if engine is not None:
        os.environ.clear()
        os.environ.update(environment)
        AcceleratorState._reset_state(reset_partial_state=False)
        GradientState._reset_state()


def by_trainer(model: Model, collator: DataCollatorForDynamicMasking, scenario: dict[str, Any]) -> tuple[list, Any]:
    engine = scenario["engine"]
    options: dict[str, Any] = {"bf16": scenario.get("bf16", False)} if engine else {}  # or as launched
    if engine == "FSDP2":
        options |= {"fsdp": "full_shard", "fsdp_config": {"version": 2, "auto_wrap_policy": "NO_WRAP"}}
    if engine == "TP2":
        from accelerate.parallelism_config import ParallelismConfig

        options["parallelism_config"] = ParallelismConfig(tp_size=2)
        sharded(model, engine)
    arguments = TrainingArguments(
        scenario["output_dir"],
        use_cpu=not torch.cuda.is_available(),
        per_device_train_batch_size=scenario["batch"],
        max_steps=STEPS,
        learning_rate=0.1,
        remove_unused_columns=False,
        dataloader_num_workers=scenario.get("workers", 0),
        accelerator_config={"dispatch_batches": scenario.get("dispatch")},
        **{"report_to": "none", "disable_tqdm": True, "logging_strategy": "no", "save_strategy": "no"},
        **options,
    )
    assert arguments.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    with accelerate_told_to_shard(engine):
        counter = CountsEpochs()
        data = (Stream if scenario.get("stream") else Numbered)(EXAMPLES)
        callbacks = [MaskRateCallback(SCHEDULE, eval_mlm_probability=0.15), counter]
        trainer = Recorded(model, arguments, train_dataset=data, data_collator=collator, callbacks=callbacks)
        trainer.found, trainer.counter = [], counter
        trainer.train()
    return trainer.found, trainer.model_wrapped


def collator_of(tokenizer: Any, rate: Any) -> DataCollatorForDynamicMasking:
    return DataCollatorForDynamicMasking(tokenizer, rate, seed=SEED, return_mask_rate=True, pad_to_multiple_of=32)


def run(tokenizer: Any, scenario: dict[str, Any]) -> dict[str, Any]:
    set_seed(0)
    model = Model(len(tokenizer))
    with ComputeDtype(model) as compute:
        if scenario["trainer"]:
            found, wrapped = by_trainer(model, collator_of(tokenizer, 0.15), scenario)
        else:
            wrapped = sharded(model, scenario["engine"])
            found = in_a_loop(wrapped, collator_of(tokenizer, SCHEDULE), scenario)
    return {"strategy": training_strategy(wrapped), "dtype": str(compute.dtype), "ranks": gather_object([found])}


def main(tokenizer: str, scenarios: list[dict[str, Any]]) -> None:
    torch.set_num_threads(1)
    state = PartialState(cpu=not torch.cuda.is_available())
    loaded = AutoTokenizer.from_pretrained(tokenizer)
    folder = {"output_dir": f"{tokenizer}-trained"}
    results = {scenario["name"]: run(loaded, {**folder, **scenario}) for scenario in scenarios}
    if state.is_main_process:
        print("SHARDED", json.dumps(results))
    exit_all_ranks(0)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
