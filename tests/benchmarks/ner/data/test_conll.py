"""Column files as they are published: each is read as meant, or the options that it needs are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ner_sentences import PLAIN_WORDS, Sentence, sentences

from benchmarks.ner.data.columns import FEWEST
from benchmarks.ner.data.conll import read_conll
from benchmarks.ner.data.file_format import DEFAULT, FileFormat

WORD_AND_TAG = {"tab": "{word}\t{tag}", "space": "{word} {tag}", "CoNLL-2003": "{word} NN I-NP {tag}"}
LAYOUTS = {
    **{name: (line, DEFAULT) for name, line in WORD_AND_TAG.items()},
    "GermEval": ("{number}\t{word}\t{tag}\tO", FileFormat(word_column="2", tag_column="3")),
    "UNER": ("{number}\t{word}\t{tag}\t-\tann", FileFormat(word_column="2", tag_column="3")),
    "Weibo": ("{word}{number}\t{tag}", FileFormat(word_pattern=r"(.+?)\d+")),
    "WikiANN": ("de:{word}\t{tag}", FileFormat(word_pattern="de:(.+)")),
    "tag first": ("{tag} {word}", FileFormat(word_column="2", tag_column="1")),
}
GERMEVAL = "# zeitung.example [2009-10-17]\n1\tDer\tO\tO\n2\tKölner\tB-LOCderiv\tO\n3\tZoo\tO\tO\n4\töffnet\tO\tO\n\n"
WIKIANN = "de:Der\tO\nde:Kölner\tB-ORG\nde:Zoo\tI-ORG\nde::\tO\n\n"
WEIBO = "我0\tO\n在0\tO\n上0\tB-GPE.NAM\n海1\tI-GPE.NAM\n20\tO\n\n"
MSRA = "我 O\n在 O\n上 B-LOC\n海 I-LOC\n2 O\n\n"


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=st.sampled_from(sorted(LAYOUTS)), data=st.data())
def test_a_corpus_comes_back_from_each_layout(tmp_path: Path, layout: str, data: st.DataObject) -> None:
    line, form = LAYOUTS[layout]
    bare = PLAIN_WORDS.filter(lambda word: layout != "Weibo" or not word[-1].isdigit())
    expected = data.draw(sentences(bare))
    text = "".join(
        "".join(
            line.format(number=number, word=word, tag=tag) + "\n"
            for number, (word, tag) in enumerate(zip(words, tags, strict=True), start=1)
        )
        + "\n"
        for words, tags in expected
    )
    assert read(tmp_path, text, form) == expected


@pytest.mark.parametrize(
    ("text", "options", "words", "tags"),
    [
        (GERMEVAL, {"word_column": "2", "tag_column": "3"}, "Der Kölner Zoo öffnet", "O B-LOCderiv O O"),
        (WIKIANN, {"word_pattern": "de:(.+)"}, "Der Kölner Zoo :", "O B-ORG I-ORG O"),
        (WEIBO, {"word_pattern": r"(.+?)\d+"}, "我 在 上 海 2", "O O B-GPE.NAM I-GPE.NAM O"),
        (MSRA, {}, "我 在 上 海 2", "O O B-LOC I-LOC O"),
        (MSRA.replace(" ", "\t"), {}, "我 在 上 海 2", "O O B-LOC I-LOC O"),
    ],
)
def test_a_published_format_is_read_with_its_options(tmp_path, text, options, words, tags) -> None:
    assert read(tmp_path, text * FEWEST, FileFormat(**options)) == [(words.split(), tags.split())] * FEWEST


@pytest.mark.parametrize(
    ("text", "options", "line", "message"),
    [
        (GERMEVAL, {}, 2, "it holds numbers: 1, 2, 3, ...; pass --word_column 2 --tag_column 3 or 4"),
        (GERMEVAL, {"tag_column": "3"}, 2, "it holds numbers: 1, 2, 3, ...; pass --word_column 2"),
        (GERMEVAL, {"word_column": "2"}, 2, "several do; pass --tag_column 3 or 4"),
        (GERMEVAL, {"word_column": "2", "tag_column": "5"}, 2, "at least 5 columns"),
        (WIKIANN, {}, 1, "nearly all begin with 'de:'; pass --word_pattern 'de:(.+)' to remove it, or '(.+)' to keep"),
        (WEIBO, {}, 1, r"a character and a number; pass --word_pattern '(.+?)\d+' to remove it, or '(.+)' to keep"),
        (WIKIANN, {"word_pattern": "en:(.+)"}, 1, "a word must match 'en:(.+)'; got 'de:Der'; change --word_pattern"),
    ],
)
def test_what_is_not_a_word_is_refused_by_the_option_that_reads_it(tmp_path, text, options, line, message) -> None:
    path = write(tmp_path, text * FEWEST)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}:')}{line}: .*{re.escape(message)}"):
        read_conll(path, FileFormat(**options))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "Bob NNP B-NP",
            "must have 4 columns, as most lines have; got 3 in 'Bob NNP B-NP'; add what is missing",
        ),
        ("Bob NNP B-NP O O", "as most lines have; got 5 in 'Bob NNP B-NP O O'; remove what is too much"),
        ("Bob Lee\tO", "got 2 in 'Bob Lee\\tO'; add what is missing"),
        ("Bob", "a line must have at least 2 columns, for a word and a tag; got 'Bob'"),
    ],
)
@pytest.mark.parametrize("sentences", [1, FEWEST])
def test_a_line_of_another_width_is_refused(tmp_path, line, message, sentences) -> None:
    """Its last column would be a tag of another kind."""
    before = "-DOCSTART- O\n\t\n# a comment of words\nAnn NNP B-NP B-PER\nran VBD B-VP O\n"
    path = write(tmp_path, f"{before}{line}\n\n" + "Ann NNP B-NP B-PER\nran VBD B-VP O\n\n" * sentences)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}:6: ')}.*{re.escape(message)}"):
        read_conll(path)


def test_the_characters_of_conll_2002_need_its_encoding(tmp_path) -> None:
    text = "-DOCSTART- -DOCSTART- O\nEspaña N B-LOC\nganó V O\n\n".encode("latin-1")
    assert read(tmp_path, text, FileFormat(encoding="latin-1")) == [(["España", "ganó"], ["B-LOC", "O"])]
    with pytest.raises(ValueError, match=r":2: text must be UTF-8; .*; pass its --encoding, which may be latin-1 or"):
        read(tmp_path, text)


def test_a_format_is_read_with_each_encoding(tmp_path) -> None:
    for encoding in ("utf-8", "gb18030", "big5"):
        assert read(tmp_path, "上 B-LOC\n海 I-LOC\n".encode(encoding), FileFormat(encoding=encoding)) == [
            (["上", "海"], ["B-LOC", "I-LOC"])
        ]


@pytest.mark.parametrize(
    "comment", ["# source [date]", "#", "#\tsource [date]", "# id 7\tdomain=en", "#begin x", "# an O"]
)
def test_comments_stand_before_sentences(tmp_path, comment) -> None:
    expected = [(["a"], ["O"]), (["#", "b"], ["O", "B-X"])]
    text = f"{comment}\n{comment}\na\tO\n\n{comment}\n#\tO\nb\tB-X\n"
    assert read(tmp_path, text) == expected
    with pytest.raises(ValueError, match=r":2: a (line|tag) must"):
        read(tmp_path, f"a\tO\n{comment}\n") if comment != "# an O" else read(tmp_path, "a\tO\n#\n")


@pytest.mark.parametrize("separator", ["\t", " ", " NN "])
def test_a_hashtag_is_a_word(tmp_path, separator) -> None:
    words = ["#", "#fun", "##", "#1"]
    text = "".join(f"{word}{separator}O\n\n" for word in words)
    assert read(tmp_path, text) == [([word], ["O"]) for word in words]


def test_a_hashtag_with_another_tag_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r":1: a tag must be .*; got 'PER'"):
        read(tmp_path, "#fun\tPER\nb\tO\n")


@pytest.mark.parametrize(
    ("scheme", "written", "tags"),
    [
        ("iob1", "O I-X I-X B-X I-Y O I-Y", "O B-X I-X B-X B-Y O B-Y"),
        ("iob1", "B-X I-X", "B-X I-X"),
        ("bioes", "S-X B-X E-X B-X I-X E-X", "B-X B-X I-X B-X I-X I-X"),
        ("bioes", "U-X B-X L-X B-Y M-Y E-Y O", "B-X B-X I-X B-Y I-Y I-Y O"),
    ],
)
def test_tags_of_other_schemes_are_converted(tmp_path, scheme, written, tags) -> None:
    text = "".join(f"w {tag}\n" for tag in written.split())
    assert read(tmp_path, text, FileFormat(tag_scheme=scheme)) == [(["w"] * len(tags.split()), tags.split())]


@pytest.mark.parametrize(
    ("tag", "remedy"),
    [("S-X", "pass --tag_scheme bioes"), ("I-X", "pass --tag_scheme iob1 if an entity begins there"), ("X", "convert")],
)
def test_a_tag_of_another_scheme_is_refused_by_the_option_that_converts_it(tmp_path, tag, remedy) -> None:
    with pytest.raises(ValueError, match=f":1: .*; {remedy}"):
        read(tmp_path, f"w {tag}\n")


@pytest.mark.parametrize(
    ("scheme", "written", "message"),
    [
        ("bioes", "E-PER", "in BIOES E-PER must follow B-PER or I-PER or M-PER; got it after O; correct the tag"),
        ("bioes", "S-PER I-PER", "in BIOES I-PER must follow B-PER or I-PER or M-PER; got it after S-PER; correct"),
        ("bioes", "U-PER L-PER", "L-PER must follow B-PER or I-PER or M-PER; got it after U-PER"),
        ("bioes", "B-PER E-PER E-PER", "E-PER must follow B-PER or I-PER or M-PER; got it after E-PER"),
        ("bioes", "B-PER M-LOC", "M-LOC must follow B-LOC or I-LOC or M-LOC; got it after B-PER"),
        ("bioes", "X-PER", "B-TYPE or I-TYPE, or a TYPE with E-, S-, M-, L- or U-; got 'X-PER'; convert the tags to"),
        ("bioes", "S-", "got 'S-'; convert the tags to IOB2"),
        ("iob1", "S-PER", "a tag must be O, B-TYPE or I-TYPE; got 'S-PER'; pass --tag_scheme bioes"),
    ],
)
def test_a_tag_that_its_scheme_does_not_allow_is_named_as_it_is_written(tmp_path, scheme, written, message) -> None:
    path = write(tmp_path, "".join(f"w {tag}\n" for tag in written.split()))
    with pytest.raises(ValueError, match=f":{len(written.split())}: .*{re.escape(message)}"):
        read_conll(path, FileFormat(tag_scheme=scheme))


def test_a_sentence_does_not_continue_the_one_before(tmp_path) -> None:
    assert read(tmp_path, "w I-X\n\nw I-X\n", FileFormat(tag_scheme="iob1")) == [(["w"], ["B-X"])] * 2
    with pytest.raises(ValueError, match=r":3: in BIOES E-X must follow .* after O"):
        read(tmp_path, "w B-X\n\nw E-X\n", FileFormat(tag_scheme="bioes"))


def write(folder: Path, content: str | bytes) -> Path:
    (folder / "train.tsv").write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / "train.tsv"


def read(folder: Path, content: str | bytes, form: FileFormat = DEFAULT) -> list[Sentence]:
    return [(row["words"], row["tags"]) for row in read_conll(write(folder, content), form)]
