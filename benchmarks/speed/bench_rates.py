"""Measures the cost of a rate that follows the training."""

import pytest
import torch
from torch.utils.data import DataLoader
from transformers import TrainerState, TrainingArguments

from benchmarks.speed.batches import SHAPES, check, lengths_of, numpy_examples
from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, linear_schedule


@pytest.mark.parametrize(("batch_size", "length"), SHAPES)
def test_a_schedule_and_the_callback(interleaved, report, benchmark, tokenizer, tmp_path, batch_size, length) -> None:
    """Compares a batch with all events of a step to a batch at a constant rate."""
    examples = numpy_examples(lengths_of(batch_size, length))
    constant = DataCollatorForDynamicMasking(tokenizer)
    constant.set_epoch(0)

    args = TrainingArguments(str(tmp_path), report_to=[], use_cpu=True)
    state = TrainerState(epoch=0.0, max_steps=1_000_000, num_train_epochs=1, is_world_process_zero=False)
    loader = DataLoader(range(1_000_000), batch_size=1, collate_fn=DataCollatorForDynamicMasking(tokenizer))
    callback = MaskRateCallback(linear_schedule(0.15, 0.10))
    callback.on_train_begin(args, state, None, train_dataloader=loader, model=torch.nn.Identity())
    callback.on_epoch_begin(args, state, None, train_dataloader=loader)
    drawn = iter(loader.batch_sampler)
    drawn_alone = iter(DataLoader(range(1_000_000), batch_size=1).batch_sampler)

    def step() -> object:
        next(drawn)
        batch = loader.collate_fn(examples)
        callback.on_step_begin(args, state, None)
        callback.on_pre_optimizer_step(args, state, None)
        callback.on_step_end(args, state, None)
        return batch

    check(step(), examples)
    benchmark.group = f"schedule, {batch_size} x {length}"
    alone = lambda: (next(drawn_alone), constant(examples))[1]  # noqa: E731
    seconds = interleaved({"ours": step, "constant": alone}, rounds=200)
    added = 100 * (seconds["ours"] / seconds["constant"] - 1)
    report("schedule and callback added to a constant rate", f"{batch_size} x {length}", added, "%", 3, more=False)
