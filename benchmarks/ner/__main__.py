"""Compares static and dynamic masking on NER: `accelerate launch -m benchmarks.ner --arms none static dynamic`.

Runs every arm with every seed under the launch of this process, and writes a JSON file for each cell. Finished cells
are not run again, so the same command continues a run that was stopped.
"""

import sys

from benchmarks.ner.experiments.argument_checks import check_values
from benchmarks.ner.experiments.arguments_parser import parse_arguments
from benchmarks.ner.experiments.cli_errors import STOPPED, exit_with_error, print_start, reject_unknown_arguments

PROGRAM = "python -m benchmarks.ner"


def main() -> None:
    """Runs the command; Ctrl-C ends it with one line."""
    try:
        _run()
    except KeyboardInterrupt:
        print("stopped; finished runs are kept, and the same command continues", file=sys.stderr)
        sys.exit(STOPPED)


def _run() -> None:
    """Checks the command line before anything heavy is imported."""
    arguments, unknown = parse_arguments(PROGRAM)
    reject_unknown_arguments(PROGRAM, unknown, list(vars(arguments)))
    try:
        check_values(arguments)
    except ValueError as error:
        exit_with_error(PROGRAM, str(error))
    print_start(PROGRAM, "importing torch, transformers and datasets")
    from benchmarks.ner.run_cells import run_cells

    run_cells(PROGRAM, arguments)


if __name__ == "__main__":
    main()
