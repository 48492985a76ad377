"""Encodes sentences as model inputs: labeled windows for NER, packed blocks for MLM."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from benchmarks.ner.data.load import entity_count
from benchmarks.ner.data.special_tokens import check_tokenizer, room_for_text, separator_id, special_ids

IGNORED = -100  # the label that the loss ignores
Tags = Sequence[Sequence[str]]


class Window(NamedTuple):
    """Maps a window to its words: `words[i]` of `sentence` has its first subword at `positions[i]`."""

    sentence: int
    words: list[int]
    positions: list[int]


def encode_for_ner(
    split: Dataset, tokenizer: PreTrainedTokenizerBase, names: Sequence[str], max_length: int
) -> tuple[Dataset, list[Window]]:
    """Encodes every sentence as consecutive windows of whole words; the list maps each row to its words.

    Columns: `input_ids`, `attention_mask` and `labels`, each int `[length]` with `length <= max_length`, and
    `token_type_ids` if the tokenizer makes them. A word's first subword has the word's label; other tokens have -100.
    A word longer than a window is truncated; a word without subwords is predicted as "O".
    Raises `ValueError` for an unsupported tokenizer, a tag outside `names`, or a `max_length` without room.
    """
    check_tokenizer(tokenizer)
    frame = special_ids(tokenizer)
    room = room_for_text("max_length", max_length, frame)
    label_ids = _label_ids(names, split)
    rows: list[dict[str, list[int]]] = []
    index: list[Window] = []
    sentences = zip(_word_pieces(split, tokenizer), split["tags"], strict=True)
    for sentence, (pieces, tags) in enumerate(sentences):
        for words in _windows(pieces, room):
            parts = [pieces[word][:room] for word in words]
            positions = list(accumulate(map(len, parts[:-1]), initial=len(frame[0])))
            labels = dict(zip(positions, (label_ids[tags[word]] for word in words), strict=True))
            rows.append(_row(parts, frame, labels, tokenizer))
            index.append(Window(sentence, words, positions))
    return Dataset.from_list(rows), index


def check_encodable(tokenizer: PreTrainedTokenizerBase, block_size: int, max_length: int) -> None:
    """Raises `ValueError` for an unsupported tokenizer or lengths that are too small, before training begins."""
    check_tokenizer(tokenizer)
    separator_id(tokenizer)
    frame = special_ids(tokenizer)
    room_for_text("mlm_block_size", block_size, frame)
    room_for_text("ner_max_length", max_length, frame)


def join_predictions(
    predictions: np.ndarray, index: Sequence[Window], split: Dataset, names: Sequence[str]
) -> list[list[str]]:
    """Returns one tag per word for every sentence, given label ids, int `[windows, length]`."""
    if len(predictions) != len(index):
        received = f"{len(predictions)} for {len(index)}"
        raise ValueError(
            f"predictions must have one row per window; got {received}; pass those of the encoded rows in order"
        )
    joined = [["O"] * len(words) for words in split["words"]]
    for row, window in zip(predictions, index, strict=True):
        for word, position in zip(window.words, window.positions, strict=True):
            joined[window.sentence][word] = names[row[position]]
    return joined


def check_complete(split: Dataset, gold: Tags, predicted: Tags) -> None:
    """Raises `ValueError` unless both cover every word of the split, and `gold` covers every entity."""
    read = [len(words) for words in split["words"]]
    for name, scored in (("gold", gold), ("predicted", predicted)):
        if [len(tags) for tags in scored] != read:
            received = f"{sum(map(len, scored))} tags in {len(scored)} sentences for {sum(read)} words in {len(read)}"
            raise ValueError(
                f"{name} must have one tag per word of the split; got {received}; pass the tags of the whole split"
            )
    scored_entities, read_entities = entity_count(gold), entity_count(split["tags"])
    if scored_entities != read_entities:
        received = f"{scored_entities} entities for {read_entities}"
        raise ValueError(f"gold must contain every entity of the split; got {received}; pass the tags of the split")


def encode_for_mlm(split: Dataset, tokenizer: PreTrainedTokenizerBase, block_size: int) -> Dataset:
    """Packs all sentences, joined by separator tokens, into `input_ids`, int `[length <= block_size]`.

    The tokenizer's special tokens enclose each block; only the last block may be shorter.
    Raises `ValueError` for an unsupported tokenizer or a `block_size` without room for a subword.
    """
    check_tokenizer(tokenizer)
    frame = before, after = special_ids(tokenizer)
    room = room_for_text("block_size", block_size, frame)
    sentences = [list(chain(*pieces)) for pieces in _word_pieces(split, tokenizer)]
    separator = separator_id(tokenizer)
    stream = list(chain.from_iterable([separator, *ids] for ids in sentences if ids))[1:]
    blocks = [[*before, *stream[start : start + room], *after] for start in range(0, len(stream), room)]
    return Dataset.from_dict({"input_ids": blocks})


def _word_pieces(split: Dataset, tokenizer: PreTrainedTokenizerBase) -> Iterator[list[list[int]]]:
    """Yields the subword ids of each word, sentence by sentence."""
    sentences = list(split["words"])
    encoded = tokenizer(sentences, is_split_into_words=True, add_special_tokens=False, verbose=False)
    for i, words in enumerate(sentences):
        pieces: list[list[int]] = [[] for _ in words]
        for word, piece in zip(encoded.word_ids(i), encoded["input_ids"][i], strict=True):
            pieces[word].append(piece)
        yield pieces


def _windows(pieces: list[list[int]], room: int) -> Iterator[list[int]]:
    """Yields consecutive word indices whose subwords fit into `room`; skips words without subwords."""
    words: list[int] = []
    used = 0
    for word, length in enumerate(map(len, pieces)):
        if words and used + length > room:
            yield words
            words, used = [], 0
        if length:
            words.append(word)
            used += length
    if words:
        yield words


def _row(
    parts: list[list[int]],
    frame: tuple[list[int], list[int]],
    labels: dict[int, int],
    tokenizer: PreTrainedTokenizerBase,
) -> dict[str, list[int]]:
    input_ids = [*frame[0], *chain(*parts), *frame[1]]
    row = {
        "input_ids": input_ids,
        "attention_mask": [1] * len(input_ids),
        "labels": [labels.get(position, IGNORED) for position in range(len(input_ids))],
    }
    if "token_type_ids" in tokenizer.model_input_names:
        row["token_type_ids"] = [0] * len(input_ids)
    return row


def _label_ids(names: Sequence[str], split: Dataset) -> dict[str, int]:
    unnamed = set(chain(*split["tags"])) - set(names)
    if unnamed:
        rule = "names must contain every tag of the split"
        raise ValueError(f"{rule}; {sorted(unnamed)} are missing; pass tag_names of all splits")
    return {name: i for i, name in enumerate(names)}
