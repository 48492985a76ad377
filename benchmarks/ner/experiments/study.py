"""Reads a registered study: what it asks, its runs, and how they will be judged. It is committed before its first run.

A study pre-trains bases, and continues each of them with every arm. Two runs that differ in their arm alone are a pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.ner.experiments.grid import Grid, GridCell, budget_arguments, dataset_files
from benchmarks.ner.experiments.harness_arguments import HarnessArguments
from benchmarks.ner.experiments.launch_configs import Launch, load_launch
from benchmarks.ner.experiments.yaml_checks import (
    is_count,
    is_list,
    is_mapping,
    is_number,
    is_seed,
    is_string,
    list_of,
    mapping,
    read_yaml,
    reject,
)
from benchmarks.ner.training.arms import load_arm
from benchmarks.ner.training.seeds import SEED_RULE

STUDIES = Path(__file__).parents[1] / "studies"
TEXTS = ("question", "exclusions", "extension")
KEYS = (
    *("question", "registered", "corpus", "model", "launch", "time_limit", "bases", "continuations", "fine_tunings"),
    *("arms", "primary", "secondary", "control", "repeats", "looks", "exclusions", "extension"),
)
STAGES = ("bases", "continuations")
SECTIONS = {
    "bases": ("arm", "seeds", "mlm_train_file", "arguments"),
    "continuations": ("per_base", "mlm_train_file", "arguments"),
    "arms": ("fine_tuned", "mlm_only"),
    "primary": ("outcome", "contrasts"),
    "secondary": ("outcome", "smallest_difference"),
    "repeats": ("reference", "arms"),
}
OUTCOMES = {"primary": "mlm_loss", "secondary": "test_f1"}
ARM = (is_string, "names of presets")
ArmPair = tuple[str, str]


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
        mlm_epochs: the epochs of a continuation.
        grid: its cells in the order of the looks.
        texts: what is not computed: the question, exclusions and extension.
    """

    name: str
    registered: date
    bases: int
    contrasts: tuple[ArmPair, ...]
    smallest_difference: float
    control: ArmPair
    repeats: tuple[str, ...]
    reference: str
    looks: tuple[Look, ...]
    mlm_epochs: float
    grid: Grid
    texts: dict[str, str]

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()

    def passes(self, arm: str) -> float:
        """Returns how often an arm that repeats masks sees each of them."""
        patterns = load_arm(arm).num_mask_patterns
        return self.mlm_epochs / patterns if patterns else 1.0


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
    for key, names in SECTIONS.items():
        _check_keys(key, asked[key], names)
    _check_values(asked)
    arms = _arms(asked)
    seeds = list_of("bases: seeds", asked["bases"]["seeds"], is_seed, SEED_RULE)
    scored = {arm: count for arm, count in arms.items() if count}
    contrasts = list_of("primary: contrasts", asked["primary"]["contrasts"], is_list, "lists of two arms")
    return Study(
        name=name,
        registered=asked["registered"],
        bases=len(seeds),
        contrasts=tuple(_pair("primary: contrasts", pair, scored) for pair in contrasts),
        smallest_difference=asked["secondary"]["smallest_difference"],
        control=_pair("control", asked["control"], arms),
        repeats=tuple(_repeated(arm, arms) for arm in list_of("repeats: arms", asked["repeats"]["arms"], *ARM)),
        reference=_arm("repeats: reference", asked["repeats"]["reference"], arms),
        looks=_looks(asked["looks"], len(seeds), asked["continuations"]["per_base"]),
        mlm_epochs=asked["continuations"]["arguments"]["mlm_epochs"],
        grid=Grid(list(_cells(name, asked, arms, seeds, output_dir)), asked["time_limit"]),
        texts={key: asked[key] for key in TEXTS},
    )


def _check_values(asked: dict[str, Any]) -> None:
    """Checks the entries that are single values."""
    for key in (*TEXTS, "model", "launch"):
        if not is_string(asked[key]):
            reject(key, "a string", asked[key], "Quote it.")
    if not isinstance(asked["registered"], date):
        reject("registered", "a day", asked["registered"], "Write the day of the commit, such as 2026-01-31.")
    for section, outcome in OUTCOMES.items():
        if asked[section]["outcome"] != outcome:
            reject(f"{section}: outcome", outcome, asked[section]["outcome"], "No other outcome is judged here.")
    for key, value in (
        ("time_limit", asked["time_limit"]),
        ("secondary: smallest_difference", asked["secondary"]["smallest_difference"]),
    ):
        if not is_number(value) or value <= 0:
            reject(key, "a number > 0", value, "Change it.")
    for key, value in (
        ("fine_tunings", asked["fine_tunings"]),
        ("continuations: per_base", asked["continuations"]["per_base"]),
    ):
        if not is_count(value) or value < 1:
            reject(key, "an integer >= 1", value, "Change it.")
    if len(asked["bases"]["seeds"] or ()) < 2:
        reject("bases: seeds", "two seeds or more, as bases are the independent units", asked["bases"]["seeds"], "Add.")


def _arms(asked: dict[str, Any]) -> dict[str, int]:
    """Returns the number of fine-tunings of each arm."""
    scored, others = (list_of(f"arms: {key}", asked["arms"][key], *ARM) for key in ("fine_tuned", "mlm_only"))
    if twice := [arm for arm in (*scored, *others) if [*scored, *others, asked["bases"]["arm"]].count(arm) > 1]:
        reject("arms", "in one place: fine_tuned, mlm_only or bases", twice[0], "Remove it from one of them.")
    arms = {**dict.fromkeys(scored, asked["fine_tunings"]), **dict.fromkeys(others, 0)}
    return {load_arm(arm).name: fine_tunings for arm, fine_tunings in arms.items()}  # rejects unknown presets


def _looks(asked: Any, bases: int, per_base: int) -> tuple[Look, ...]:
    looks = []
    for look in list_of("looks", asked, is_mapping, "mappings of pairs and level"):
        _check_keys("looks", look, ("pairs", "level"))
        if not is_number(look["level"]) or not 0 < look["level"] < 1:
            reject("looks: level", "between 0 and 1", look["level"], "Change it.")
        looks.append(Look(**look))
    expected = [bases * (number + 1) for number in range(per_base)]
    if [look.pairs for look in looks] != expected:
        reject("looks", f"at {expected} pairs, one for each continuation", asked, "Change them.")
    return tuple(looks)


def _cells(
    name: str, asked: dict[str, Any], arms: dict[str, int], seeds: list[int], output_dir: str
) -> Iterator[GridCell]:
    """Yields the first continuation of each base, after the base, then the further continuations."""
    launch = load_launch(asked["launch"])
    shared = {**dataset_files(asked["corpus"]), "model": asked["model"], "output_dir": output_dir, "study": name}
    of_base, of_continuation = ({**shared, **_stage(key, asked[key])} for key in STAGES)
    bases = [_base(launch, of_base, asked["bases"]["arm"], seed, index) for index, seed in enumerate(seeds)]
    for number in range(asked["continuations"]["per_base"]):
        for index, base in enumerate(bases):
            if number == 0:
                yield base
            for arm, fine_tunings in arms.items():
                own = {**of_continuation, "fine_tunings": fine_tunings, "split_seed": seeds[index]}
                own |= {"arms": [arm], "seeds": [index + number * len(seeds)]}
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


def _pair(name: str, pair: Any, arms: dict[str, int]) -> ArmPair:
    if not isinstance(pair, list) or len(pair) != 2:
        reject(name, "a list of two arms", pair, "Write [first, second], whose difference is first minus second.")
    if pair[0] == pair[1]:
        reject(name, "of two different arms", pair, "Change one of them.")
    return _arm(name, pair[0], arms), _arm(name, pair[1], arms)


def _repeated(arm: str, arms: dict[str, int]) -> str:
    if load_arm(_arm("repeats: arms", arm, arms)).num_mask_patterns is None:
        reject("repeats: arms", "arms with a `num_mask_patterns`", arm, "Remove it.")
    return arm


def _arm(name: str, arm: Any, arms: dict[str, int]) -> str:
    if arm not in arms:
        reject(name, f"among the arms {', '.join(arms)}", arm, "Add it to the arms.")
    return arm
