"""The text of pre-training: files, or a percentage of their documents, apart from the NER training set."""

import hashlib
import json
import re
from collections.abc import Sequence

import numpy as np
from datasets import Dataset, concatenate_datasets

from benchmarks.ner.data.file_format import DEFAULT, FileFormat
from benchmarks.ner.data.readers import read_file
from benchmarks.ner.data.text_part import Part, parse_part


def read_text(sources: Sequence[str], split_seed: int, form: FileFormat = DEFAULT) -> Dataset:
    """Reads the `words` of files, or of parts of their documents, one after the other.

    Parts of a file with the same `split_seed` are disjoint if their percentages are. Chosen sentences keep their order.
    A file without document boundaries is split by sentence.

    Raises `ValueError` for a malformed file, and for a part without documents.
    """
    return concatenate_datasets([_read_part(parse_part(source), split_seed, form) for source in sources])


def text_identity(sources: Sequence[str], split_seed: int, text: Dataset) -> dict[str, object]:
    """Identifies the text in a result, without the folders of this machine."""
    digest = hashlib.sha256()
    for words in text["words"]:
        digest.update(json.dumps(words).encode() + b"\n")
    names = [re.sub(r"^.*/", "", source) for source in sources]
    return {"files": names, "split_seed": split_seed, "fingerprint": digest.hexdigest(), "sentences": len(text)}


def _read_part(part: Part, split_seed: int, form: FileFormat) -> Dataset:
    sentences = read_file(part.file, form)
    if (part.start, part.stop) == (0, 100):
        return sentences.select_columns("words")
    numbered = "document" in sentences.column_names
    documents = np.array(sentences["document"]) if numbered else np.arange(len(sentences))
    chosen = np.flatnonzero(np.isin(documents, _documents(documents, part, split_seed)))
    if not len(chosen):
        raise ValueError(
            f"`mlm_train_file` must contain documents, but {part.start}% to {part.stop}% of the "
            f"{len(np.unique(documents))} in {part.file} are none. Choose a larger part."
        )
    return sentences.select(chosen).select_columns("words")


def _documents(documents: np.ndarray, part: Part, split_seed: int) -> np.ndarray:
    shuffled = np.random.default_rng(split_seed).permutation(np.unique(documents))
    start, stop = (round(len(shuffled) * percent / 100) for percent in (part.start, part.stop))
    return shuffled[start:stop]
