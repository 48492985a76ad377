"""Prints and writes the report of a folder of results: `python -m benchmarks.ner.report DIR`."""

import argparse
from pathlib import Path

from benchmarks.ner.experiments.cli_errors import exit_with_error, print_start
from benchmarks.ner.experiments.storage import check_directory

PROGRAM = "python -m benchmarks.ner.report"


def main() -> None:
    """Prints the report of a folder of results, and writes it as Markdown and as one HTML page, with figures."""
    parser = argparse.ArgumentParser(PROGRAM, description=main.__doc__)
    parser.add_argument("directory", type=Path, help="a folder of result files")
    parser.add_argument("--output_dir", type=Path, help="folder of the report; the default is DIRECTORY/report")
    arguments = parser.parse_args()
    folder = arguments.output_dir or arguments.directory / "report"
    try:
        check_directory(arguments.directory)
    except NotADirectoryError as error:
        exit_with_error(PROGRAM, str(error))
    print_start(PROGRAM, "importing matplotlib and scipy")
    from rich.console import Console

    from benchmarks.ner.report.blocks import terminal
    from benchmarks.ner.report.write import write_report

    try:
        blocks = write_report(arguments.directory, folder)
    except OSError as error:
        exit_with_error(PROGRAM, f"output_dir must be a writable folder; got {folder}: {error}; pass another one")
    console = Console(emoji=False)
    console.print(terminal(blocks))
    console.print(f"Report: {folder.resolve() / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
