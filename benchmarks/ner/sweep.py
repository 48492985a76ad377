"""Runs a grid of cells in new processes: `python -m benchmarks.ner.sweep GRID.yaml --output_dir DIR [--dry_run]`.

A registered study, such as `benchmarks/ner/studies/repeated_masks.yaml`, is a grid too.
`accelerate launch` starts each cell with its own config file. Each cell ends with one result: "ok"; "failed", which the
next sweep runs again; or "skipped", which the next sweep checks again. So the same command continues a sweep that was
stopped, also in a folder with other results.
"""

from pathlib import Path

from benchmarks.ner.experiments.arguments_parser import dataclass_parser
from benchmarks.ner.experiments.cli_errors import print_start, reject_unknown_arguments
from benchmarks.ner.experiments.sweep_arguments import PROGRAM, SweepArguments


def main() -> None:
    """Runs the cells that are not finished, then prints the results."""
    parser = dataclass_parser(SweepArguments, PROGRAM, main.__doc__)
    parser.add_argument("grid", type=Path, help="YAML file, such as benchmarks/ner/config/grids/cpu_smoke.yaml")
    namespace, unknown = parser.parse_known_args()
    reject_unknown_arguments(PROGRAM, unknown)
    named = vars(namespace)
    grid = named.pop("grid")
    print_start(PROGRAM, "importing torch, transformers and datasets")
    from benchmarks.ner.run_sweep import run_sweep

    run_sweep(PROGRAM, grid, SweepArguments(**named))


if __name__ == "__main__":
    main()
