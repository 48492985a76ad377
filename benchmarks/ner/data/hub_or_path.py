"""Where models and data sets come from: a folder, or a name on the hub."""

from pathlib import Path

from huggingface_hub.utils import HFValidationError, validate_repo_id


def check_hub_or_path(argument: str, value: str, other: str) -> None:
    """Raises `ValueError` for what is neither, of which the hub would only say which characters a name may have.

    Args:
        other: what else the argument may be.
    """
    if Path(value).is_dir():
        return
    try:
        validate_repo_id(value)
    except HFValidationError as error:
        rule = f"`{argument}` must be {other!r}, a folder, or a name on the hub"
        received = f"{value!r}, which is neither a folder that is there nor such a name"
        raise ValueError(f"{rule}, but got {received}. Check the path.") from error
