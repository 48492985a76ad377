"""Interleaved measurements, and the figures of the table."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy
import pytest
import torch
import transformers
from pytest_benchmark.fixture import BenchmarkFixture
from transformers import PreTrainedTokenizerFast

from benchmarks.speed import batches
from benchmarks.speed.table import Figure

Functions = dict[str, Callable[[], Any]]


class Interleaved:
    """Times several functions in turn, so that the load of the machine affects all of them equally.

    pytest-benchmark times `timed`; all others run, and are timed, before each of its rounds.
    """

    def __init__(self, benchmark: BenchmarkFixture) -> None:
        self.benchmark = benchmark

    def __call__(self, functions: Functions, timed: str = "ours", rounds: int = 20) -> dict[str, float]:
        """Returns the median seconds of each function; with --benchmark-disable, those of a single call."""
        if self.benchmark.disabled:
            once = {name: _seconds(function) for name, function in functions.items() if name != timed}
            return once | {timed: self.benchmark(_seconds, functions[timed])}
        seconds: dict[str, list[float]] = {name: [] for name in functions if name != timed}

        def others() -> None:
            for name, kept in seconds.items():
                kept.append(_seconds(functions[name]))

        others()
        functions[timed]()
        self.benchmark.pedantic(functions[timed], setup=others, rounds=rounds)
        medians = {name: median(kept[1:]) for name, kept in seconds.items()}
        medians[timed] = self.benchmark.stats.stats.median
        self.benchmark.extra_info["seconds"] = medians
        return medians


def _seconds(function: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


@pytest.fixture
def interleaved(benchmark: BenchmarkFixture) -> Interleaved:
    return Interleaved(benchmark)


@pytest.fixture
def report(benchmark: BenchmarkFixture) -> Callable[..., None]:
    """Adds a figure to the table."""
    benchmark.extra_info["versions"] = {each.__name__: each.__version__ for each in (torch, transformers, numpy)}
    figures = benchmark.extra_info.setdefault("figures", [])
    return lambda *args, **kwargs: figures.append(Figure(*args, **kwargs)._asdict())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--train_file", help="a NER corpus, whose sentences bench_steps.py trains on")
    parser.addoption("--corpus", default="train_file", help="its name in the table")


@pytest.fixture(autouse=True)
def _single_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return batches.tokenizer()
