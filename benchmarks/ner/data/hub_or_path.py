"""Checks the names of models and datasets: a folder, or a name on the Hugging Face Hub."""

from pathlib import Path

from huggingface_hub.utils import HFValidationError, validate_repo_id


def check_hub_or_path(argument: str, value: str, other: str) -> None:
    """Raises `ValueError` for a value that is neither a folder nor a valid name on the Hub.

    The Hub's own error only lists the characters that a name may contain.

    Args:
        other: the special value that the argument may also have.
    """
    if Path(value).is_dir():
        return
    try:
        validate_repo_id(value)
    except HFValidationError as error:
        rule = f"`{argument}` must be {other!r}, an existing folder, or a name on the Hub"
        raise ValueError(f"{rule}, but got {value!r}. Check the path.") from error
