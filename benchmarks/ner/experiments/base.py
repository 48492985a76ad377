"""A base: the checkpoint of a cell, with which other cells begin."""

import copy
import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from transformers import PreTrainedModel

MODELS = "models"  # folder of checkpoints in the output folder
WEIGHTS = "model.safetensors"
RUN = "run.json"


class Base(NamedTuple):
    """The folder of a checkpoint, and the run id of the cell that made it."""

    folder: Path
    run_id: str


def base_folder(output_dir: Path, name: str) -> Path:
    """Returns the folder of the checkpoint of a cell, given the name of its result without suffix."""
    return output_dir / MODELS / name


def is_saved(folder: Path) -> bool:
    return (folder / RUN).is_file() and (folder / WEIGHTS).is_file()


def save_base(model: PreTrainedModel, folder: Path, run_id: str, identity: dict[str, Any]) -> None:
    """Saves a checkpoint in half precision, or leaves the folder as it was.

    Args:
        identity: the model of the cell, whose tokenizer a continuation has to have.
    """
    temporary, old = (folder.with_name(f".{folder.name}.{uuid4().hex}.{kind}") for kind in ("tmp", "old"))
    try:
        copy.deepcopy(model).half().save_pretrained(temporary)  # a copy keeps tied weights tied
        (temporary / RUN).write_text(json.dumps({"run_id": run_id, "model": identity}) + "\n", encoding="utf-8")
        with suppress(FileNotFoundError):  # there is no older checkpoint
            folder.rename(old)
        temporary.rename(folder)
    finally:
        for path in (temporary, old):
            shutil.rmtree(path, ignore_errors=True)


def load_base(folder: Path, identity: dict[str, Any]) -> Base:
    """Returns the base in a folder.

    Raises `ValueError` for a folder without the checkpoint of a cell, and for one of another model or tokenizer.
    """
    if not is_saved(folder):
        raise ValueError(
            f"`base` must be a folder that a cell saved with --save_model, with {RUN} and {WEIGHTS}, but got "
            f"{str(folder)!r}. Run that cell first."
        )
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    if run["model"] != identity:
        raise ValueError(
            f"`base` must have the model and the tokenizer of this run, but {str(folder)!r} has others. Pass the "
            "--model and, for tiny, the --train_file of the cell that saved it."
        )
    return Base(folder, run["run_id"])


def weights_fingerprint(base: Base) -> str:
    """Returns the SHA-256 of the weights: two machines make a base with one run id, but not with the same weights."""
    return hashlib.sha256((base.folder / WEIGHTS).read_bytes()).hexdigest()
