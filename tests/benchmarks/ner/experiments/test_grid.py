"""Grids: each combination once, and what is no grid is refused."""

from __future__ import annotations

import pytest
import yaml
from support.harness import ROOT
from transformers import HfArgumentParser

from benchmarks.ner.experiments.grid import parse_grid, read_grid
from benchmarks.ner.experiments.harness_arguments import HarnessArguments, to_command_line

GRIDS = ROOT / "benchmarks" / "ner" / "config" / "grids"
SMALL = {"arms": ["none", "static"], "seeds": [0, 1], "launches": ["cpu_1_fp32"]}
FILES = dict.fromkeys(("train_file", "validation_file", "test_file"), "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"arms": ["dynamo"]},
            r"`arms` must be among .*static.*, but got 'dynamo'\. Did you mean 'dynamic'\? "
            r"If not, add benchmarks/ner/config/presets/dynamo\.yaml",
        ),
        ({"arms": []}, r"`arms` must be a list with at least one entry, but got \[\]\. Put the entries into \[ \]"),
        ({"arms": "static"}, r"`arms` must be a list .*, but got 'static'"),
        ({"seeds": [True]}, r"`seeds` must be .* integers from 0 to 2\^32 - 1, but got True\. Change that entry"),
        ({"seeds": [-1]}, r"`seeds` must be .*, but got -1"),
        ({"seeds": [2**32]}, r"`seeds` must be .*, but got 4294967296"),
        ({"models": [None]}, r"`models` must be .* strings, but got None"),
        ({"datasets": [{"train_file": "a"}]}, r"`datasets` must be a name, or .*Add validation_file, test_file"),
        ({"datasets": [{**FILES, "dataset": "b"}]}, r"have `dataset` or all of .*Remove it or the files"),
        ({"datasets": [{**FILES, "tag_scheme": "IOB1"}]}, r"`tag_scheme` must be among .*, but got 'IOB1'"),
        ({"datasets": [{**FILES, "word_pattern": "[A-z]+"}]}, r"`word_pattern` must be .* one group, .*'\[A-z\]\+'"),
        ({"datasets": [{"dataset": "b", "encoding": "utf-16"}]}, r"`encoding` must be .*, but got 'utf-16'"),
        ({"datasets": [{"folder": "a"}]}, r"`datasets` must be .*, but got 'folder'\. Remove or rename that key"),
        ({"launches": ["cpu_9"]}, r"`launches` must be among .*cpu_1_fp32.* or a \.yaml file, but got 'cpu_9'"),
        ({"launches": [{"precision": "fp64"}]}, r"`launches: precision` must be .* fp32, tf32, .*, but got 'fp64'"),
        ({"launches": [{"precision": [[]]}]}, r"`launches: precision` must be .*, but got \[\]"),
        ({"launches": [{"processes": []}]}, r"`launches: processes` must be a list with at least one entry"),
        ({"launches": [{"processes": 1.5}]}, r"`launches: processes` must be .* integers >= 1, but got 1\.5"),
        ({"launches": [{"nodes": 2}]}, r"`launches` must be a mapping with keys among device, .*, but got 'nodes'"),
        ({"workers": [3]}, r"`workers` must be .* of 0, 2, 2 persistent, but got 3"),
        ({"time_limit": 0}, r"`time_limit` must be a number of seconds > 0, but got 0"),
        ({"time_limit": float("inf")}, r"`time_limit` must be .*, but got inf"),
        ({"arguments": {"mlm_epochs": "2"}}, r"`arguments: mlm_epochs` must be a number >= 0, but got '2'"),
        ({"arguments": {"ner_batch_size": 1.5}}, r"`arguments: ner_batch_size` must be an integer .*got 1\.5"),
        ({"arguments": {"dataloader_num_workers": 1}}, r"`arguments` must be .*, but got 'dataloader_num_workers'"),
        ({"epochs": 2}, r"`the grid` must be a mapping with keys among arms, .*, but got 'epochs'"),
    ],
)
def test_what_is_no_grid_is_refused_by_its_key_its_rule_and_its_remedy(tmp_path, change, message) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **change}))
    with pytest.raises(ValueError, match=message) as error:
        read_grid(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arms: [", "a grid or a study must be YAML"),
        ("", "`the grid` must be a mapping"),
        ("arms: [none]", "lacks seeds and l"),
    ],
)
def test_a_file_that_holds_no_grid_is_refused(tmp_path, text, message) -> None:
    (tmp_path / "grid.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_grid(tmp_path / "grid.yaml")


def test_a_grid_that_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(
        ValueError, match=r"a grid or a study must be a readable file, but got No such file or directory\. Check"
    ):
        read_grid(tmp_path / "absent.yaml")


def test_a_dataset_has_a_format_by_name_too() -> None:
    asked = {"dataset": "some/name", "word_column": "tokens", "dataset_name": "mine"}
    for cell in parse_grid({**SMALL, "datasets": [asked]}, "runs").cells:
        assert {name: getattr(cell.arguments, name) for name in asked} == asked
        assert ", mine, tiny, " in str(cell)


def test_launches_of_one_name_must_be_the_same(tmp_path) -> None:
    """Results tell them by their names."""
    other = tmp_path / "cpu_2_bf16.yaml"
    other.write_text("distributed_type: MULTI_GPU\nnum_processes: 2\n")
    with pytest.raises(ValueError, match=r"files with different names, but got 'two cpu_2_bf16\.yaml'"):
        parse_grid({**SMALL, "launches": ["cpu_2_bf16", str(other)]}, "runs")
    written = {"device": "cpu", "processes": [1, 2], "precision": ["fp32", "bf16"]}
    named = ["cpu_1_fp32", "cpu_1_bf16", "cpu_2_fp32", "cpu_2_bf16"]
    grid = parse_grid({**SMALL, "launches": [*named, written]}, "runs")
    assert len(grid.cells) == 4 * 2 * 2


def test_a_grid_is_each_combination_once() -> None:
    grid = parse_grid({**SMALL, "arms": ["none", "static", "none"], "workers": [0, "2 persistent"]}, "here")
    cells = [(*cell.arguments.arms, *cell.arguments.seeds, cell.workers) for cell in grid.cells]
    assert sorted(cells, key=str) == sorted(
        [(arm, seed, workers) for arm in ("none", "static") for seed in (0, 1) for workers in (0, "2 persistent")],
        key=str,
    )
    assert {cell.arguments.output_dir for cell in grid.cells} == {"here"}
    assert {cell.arguments.dataloader_persistent_workers for cell in grid.cells if cell.workers} == {True}


def test_the_grids_that_come_along() -> None:
    assert len(read_grid(GRIDS / "cpu_smoke.yaml").cells) == 2 * 2 * 4
    gpu = read_grid(GRIDS / "gpu.yaml").cells
    assert len(gpu) == len(set(map(str, gpu))) == 4 * 2 * (5 * 4 * 4) * 3
    assert {cell.arguments.tf32 for cell in gpu if "tf32" in cell.launch.name} == {True}
    assert {cell.arguments.tf32 for cell in gpu if "tf32" not in cell.launch.name} == {False}


def test_a_command_line_gives_back_its_arguments() -> None:
    (cell,) = parse_grid(
        {
            **{"arms": ["none"], "seeds": [7], "launches": [{"precision": "tf32"}], "workers": ["2 persistent"]},
            "datasets": [{"train_file": "a b", "validation_file": "b", "test_file": "c", "dataset_name": "abc"}],
            "arguments": {"mlm_epochs": 1, "weight_decay": 0, "ner_batch_size": 8, "mlm_learning_rate": 1e-05},
        },
        "there",
    ).cells
    words = to_command_line(cell.arguments)
    assert HfArgumentParser(HarnessArguments).parse_args_into_dataclasses(words) == (cell.arguments,)
    assert to_command_line(HarnessArguments()) == []
