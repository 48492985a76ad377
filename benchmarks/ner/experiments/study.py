"""Reads a registered study: what it asks, its runs, and how they will be judged. It is committed before its first run.

A study pre-trains bases, and continues each of them with every arm. Two runs that differ in their arm alone are a pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.ner.experiments.arguments import HarnessArguments
from benchmarks.ner.experiments.grid import Grid, GridCell, budget_arguments, dataset_files
from benchmarks.ner.experiments.launch_configs import Launch, load_launch
from benchmarks.ner.experiments.yaml_checks import (
    is_count,
    is_number,
    is_string,
    list_of,
    mapping,
    read_yaml,
    reject,
)
from benchmarks.ner.training.arms import load_arm

STUDIES = Path(__file__).parents[1] / "studies"
TEXTS = ("question", "exclusions", "extension")
KEYS = (
    *("question", "registered", "corpus", "model", "launch", "time_limit", "bases", "continuations", "fine_tunings"),
    *("arms", "primary", "secondary", "control", "repeats", "looks", "exclusions", "extension"),
)
STAGE_KEYS = {
    "bases": ("arm", "seeds", "mlm_train_file", "arguments"),
    "continuations": ("per_base", "mlm_train_file", "arguments"),
}
Pair = tuple[str, str]


@dataclass(frozen=True)
class Look:
    """An analysis at a number of pairs. A contrast is decided if its adjusted p-value is below `level`."""

    pairs: int
    level: float


@dataclass(frozen=True)
class Study:
    """A registered study.

    Attributes:
        name: the name of its file without suffix, which its results have in their identity.
        registered: the day on which it was committed.
        bases: the number of bases.
        contrasts: the declared contrasts, each of two arms; Holm's method adjusts them together.
        smallest_difference: the smallest difference of test F1 that is of interest, in points.
        control: two arms that differ in their masks alone; an effect between them is chance.
        repeats: arms that repeat a limited number of masks, and `reference`, which never repeats one.
        looks: the analyses, in order.
        grid: its cells in the order of the looks.
        texts: what is not computed: the question, exclusions and extension.
    """

    name: str
    registered: date
    bases: int
    contrasts: tuple[Pair, ...]
    smallest_difference: float
    control: Pair
    repeats: tuple[str, ...]
    reference: str
    looks: tuple[Look, ...]
    grid: Grid
    texts: dict[str, str]

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


def registered_studies() -> list["Study"]:
    """Reads all studies of this project."""
    return [read_study(path) for path in sorted(STUDIES.glob("*.yaml"))]


def is_study(path: Path) -> bool:
    """Whether a YAML file is a study, and not a grid."""
    return read_yaml(path, lambda asked: isinstance(asked, dict) and "bases" in asked)


def read_study(path: Path, output_dir: str = "runs") -> Study:
    """Reads the study in a file.

    Raises `ValueError` for an invalid study; the message names the key, the rule, the value and the remedy.
    """
    return read_yaml(path, lambda asked: parse_study(path.stem, asked, output_dir))


def parse_study(name: str, asked: Any, output_dir: str = "runs") -> Study:
    """Builds the study of a mapping with the keys in `KEYS`."""
    _check_keys("the study", asked, KEYS)
    for key, names in STAGE_KEYS.items():
        _check_keys(key, asked[key], names)
    if not isinstance(asked["registered"], date):
        reject("registered", "a day", asked["registered"], "Write the day of the commit, such as 2026-01-31.")
    _check_keys("arms", asked["arms"], ("fine_tuned", "mlm_only"))
    arms = dict.fromkeys(asked["arms"]["fine_tuned"], asked["fine_tunings"])
    arms |= dict.fromkeys(asked["arms"]["mlm_only"], 0)
    contrasts = tuple(_pair("primary: contrasts", pair, arms) for pair in asked["primary"]["contrasts"])
    looks = tuple(Look(**look) for look in asked["looks"])
    seeds = list_of("bases: seeds", asked["bases"]["seeds"], is_count, "integers >= 0")
    expected = [len(seeds) * (number + 1) for number in range(asked["continuations"]["per_base"])]
    if [look.pairs for look in looks] != expected:
        reject("looks", f"at {expected} pairs, one for each continuation", asked["looks"], "Change them.")
    if not is_number(asked["secondary"]["smallest_difference"]):
        reject("secondary: smallest_difference", "a number of points", asked["secondary"], "Change it.")
    return Study(
        name=name,
        registered=asked["registered"],
        bases=len(seeds),
        contrasts=contrasts,
        smallest_difference=asked["secondary"]["smallest_difference"],
        control=_pair("control", asked["control"], arms),
        repeats=tuple(_arm("repeats: arms", arm, arms) for arm in asked["repeats"]["arms"]),
        reference=_arm("repeats: reference", asked["repeats"]["reference"], arms),
        looks=looks,
        grid=Grid(list(_cells(name, asked, arms, seeds, output_dir)), asked["time_limit"]),
        texts={key: asked[key] for key in TEXTS},
    )


def _cells(
    name: str, asked: dict[str, Any], arms: dict[str, int], seeds: list[int], output_dir: str
) -> Iterator[GridCell]:
    """Yields the first continuation of each base, after the base, then the further continuations."""
    launch = load_launch(asked["launch"])
    shared = {**dataset_files(asked["corpus"]), "model": asked["model"], "output_dir": output_dir, "study": name}
    of_base, of_continuation = ({**shared, **_stage(key, asked[key])} for key in STAGE_KEYS)
    bases = [_base(launch, of_base, asked["bases"]["arm"], seed, index) for index, seed in enumerate(seeds)]
    for number in range(asked["continuations"]["per_base"]):
        for index, base in enumerate(bases):
            if number == 0:
                yield base
            for arm, fine_tunings in arms.items():
                own = {**of_continuation, "fine_tunings": fine_tunings, "split_seed": seeds[index]}
                own |= {"arms": [load_arm(arm).name], "seeds": [index + number * len(seeds)]}
                yield GridCell(launch, HarnessArguments(**own), 0, index, base)


def _base(launch: Launch, shared: dict[str, Any], arm: str, seed: int, index: int) -> GridCell:
    own = {"arms": [load_arm(arm).name], "seeds": [seed], "split_seed": seed, "fine_tunings": 0, "save_model": True}
    return GridCell(launch, HarnessArguments(**{**shared, **own}), 0, index)


def _stage(key: str, asked: dict[str, Any]) -> dict[str, Any]:
    files = list_of(f"{key}: mlm_train_file", asked["mlm_train_file"], is_string, "files, or parts such as FILE[:50%]")
    return {"mlm_train_file": files, **budget_arguments(f"{key}: arguments", asked["arguments"])}


def _check_keys(name: str, asked: Any, keys: tuple[str, ...]) -> None:
    mapping(name, asked, keys)
    if absent := [key for key in keys if key not in asked]:
        reject(name, f"a mapping with {', '.join(keys)}", f"one without {', '.join(absent)}", "Add them.")


def _pair(name: str, pair: Any, arms: dict[str, int]) -> Pair:
    if not isinstance(pair, list) or len(pair) != 2:
        reject(name, "a list of two arms", pair, "Write [first, second], whose difference is first minus second.")
    return _arm(name, pair[0], arms), _arm(name, pair[1], arms)


def _arm(name: str, arm: Any, arms: dict[str, int]) -> str:
    if arm not in arms:
        reject(name, f"among the arms {', '.join(arms)}", arm, "Add it to the arms.")
    return arm
