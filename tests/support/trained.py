"""Tokenizers trained here, alike every time: the trainers of `tokenizers` go through hash maps in random order.

So they number the letters that begin or end a word in random order, break ties between pairs by these numbers, and add
up scores in any order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, models, trainers

MARKED_LETTER = re.compile(r"##.|.</w>", re.DOTALL)


def train(
    tokenizer: Tokenizer, texts: Sequence[str], trainer: type[trainers.Trainer], special: Iterable[str], **options
) -> None:
    """Gives the tokenizer the special tokens, and a model of its kind trained on the texts."""
    special, letters = list(special), []
    for _ in range(2):  # first to learn the letters, then to have them in order
        trainee = Tokenizer.from_str(tokenizer.to_str())
        trainee.train_from_iterator(texts, trainer(special_tokens=special + letters, show_progress=False, **options))
        letters = sorted(filter(MARKED_LETTER.fullmatch, trainee.get_vocab()))
    tokenizer.model = _settled(trainee, len(special)) if trainer is trainers.UnigramTrainer else trainee.model
    tokenizer.add_special_tokens(special)


def _settled(tokenizer: Tokenizer, num_special: int) -> models.Unigram:
    """Its pieces in one order, with scores that are coarser than what the order of the texts adds to them."""
    state = json.loads(tokenizer.to_str())["model"]
    pieces = [(piece, round(score, 1)) for piece, score in state["vocab"]]
    learned = sorted(pieces[num_special:], key=lambda piece: (-piece[1], piece[0]))
    return models.Unigram(pieces[:num_special] + learned, state["unk_id"], state["byte_fallback"])
