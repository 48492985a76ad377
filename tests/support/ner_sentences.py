"""Sentences of NER files for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

Sentence = tuple[list[str], list[str]]

WORDS = st.text(st.characters(exclude_characters="\n\t ", exclude_categories=["Cs"]), min_size=1, max_size=5)
PLAIN_WORDS = WORDS.filter(lambda word: word != "-DOCSTART-" and word[0] != "\ufeff")


@st.composite
def sentences(draw: st.DrawFn, words: st.SearchStrategy[str] = PLAIN_WORDS) -> list[Sentence]:
    """Sentences of any words, including exotic white space, with valid IOB2 tags."""
    found = []
    for sentence in draw(st.lists(st.lists(words, min_size=1, max_size=6), min_size=1, max_size=4)):
        tags: list[str] = []
        for _ in sentence:
            inside = ["I" + tags[-1][1:]] if tags and tags[-1] != "O" else []
            tags.append(draw(st.sampled_from(["O", "B-PER", "B-a-b", *inside])))
        found.append((sentence, tags))
    return found
