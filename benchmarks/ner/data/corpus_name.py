"""Names a corpus after its training file: by what precedes the last word for the split, or else by its folder."""

import re
from pathlib import Path

SPLIT = re.compile(r"(?<![^\W\d_])(train(ing)?|dev(el)?|valid(ation)?|test)(?![^\W\d_])", re.IGNORECASE)
GENERIC = ("", "corpora", "corpus", "data", "dataset", "datasets", "download", "downloads", "ner", "raw")


def corpus_name(train_file: str | Path) -> str:
    """Returns the name of the corpus of a training file.

    That of NER-de-train.tsv is "NER-de", of wnut17/train.txt "wnut17", of weibo/data/train.txt "weibo/data".
    """
    path = Path(train_file).absolute()
    splits = [found.start() for found in SPLIT.finditer(path.name)]
    own = (path.name[: splits[-1]] if splits else path.stem).strip("-_. ")
    if own.lower() not in GENERIC:
        return own
    folder, above = path.parent.name, path.parent.parent.name
    return f"{above}/{folder}" if above and folder.lower() in GENERIC else folder or path.stem
