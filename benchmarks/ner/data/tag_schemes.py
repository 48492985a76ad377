"""Converts tags of other schemes to IOB2."""

import re

SCHEMES = ("iob2", "iob1", "bioes")
BIOES = {"S-": "B-", "U-": "B-", "E-": "I-", "L-": "I-", "M-": "I-"}  # also of BILOU and BMES
INSIDE = ("I-", "M-", "E-", "L-")  # what continues an entity
OPEN = {"iob2": ("B-", "I-"), "bioes": ("B-", "I-", "M-")}  # after what it continues; in IOB1, I- also begins one
ANY_TAG = re.compile(r"O|[BIESULM]-\S+")


def to_iob2(tag: str, previous: str, scheme: str) -> str:
    """Returns the tag of a word in IOB2; a tag that the scheme does not have stays the same.

    Args:
        previous: the tag of the word before it in the sentence, as it is written, or "O".
    """
    if scheme == "bioes":
        return BIOES.get(tag[:2], tag[:2]) + tag[2:]
    if scheme == "iob1" and tag.startswith("I-") and previous[2:] != tag[2:]:
        return "B-" + tag[2:]
    return tag


def continues_nothing(tag: str, previous: str, scheme: str) -> bool:
    """Whether a tag continues an entity, but the tag before it, as it is written, leaves none of its type open."""
    is_open = previous[:2] in OPEN.get(scheme, ()) and previous[2:] == tag[2:]
    return scheme in OPEN and tag[:2] in INSIDE and not is_open
