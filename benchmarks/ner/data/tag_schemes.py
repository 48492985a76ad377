"""Converts tags of other schemes to IOB2."""

import re

SCHEMES = ("iob2", "iob1", "bioes")
BIOES = {"S-": "B-", "U-": "B-", "E-": "I-", "L-": "I-", "M-": "I-"}  # also of BILOU and BMES
ANY_TAG = re.compile(r"O|[BIESULM]-\S+")


def to_iob2(tag: str, previous: str, scheme: str) -> str:
    """Returns the tag of a word in IOB2; a tag that is none of the scheme is returned as it is.

    Args:
        previous: the IOB2 tag of the word before it in the sentence, or "O".
    """
    if scheme == "bioes":
        return BIOES.get(tag[:2], tag[:2]) + tag[2:]
    if scheme == "iob1" and tag.startswith("I-") and previous[2:] != tag[2:]:
        return "B-" + tag[2:]
    return tag
