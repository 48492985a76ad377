"""Runs a grid of cells in new processes: `python -m benchmarks.ner.sweep GRID.yaml --output_dir DIR [--dry_run]`.

A registered study, such as `benchmarks/ner/studies/repeated_masks.yaml`, is a grid too.
`accelerate launch` starts each cell with its own config file. Each cell ends with one result: "ok"; "failed", which the
next sweep runs again; or "skipped", which the next sweep checks again. So the same command continues a sweep that was
stopped, also in a folder with other results.
"""

from pathlib import Path

from benchmarks.ner.experiments.arguments_parser import dataclass_parser
from benchmarks.ner.experiments.cli_errors import exit_with_error, print_start, reject_unknown_arguments
from benchmarks.ner.experiments.sweep_arguments import PROGRAM, SweepArguments, check_sweep
from benchmarks.ner.experiments.yaml_checks import read_yaml


def main() -> None:
    """Runs the cells that are not finished, then prints the results."""
    parser = dataclass_parser(SweepArguments, PROGRAM, main.__doc__)
    parser.add_argument("grid", type=Path, help="YAML file, such as benchmarks/ner/config/grids/cpu_smoke.yaml")
    namespace, unknown = parser.parse_known_args()
    reject_unknown_arguments(PROGRAM, unknown, list(named := vars(namespace)))
    grid, arguments = named.pop("grid"), SweepArguments(**named)
    try:
        check_sweep(arguments)
        read_yaml(grid, lambda asked: asked)
    except ValueError as error:
        exit_with_error(PROGRAM, str(error))
    print_start(PROGRAM, "importing torch, transformers and datasets")
    from benchmarks.ner.run_sweep import run_sweep

    run_sweep(PROGRAM, grid, arguments)


if __name__ == "__main__":
    main()
