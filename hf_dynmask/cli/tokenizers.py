"""The tokenizer of a preview: from a folder or the hub, or a toy."""

from __future__ import annotations

import os
from collections.abc import Sequence

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from hf_dynmask.cli.toy_tokenizer import toy_tokenizer

_RULE = "`--tokenizer` must be a name on the hub or a folder with a tokenizer"


def read_tokenizer(name: str | None, texts: Sequence[str]) -> PreTrainedTokenizerBase:
    """The tokenizer of this name, or a toy made from the texts if there is no name.

    Raises:
        ValueError: if there is no such tokenizer, it cannot be read, or it has no mask token.
    """
    if name is None:
        return toy_tokenizer(texts)
    _check_path(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # files of any content can raise anything
        _check_path(name, configured=False)
        raise ValueError(f"{_RULE}, but {name!r} cannot be read: {type(error).__name__}: {error}") from error
    if tokenizer.mask_token_id is None:
        raise ValueError(
            f"`--tokenizer` must have a mask token, but {name!r} has none. Pass one of a masked language model, such "
            "as bert-base-cased, or add a mask token with `tokenizer.add_special_tokens` and save the tokenizer."
        )
    return tokenizer


def _check_path(name: str, configured: bool = True) -> None:
    """Refuses what is on this disk and has no tokenizer. transformers would make an empty one, or miss a package.

    `configured`: whether a configuration is enough, as for a tokenizer of bytes.
    """
    if os.path.isdir(name):
        files = sorted(os.listdir(name))
        if not any(map(_is_vocabulary, files)) and not (configured and "tokenizer_config.json" in files):
            raise ValueError(
                f"{_RULE}, but {name!r} has no tokenizer.json and no vocabulary: it contains {_listed(files)}. Save "
                "one there with `tokenizer.save_pretrained(...)`."
            )
    elif os.path.exists(name):
        raise ValueError(f"{_RULE}, but {name!r} is a file. Pass the folder that contains the tokenizer.")
    elif name[:1] in (".", "/", "~") or name.count("/") > 1:  # not a name on the hub
        raise ValueError(f"{_RULE}, but got {name!r}: there is no such folder.")


def _is_vocabulary(file: str) -> bool:
    return file.startswith(("tokenizer.", "vocab", "merges")) or file.endswith((".model", ".tiktoken"))


def _listed(files: Sequence[str]) -> str:
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return f"{', '.join(files[:3])}{more}" if files else "nothing"
