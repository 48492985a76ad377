"""Results of the registered study, made up: its arms differ by known effects."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.ner.experiments.argument_checks import make_budget
from benchmarks.ner.experiments.grid import GridCell
from benchmarks.ner.experiments.result import configuration, run_id
from benchmarks.ner.experiments.study import STUDIES, Study
from benchmarks.ner.training.arms import load_arm
from support.made_results import make_result

DECLARED: dict[str, Any] = yaml.safe_load((STUDIES / "repeated_masks.yaml").read_text(encoding="utf-8"))
EFFECTS = {"static": 1.0, "static4": 0.4, "static10": 0.2, "static20": 0.05}  # nat


def made(study: Study, cell: GridCell, loss: float = 5.0, **changes: Any) -> dict[str, Any]:
    """A result of a cell of the study, with this MLM loss."""
    arguments, (arm,), (seed,) = cell.arguments, cell.arguments.arms, cell.arguments.seeds
    base = {} if cell.base is None else {"base": f"base{cell.base.arguments.seeds[0]}"}
    text = {"files": [Path(file).name for file in arguments.mlm_train_file], "split_seed": arguments.split_seed}
    run = make_result(
        arm,
        seed,
        budget=asdict(make_budget(arguments)),
        requested={"config": cell.launch.name},
        dataset={"name": arguments.dataset_name, "mlm": text},
        model={"name": arguments.model},
        study=study.name,
        harness=2,
        **base,
        **changes,
    )
    run["arm"] = load_arm(arm).settings()
    run["mlm"] |= {"eval_loss": loss, "base_weights": base.get("base")}
    if not arguments.fine_tunings:
        run["quality"] = dict.fromkeys(("dev_f1", "test_f1", "test_accuracy"))
    return {**run, "run_id": run_id(configuration(run))}


def all_results(study: Study, pairs: int = 12, noise: float = 0.02) -> list[dict[str, Any]]:
    """The results of the first continuations, `pairs` of them, and of the bases, with the `EFFECTS` of the arms."""
    generator = np.random.default_rng(0)
    cells = [cell for cell in study.grid.cells if cell.base is None or cell.arguments.seeds[0] < pairs]
    losses = (5 + EFFECTS.get(cell.arguments.arms[0], 0.0) + generator.normal(0, noise) for cell in cells)
    return [made(study, cell, loss) for cell, loss in zip(cells, losses, strict=True)]
