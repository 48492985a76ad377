"""Selects results that are comparable: runs of one arm, and pairs of runs of two arms.

The runs of a pair differ in the arm alone: they share the seed, the version of the harness, the dataset, model, budget,
launch and base. Failed runs are ignored.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from benchmarks.ner.data.display import shorten
from benchmarks.ner.experiments.entity_counts import by_document
from benchmarks.ner.experiments.result import Result, canonical_json, configuration, differences

Pair = tuple[Result, Result]


def conditions(result: Result) -> str:
    """Returns the conditions that comparable results share, as JSON: the configuration without arm and seed."""
    return canonical_json(_shared_configuration(result))


def groups(results: Iterable[Result]) -> Iterator[list[Result]]:
    """Groups the successful results by their conditions."""
    successful = (result for result in results if result["status"] == "ok")
    return (list(members) for _, members in groupby(sorted(successful, key=conditions), key=conditions))


def arms(results: Iterable[Result]) -> list[str]:
    """Returns the sorted names of all arms."""
    return sorted({result["arm"]["name"] for result in results})


def runs_by_seed(results: Iterable[Result], arm: str) -> dict[int, Result]:
    """Returns the successful run of each seed of an arm.

    Raises `ValueError` for two runs of a seed, and for different arms of the same name."""
    runs: dict[int, Result] = {}
    for result in results:
        if result["arm"]["name"] == arm and result["status"] == "ok":
            seed = result["seed"]
            if seed in runs:
                rule = "results must have one run per arm and seed"
                raise ValueError(f"{rule}; got two of {_run_name(result)}; pass results of one folder and one budget")
            runs[seed] = result
    if len({canonical_json(run["arm"]) for run in runs.values()}) > 1:
        rule = "results must have one setting per arm"
        raise ValueError(f"{rule}; got several for {shorten(arm)}; remove the results of other presets")
    return runs


def pair_runs(results: Sequence[Result], first: str, second: str) -> list[Pair]:
    """Pairs the runs of two arms with the same seed, sorted by seed.

    Raises `ValueError` if the runs are not pairs.
    """
    if first == second:
        raise ValueError(f"first and second must be different arms; both are {shorten(first)}; pass another")
    runs = {arm: runs_by_seed(results, arm) for arm in (first, second)}
    seeds = sorted(runs[first].keys() & runs[second].keys())
    if not seeds:
        received = " and ".join(
            f"{shorten(arm)} with {', '.join(map(shorten, sorted(found))) or 'none'}" for arm, found in runs.items()
        )
        raise ValueError(
            f"results must have a seed that first and second share; got {received}; run both with the same seeds"
        )
    pairs = [(runs[first][seed], runs[second][seed]) for seed in seeds]
    for run in (run for pair in pairs for run in pair):
        _check_comparable(run, pairs[0][0])
    return pairs


def counts(pairs: Sequence[Pair]) -> np.ndarray:
    """Returns the entity counts of both runs of each pair by document, int `[2, pairs, documents, 2]`.

    Raises `ValueError` for runs without counts, and for other test sentences.
    """
    members = [pair[number] for number in (0, 1) for pair in pairs]
    for run in members:
        _check_sentences(run, members[0])
    by_run = np.stack([by_document(run["quality"]["test_sentences"]) for run in members])
    return by_run.reshape(2, len(pairs), -1, 2)


def _check_comparable(run: Result, other: Result) -> None:
    if conditions(run) != conditions(other):
        rule = "results must share harness, dataset, model, budget, launch and base"
        received = (
            f"another {differences(_shared_configuration(run), _shared_configuration(other))} in {_run_name(run)}"
        )
        raise ValueError(f"{rule}; got {received} than in {_run_name(other)}; pass comparable results")


def _check_sentences(run: Result, other: Result) -> None:
    if run["quality"].get("test_sentences") is None:
        rule = "results must have entity counts per sentence"
        raise ValueError(f"{rule}; got no quality.test_sentences in {_run_name(run)}; run it again")
    found, expected = (result["quality"]["test_sentences"] for result in (run, other))
    if any(found[name] != expected[name] for name in ("gold", "documents")):
        rule = "results must have the same test sentences"
        received = f"other gold entities or documents in {_run_name(run)} than in {_run_name(other)}"
        raise ValueError(f"{rule}; got {received}; run both with the same files")


def _shared_configuration(result: Result) -> dict[str, Any]:
    return {key: value for key, value in configuration(result).items() if key not in ("arm", "seed")}


def _run_name(result: Result) -> str:
    return f"{shorten(result['arm']['name'])}, seed {shorten(result['seed'])}"
