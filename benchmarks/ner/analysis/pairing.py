"""Which results may be held against each other: runs of one arm, and pairs of two arms' runs.

A pair has the same seed, dataset, model, budget and launch, and the same test sentences. Failed runs count nowhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from benchmarks.ner.data.display import shorten
from benchmarks.ner.experiments.entity_counts import by_document
from benchmarks.ner.experiments.result import canonical_json, configuration, differences

Result = Mapping[str, Any]


def conditions(result: Result) -> str:
    """What results that are compared share, as JSON: all of the configuration but arm and seed."""
    return canonical_json(_shared_configuration(result))


def groups(results: Iterable[Result]) -> Iterator[list[Result]]:
    """The sound results under the same conditions."""
    successful = (result for result in results if result["status"] == "ok")
    return (list(members) for _, members in groupby(sorted(successful, key=conditions), key=conditions))


def arms(results: Iterable[Result]) -> list[str]:
    """The names of all arms, sorted."""
    return sorted({result["arm"]["name"] for result in results})


def runs_by_seed(results: Iterable[Result], arm: str) -> dict[int, Result]:
    """The sound run of each seed of an arm; `ValueError` for two of a seed, or arms that only share the name."""
    runs: dict[int, Result] = {}
    for result in results:
        if result["arm"]["name"] == arm and result["status"] == "ok":
            seed = result["seed"]
            if seed in runs:
                rule = "results must hold one run of an arm and a seed"
                raise ValueError(f"{rule}; got two of {_run_name(result)}; pass results of one folder and one budget")
            runs[seed] = result
    if len({canonical_json(run["arm"]) for run in runs.values()}) > 1:
        rule = "results must hold an arm in one setting"
        raise ValueError(f"{rule}; got several of the name {shorten(arm)}; leave out those of another preset")
    return runs


def has_counts(result: Result) -> bool:
    """Whether entities are counted by sentence; older results do not."""
    return result["quality"].get("test_sentences") is not None


def pair_runs(results: Sequence[Result], first: str, second: str) -> tuple[Result, tuple[int, ...], np.ndarray]:
    """One of the runs, the seeds that two arms share, and the counts of both, int `[2, seeds, documents, 2]`.

    Raises `ValueError` for runs that are no pairs.
    """
    if first == second:
        raise ValueError(f"first and second must be two arms; both are {shorten(first)}; name another")
    runs = {arm: runs_by_seed(results, arm) for arm in (first, second)}
    seeds = tuple(sorted(runs[first].keys() & runs[second].keys()))
    if not seeds:
        received = " and ".join(
            f"{shorten(arm)} with {', '.join(map(shorten, sorted(found))) or 'none'}" for arm, found in runs.items()
        )
        raise ValueError(
            f"results must hold first and second under the same seeds; got {received}; run both with the same"
        )
    members = [runs[arm][seed] for arm in (first, second) for seed in seeds]
    for run in members:
        _check_comparable(run, members[0])
    counts = np.stack([by_document(run["quality"]["test_sentences"]) for run in members])
    return members[0], seeds, counts.reshape(2, len(seeds), -1, 2)


def _check_comparable(run: Result, other: Result) -> None:
    if conditions(run) != conditions(other):
        rule = "results must be of one dataset, model, budget and launch"
        received = (
            f"another {differences(_shared_configuration(run), _shared_configuration(other))} in {_run_name(run)}"
        )
        raise ValueError(f"{rule}; got {received} than in {_run_name(other)}; pass those of one at a time")
    if not has_counts(run):
        rule = "results must count entities by sentence"
        raise ValueError(
            f"{rule}; got no quality.test_sentences in {_run_name(run)}; run it anew: older results have none"
        )
    found, expected = (result["quality"]["test_sentences"] for result in (run, other))
    if any(found[name] != expected[name] for name in ("gold", "documents")):
        rule = "results must be of the same test sentences"
        received = f"other gold entities or documents in {_run_name(run)} than in {_run_name(other)}"
        raise ValueError(f"{rule}; got {received}; run both on the same files")


def _shared_configuration(result: Result) -> dict[str, Any]:
    return {key: value for key, value in configuration(result).items() if key not in ("arm", "seed")}


def _run_name(result: Result) -> str:
    return f"{shorten(result['arm']['name'])}, seed {shorten(result['seed'])}"
