"""An example has the same mask in an epoch for any number of processes, workers and batches, also on resuming."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import resumable
from support.extended import every
from support.launched import launched
from transformers import trainer_pt_utils

BALANCES = hasattr(trainer_pt_utils, "BatchRebalanceSampler")
EXAMPLES, EPOCHS, STOP = 44, 2, 15  # 11 steps an epoch at a global batch of 4
FALLING, FIXED = (0.4, 0.1), (0.3, 0.3)  # the first and the last rate
Seen = dict[tuple[int, int], str]


def _loading(**options: bool) -> dict:
    return {"accelerator_config": options}


WAYS = {
    "1 process": (1, {"per_device_train_batch_size": 4}),
    "2 processes": (2, {"per_device_train_batch_size": 2}),
    "2 processes, workers": (2, {"per_device_train_batch_size": 2, "dataloader_num_workers": 2}),
    "accumulation": (1, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}),
    "workers": (1, {"per_device_train_batch_size": 4, "dataloader_num_workers": 3}),
    "another global batch": (1, {"per_device_train_batch_size": 3, "max_steps": EPOCHS * 15}),
    "another global batch, 2 processes": (2, {"per_device_train_batch_size": 4, "max_steps": EPOCHS * 6}),
    "stream": (1, {"per_device_train_batch_size": 4}),
    "stream, dispatched": (2, {"per_device_train_batch_size": 2, **_loading(dispatch_batches=True)}),
    "stream, split": (2, {"per_device_train_batch_size": 4, **_loading(dispatch_batches=True, split_batches=True)}),
    "stream, sharded": (2, {"per_device_train_batch_size": 2, **_loading(dispatch_batches=False)}),
}
BALANCED = {"train_sampling_strategy": "batch_rebalance"}
WAYS["balanced"] = (1, {**WAYS["1 process"][1], **BALANCED})
WAYS["balanced, 2 processes"] = (2, {**WAYS["2 processes"][1], **BALANCED})
for way in ("stream, dispatched", "stream, sharded"):
    WAYS[f"{way}, workers"] = (2, {**WAYS[way][1], "dataloader_num_workers": 2})


def _launch(
    tokenizer: Path,
    output_dir: Path,
    way: str,
    rates: tuple[float, float],
    stop: int | None = None,
    examples: int = EXAMPLES,
) -> Seen:
    """What a training saw: for (example, epoch), a hash of it."""
    processes, arguments = WAYS[way]
    output_dir.mkdir(exist_ok=True)
    record = f"{len(list(output_dir.iterdir()))}"
    settings = {"tokenizer": str(tokenizer), "output_dir": str(output_dir), "record": record, "examples": examples}
    settings |= {"arguments": {"max_steps": EPOCHS * 11, "save_strategy": "no", **arguments}, "rates": rates}
    settings["stream"] = "stream" in way
    launched(processes, "support/training.py", json.dumps({**settings, "stop": stop}), timeout=300)
    records = list(output_dir.glob(f"{record}-*.jsonl"))
    assert len(records) == processes
    lines = [json.loads(line) for path in records for line in path.read_text().splitlines()]
    return {(number, epoch): shown for _, _, epoch, rows in lines for number, shown in rows}


@pytest.fixture(scope="module")
def tokenizer(wordpiece, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    wordpiece.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whole(tokenizer, tmp_path_factory) -> Callable[[tuple[float, float]], Seen]:
    """What one process sees that is never stopped, at some rates."""
    return functools.cache(lambda rates: _launch(tokenizer, tmp_path_factory.mktemp("whole"), "1 process", rates))


@pytest.fixture(scope="module")
def whole_stream(tokenizer, tmp_path_factory) -> Seen:
    return _launch(tokenizer, tmp_path_factory.mktemp("whole"), "stream", FALLING)


QUICK = [("1 process", "2 processes"), ("2 processes", "1 process"), ("1 process", "another global batch")]
STRESS = [
    ("1 process", "accumulation"),
    ("1 process", "workers"),
    ("2 processes", "2 processes, workers"),
    ("2 processes, workers", "accumulation"),
    ("accumulation", "2 processes"),
    ("workers", "another global batch, 2 processes"),
    ("another global batch, 2 processes", "workers"),
]
SHARED = ["stream, dispatched", "stream, split", "stream, sharded"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    stress = metafunc.config.getoption("--stress")
    if "ways" in metafunc.fixturenames:
        ways = every(len(QUICK) + len(STRESS), [(way,) for way in (QUICK + STRESS if stress else QUICK)])
        metafunc.parametrize("ways", ways, ids=" then ".join)
    if "shared" in metafunc.fixturenames:
        metafunc.parametrize("shared", SHARED if stress else SHARED[:1])


@resumable.with_other_processes
def test_what_is_made_in_one_way_goes_on_in_another(tokenizer, tmp_path, whole, ways, report_figure) -> None:
    """With another global batch there are other steps, and `Trainer` goes on in another place: one rate, then."""
    rates = FIXED if any("another" in way for way in ways) else FALLING
    last = WAYS[ways[1]][1].get("max_steps", EPOCHS * 11)
    begun = _launch(tokenizer, tmp_path, ways[0], rates, stop=min(STOP, last - 4))
    resumed = _launch(tokenizer, tmp_path, ways[1], rates)
    expected = whole(rates)
    assert len(expected) == EPOCHS * EXAMPLES
    for seen in (begun, resumed):
        assert seen.items() <= expected.items()
    assert resumed
    if rates == FALLING:
        assert {**begun, **resumed} == expected
        assert not begun.keys() & resumed.keys()
    report_figure("resumed in another way", " then ".join(ways))


def test_ranks_that_share_a_stream(tokenizer, tmp_path, whole_stream, shared) -> None:
    assert len(whole_stream) == EPOCHS * EXAMPLES
    assert _launch(tokenizer, tmp_path, shared, FALLING) == whole_stream


@pytest.mark.extended
@pytest.mark.parametrize("way", ["stream, dispatched", "stream, split"])
def test_a_dispatched_batch_that_is_filled_up(tokenizer, tmp_path, whole_stream, way) -> None:
    """accelerate fills up the last batch for all ranks with the epoch's first, whose masks are those of its step."""
    seen = _launch(tokenizer, tmp_path, way, FALLING, examples=EXAMPLES - 1)
    assert len(seen) == EPOCHS * (EXAMPLES - 1)
    assert seen.items() <= whole_stream.items()


@pytest.mark.extended
@resumable.with_other_processes
def test_ranks_that_share_a_stream_and_resume(tokenizer, tmp_path, whole_stream, shared) -> None:
    begun = _launch(tokenizer, tmp_path, shared, FALLING, stop=5)
    resumed = _launch(tokenizer, tmp_path, shared, FALLING)
    assert {**begun, **resumed} == whole_stream


@pytest.mark.skipif(not BALANCES, reason="transformers before 5 has no `batch_rebalance`")
def test_ranks_whose_batches_are_balanced_by_length(tokenizer, tmp_path, stress) -> None:
    if not stress:
        pytest.skip("under --stress only")
    seen = _launch(tokenizer, tmp_path / "one", "balanced", FALLING)
    assert len(seen) == EPOCHS * EXAMPLES
    assert _launch(tokenizer, tmp_path / "two", "balanced, 2 processes", FALLING) == seen


@pytest.mark.parametrize("way", ["stream, dispatched, workers", "stream, sharded, workers"])
def test_ranks_and_workers_that_share_a_stream(tokenizer, tmp_path, whole, way, stress) -> None:
    """Workers read other parts of it, so that examples come in other steps: one rate, then."""
    if not stress:
        pytest.skip("under --stress only")
    seen = _launch(tokenizer, tmp_path, way, FIXED)
    assert seen.items() <= whole(FIXED).items()
    assert {number for number, _ in seen} == {number for number, _ in whole(FIXED)}
