"""The sequences that the functions of a strategy take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.vocabulary.vocabulary import Vocabulary


class Pieces(NamedTuple):
    """Tokens that can only be masked together with the first token of their word.

    Attributes:
        later: int64 `[pieces]`, their indices.
        first: int64 `[pieces]`, the indices of the first tokens of their words.
    """

    later: np.ndarray
    first: np.ndarray


@dataclass(eq=False)
class MaskingTokens(RaggedTokens):
    """The sequences of a batch as flat arrays, one sequence after another, without padding. Read-only.

    Attributes:
        input_ids: int64 `[tokens]`.
        lengths: int64 `[sequences]`.
        vocabulary: the tables over token ids.
        maskable: bool `[tokens]`, False where a token must not be masked by itself.
        keys: uint64 `[sequences]`, the key of each sequence for the draws of `hf_dynmask.core.draws`.
        columns: the columns that the strategy lists in `Strategy.columns`, `[tokens]` each.
        pieces: the tokens that can only be masked together with the first token of their word, or None.

    >>> from hf_dynmask.vocabulary.vocabulary import read_vocabulary
    >>> ids, lengths = np.array([5, 6, 7, 8, 9]), np.array([3, 2])
    >>> tokens = MaskingTokens(ids, lengths, read_vocabulary(tokenizer), np.ones(5, bool), np.zeros(2, np.uint64))
    >>> tokens.positions.tolist(), tokens.rows.tolist(), tokens.row_starts.tolist(), tokens.ends.tolist()
    ([0, 1, 2, 0, 1], [0, 0, 0, 1, 1], [0, 3], [3, 5])
    """

    vocabulary: Vocabulary
    maskable: np.ndarray
    keys: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    pieces: Pieces | None = None
