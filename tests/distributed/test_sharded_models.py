"""A model that is sharded over two processes sees the batches, masks and rates of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import psutil
import pytest
import torch
import transformers
from accelerate.utils import is_deepspeed_available
from packaging.version import Version
from support.corpora import example
from support.sharded import EPOCHS, EXAMPLES, GLOBAL_BATCH, SCHEDULE, STEPS, collator_of, seen

from benchmarks.ner.experiments.launch_configs import combine_launches, load_launch

ROOT = Path(__file__).parents[2]
CPUS_SHARD = hasattr(torch.cpu.Stream, "record_event")  # torch 2.6 has no such method, and `fully_shard` calls it
TRAINER_SHARDS = Version(transformers.__version__) >= Version("5") and Version(accelerate.__version__) >= Version(
    "1.12"
)
needs_fully_shard = pytest.mark.skipif(not CPUS_SHARD, reason="this torch has `fully_shard` on GPUs only")
needs_sharding = pytest.mark.skipif(not TRAINER_SHARDS, reason="needs transformers 5 and accelerate 1.12")

LOOP, TRAINER = {"trainer": False}, {"trainer": True}
STREAM = {"stream": True, "dispatch": True}
ONE = {
    "loop": {"engine": None, "batch": 4, **LOOP},
    "Trainer": {"engine": None, "batch": 4, **TRAINER},
    "Trainer, stream": {"engine": None, "batch": 4, "stream": True, **TRAINER},
}
FULLY_SHARD = {"FSDP2, loop": {"engine": "FSDP2", "batch": 2, "workers": 2, **LOOP}}
TENSOR_PARALLEL = {"TP2, loop": {"engine": "TP2", "batch": 4, **LOOP}}
BY_TRAINER = {
    "FSDP2, Trainer": {"engine": "FSDP2", "batch": 2, "workers": 2, "bf16": True, **TRAINER},
    "TP2, Trainer": {"engine": "TP2", "batch": 4, **TRAINER},
    "TP2, Trainer, stream": {"engine": "TP2", "batch": 4, **STREAM, **TRAINER},
}
Result = dict[str, Any]


def _launched(launch: Any, scenarios: dict[str, dict], tokenizer: Path) -> dict[str, Result]:
    """What the ranks of each scenario saw. No process is left, whatever happens."""
    launch.write(tokenizer.parent)
    config = tokenizer.parent / f"{launch.name}.yaml"
    named = json.dumps([{"name": name, **scenario} for name, scenario in scenarios.items()])
    process = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m", "accelerate.commands.launch", "--config_file", str(config)),
            *(str(ROOT / "tests" / "support" / "sharded.py"), str(tokenizer), named),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=300)
    finally:
        for left in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            left.kill()
        process.kill()
    assert process.returncode == 0, errors
    (line,) = [line for line in output.splitlines() if line.startswith("SHARDED ")]
    return json.loads(line.removeprefix("SHARDED "))


@pytest.fixture(scope="module")
def tokenizer(wordpiece, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sharded") / "tokenizer"
    wordpiece.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def one(tokenizer) -> dict[str, Result]:
    return _launched(load_launch("cpu_1_fp32"), ONE, tokenizer)


@pytest.fixture(scope="module")
def two(tokenizer) -> dict[str, Result]:
    fully_shard, by_trainer = FULLY_SHARD if CPUS_SHARD else {}, BY_TRAINER if TRAINER_SHARDS else {}
    return _launched(load_launch("cpu_2_fp32"), TENSOR_PARALLEL | fully_shard | by_trainer, tokenizer)


@pytest.fixture(scope="module")
def expected(wordpiece) -> list[dict[int, str]]:
    """For each step, the masks of all examples at its rate, made without a loader; an epoch is half of the steps."""
    shown = []
    for step in range(STEPS):
        collator, epoch = collator_of(wordpiece, SCHEDULE(step / STEPS)), step * EPOCHS // STEPS
        collator.set_epoch(epoch)
        *_, rows = seen(collator([example(i) for i in range(EXAMPLES)]), epoch, step)
        shown.append(dict(map(tuple, rows)))
    return shown


def _check(result: Result, expected: list[dict[int, str]], copies: int) -> list[list[tuple[int, str]]]:
    """The rates, masks and epochs of each step are right, and each example has been seen `copies` times an epoch.

    Returns the examples of each step, in any order, with their masks.
    """
    numbers: list[list[int]] = [[] for _ in range(EPOCHS)]
    steps: list[list[tuple[int, str]]] = [[] for _ in range(STEPS)]
    for rank in result["ranks"]:
        assert [step for _, step, *_ in rank] == list(range(STEPS))
        for epoch, step, rates, rows in rank:
            assert epoch == step * EPOCHS // STEPS
            assert set(rates) == {float(np.float32(SCHEDULE(step / STEPS)))}
            assert dict(map(tuple, rows)).items() <= expected[step].items()
            numbers[epoch] += [number for number, _ in rows]
            steps[step] += map(tuple, rows)
    assert [sorted(seen_) for seen_ in numbers] == [sorted([*expected[0]] * copies)] * EPOCHS
    return [sorted(rows) for rows in steps]


@needs_fully_shard
@pytest.mark.parametrize(
    ("way", "dtype"), [("loop", "float32"), pytest.param("Trainer", "bfloat16", marks=needs_sharding)]
)
def test_fully_shard_on_two_processes_is_as_one_process(one, two, expected, way, dtype) -> None:
    sharded = two[f"FSDP2, {way}"]
    assert (sharded["strategy"], sharded["dtype"]) == ("FSDP2", f"torch.{dtype}")
    assert len(sharded["ranks"]) == 2
    assert _check(sharded, expected, copies=1) == _check(one[way], expected, copies=1)


@pytest.mark.parametrize(
    "way",
    [
        "loop",
        pytest.param("Trainer", marks=needs_sharding),
        pytest.param("Trainer, stream", marks=needs_sharding),
    ],
)
def test_tensor_parallel_ranks_see_the_batches_of_one_process(one, two, expected, way) -> None:
    sharded = two[f"TP2, {way}"]
    assert sharded["strategy"] == "TP2"
    first, second = sharded["ranks"]
    assert first == second == one[way]["ranks"][0]
    _check(sharded, expected, copies=2)


@needs_sharding
def test_tensor_parallel_ranks_see_one_batch_where_it_is_dispatched(two) -> None:
    first, second = two["TP2, Trainer, stream"]["ranks"]
    assert first == second


@pytest.mark.skipif(not is_deepspeed_available(), reason="no DeepSpeed: install deepspeed")
def test_zero_2_on_two_processes_is_as_one_process(tokenizer, one, expected) -> None:
    choices = {"device": ["cpu"], "processes": [2], "precision": ["fp32"], "strategy": ["zero2"]}
    (launch,) = combine_launches(choices)
    scenario = {"engine": None, "batch": 2, **TRAINER}
    sharded = _launched(launch, {"ZeRO-2": scenario}, tokenizer)["ZeRO-2"]
    assert sharded["strategy"] == "DEEPSPEED"
    assert _check(sharded, expected, copies=1) == _check(one["Trainer"], expected, copies=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("strategy", "seen_as"), [("ddp", None), ("fsdp", "FSDP"), ("fsdp2", "FSDP2")])
def test_gpus_in_bf16_are_as_one_cpu(tokenizer, expected, strategy, seen_as) -> None:
    """On two GPUs where there are two, on one otherwise."""
    processes = min(2, torch.cuda.device_count())
    choices = {"device": ["gpu"], "processes": [processes], "precision": ["bf16"], "strategy": [strategy]}
    (launch,) = combine_launches(choices)
    scenario = {"engine": None, "batch": GLOBAL_BATCH // processes, **TRAINER}
    found = _launched(launch, {"GPU": scenario}, tokenizer)["GPU"]
    assert (found["strategy"], found["dtype"], len(found["ranks"])) == (seen_as, "torch.bfloat16", processes)
    _check(found, expected, copies=1)
