from __future__ import annotations

import copy
import functools
import gc
import pickle
import re
import tracemalloc
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tokenizers_zoo import TEXTS, ZOO
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.vocabulary.vocabulary import Vocabulary, read_vocabulary
from hf_dynmask.vocabulary.whole_words import whole_words
from hf_dynmask.vocabulary.word_table import word_table
from hf_dynmask.vocabulary.words import Class, WordTable

SENTENCE = "我们今天去北京大学看电影然后在图书馆学习中文和数学好"  # of 26 characters
WORDS = ["我们", "今天", "去", "北京", "大学", "看", "电影", "然后", "在", "图书馆", "学习", "中文", "和", "数学"]
EVERY = settings(derandomize=True, deadline=None, max_examples=100)
FAMILIES = pytest.mark.parametrize("family", ZOO)

UNSPACED = {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "THAI"}
SINGLE_BYTES = str.maketrans(  # characters that are classed, by their first byte alone, as these are
    {character: "x" for text in TEXTS.values() for character in text if "\u0e00" <= character <= "\u0e7f"}
    | dict.fromkeys("،؟״।\ufe0f", "x")
    | dict.fromkeys("\u200d🏽🇩🇪🇫🇷", "😀")
)


class Difference(NamedTuple):
    """Where words differ from `word_ids()`: there is one more of ours, or of theirs."""

    families: str
    whose: str
    where: str  # kinds of the last character but marks, whether marks follow it, and that of the next
    reason: str


DIFFERENCES = [
    Difference(
        "xlm_r deberta_v3 t5", "ours", r"[LNPASCH]M?\|[PASFCH]|[PASCH]M?\|[LNF]|F\|[LNPASCH]", "▁ marks only spaces"
    ),
    Difference("bert_cased bert_uncased openai_gpt", "ours", r"[LN]M?\|[SF]|SM?\|[LN]", "emoji and ° are glued"),
    Difference("bert_cased bert_uncased", "ours", r"[SJ]M?\|S", "emoji are glued, and joiners dropped"),
    Difference("bert_cased bert_uncased openai_gpt", "ours", r"CM?\|C", "Thai and Kana are taken for long words"),
    Difference("roberta modernbert clip", "ours", r"[CH]\|[CH]", "letters without spaces are taken for long words"),
    Difference("roberta modernbert clip", "ours", r"([LC]M|XM?)\|P", "a mark and punctuation are one run"),
    Difference("roberta modernbert clip", "theirs", r"[LC]\|M", "a mark is taken for punctuation"),
    Difference("roberta modernbert", "theirs", r"LM\|L", "a mark is taken for punctuation"),
    Difference("roberta modernbert", "ours", r"A\|L", "contractions are words"),
    Difference("roberta modernbert", "theirs", r"L\|X|XM?\|L", "a first byte that letters have, too"),
    Difference("clip", "ours", r"LM\|X", "a first byte that letters have, too"),
]


@functools.cache
def _vocabulary(family: str) -> Vocabulary:
    return read_vocabulary(ZOO[family]())


def _table(family: str) -> WordTable:
    table = _vocabulary(family).words
    assert table is not None
    return table


def _tokens(*rows: list[int]) -> RaggedTokens:
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    return RaggedTokens(np.array([id_ for row in rows for id_ in row], dtype=np.int64), lengths)


def _of(ids: dict[str, int], special: int) -> WordTable:
    table = word_table(ids, np.arange(len(ids)) == special)
    assert table is not None
    return table


def _ids(family: str, text: str) -> list[int]:
    """Without special tokens."""
    return ZOO[family]()(text, add_special_tokens=False)["input_ids"]


def _kind(character: str) -> str:
    category, name = unicodedata.category(character), unicodedata.name(character)
    if character in " '\u200d":
        return {" ": " ", "'": "A", "\u200d": "J"}[character]
    if category[0] == "M" or "MODIFIER FITZPATRICK" in name:
        return "M"
    if name.startswith("REGIONAL INDICATOR"):
        return "F"
    if category[0] == "L":
        return "H" if name.startswith("CJK") else "C" if name.split()[0] in UNSPACED else "L"
    if category[0] == "N":
        return "N"
    return "P" if category[0] == "P" or character.isascii() else "S"


def _kinds(text: str) -> str:
    """A letter a character: Letter, Number, Punctuation, Apostrophe, Symbol beyond ASCII, Flag, Han, C for the other
    scripts without spaces, Mark, Joiner."""
    return "".join(map(_kind, text))


def _surfaces(family: str, ids: list[int]) -> list[bytes]:
    """What is to be seen of each token, with spaces where the family has tokens for them."""
    tokens = ZOO[family]().convert_ids_to_tokens(ids)
    if family == "byt5":
        return [token.encode("latin-1") for token in tokens]
    if family == "t5":
        return [
            bytes([int(token[3:5], 16)]) if token.startswith("<0x") else token.replace("▁", " ").encode()
            for token in tokens
        ]
    return [token.removesuffix("@@").encode() for token in tokens]


def _places(family: str, text: str, ids: list[int]) -> list[int | None]:
    """The character that each token begins with; None for tokens that begin within one."""
    surfaces = _surfaces(family, ids)
    assert b"".join(surfaces).decode() == text
    firsts = np.cumsum([0, *(len(character.encode()) for character in text)]).tolist()
    begins = np.cumsum([0, *map(len, surfaces)])[:-1].tolist()
    return [firsts.index(begin) if begin in firsts else None for begin in begins]


def _boundaries(family: str, text: str) -> list[tuple[str, bool, bool]]:
    """For each two tokens in turn: the kinds of characters on both sides, if a word of ours begins, if of theirs."""
    encoded = ZOO[family]()(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, words, offsets = encoded["input_ids"], encoded.word_ids(), encoded["offset_mapping"]
    if family == "t5":  # whose offsets are not those of single bytes
        text = f" {text}"
        places, kinds = _places(family, text, ids), _kinds(text.translate(SINGLE_BYTES))
    else:
        places = [None if i and start < offsets[i - 1][1] else start for i, (start, _) in enumerate(offsets)]
        kinds = _kinds(text)
        cut = [
            place for i, place in enumerate(places[:-1]) if places[i + 1] is None and offsets[i][1] - offsets[i][0] == 1
        ]
        for place in cut:
            if place is not None and (
                kinds[place] == "M" or text[place] in "،؟״।"
            ):  # its first byte tells another kind
                kinds = f"{kinds[:place]}X{kinds[place + 1 :]}"
    ours = whole_words(_tokens(ids), _table(family), max_word_length=None)
    return [(_key(kinds, places[i]), bool(ours[i]), words[i] != words[i - 1]) for i in range(1, len(ids))]


def _key(kinds: str, place: int | None) -> str:
    if place is None:
        return ""
    base = kinds[:place].rstrip("M")
    return f"{base[-1:]}{'M' * (len(base) < place)}|{kinds[place]}"


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("family", [family for family in ZOO if family not in ("byt5", "canine", "phobert")])
def test_words_differ_from_word_ids_just_where_it_is_said(family: str, name: str) -> None:
    rules = [rule for rule in DIFFERENCES if family in rule.families.split()]
    boundaries = _boundaries(family, TEXTS[name])
    differ = {
        (i, "ours" if ours else "theirs", key) for i, (key, ours, theirs) in enumerate(boundaries) if ours != theirs
    }
    said = {
        (i, rule.whose, key)
        for i, (key, _, _) in enumerate(boundaries)
        for rule in rules
        if re.fullmatch(rule.where, key)
    }
    assert differ == said


@pytest.mark.parametrize("rule", DIFFERENCES, ids=lambda rule: f"{rule.families.split()[0]}-{rule.whose}-{rule.where}")
def test_every_difference_is_met_in_each_of_its_families(rule: Difference) -> None:
    for family in rule.families.split():
        keys = [key for text in TEXTS.values() for key, _, _ in _boundaries(family, text)]
        assert any(re.fullmatch(rule.where, key) for key in keys), family


@pytest.mark.parametrize("family", ZOO)
def test_an_added_token_is_a_word_of_its_own(family: str) -> None:
    tokenizer = copy.deepcopy(ZOO[family]())
    added = ["covid", "mRNA"]
    tokenizer.add_tokens(added)
    ids = tokenizer("hello covid world mRNA covid", add_special_tokens=False)["input_ids"]
    table = read_vocabulary(tokenizer).words
    starts = [*whole_words(_tokens(ids), table), True]
    places = [place for place, id_ in enumerate(ids) if id_ in tokenizer.convert_tokens_to_ids(added)]
    assert len(places) == 3
    assert all(starts[place] and starts[place + 1] for place in places)


def _begun(family: str, text: str, **options) -> list[int]:
    """The characters of the text that words begin with."""
    ids = _ids(family, text)
    starts = whole_words(_tokens(ids), _table(family), **options)
    return [place for place, start in zip(_places(family, text, ids), starts, strict=True) if start]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(("family", "cut"), [("canine", {}), ("byt5", SINGLE_BYTES)])
def test_words_of_characters_and_bytes_are_those_of_a_regular_expression(family: str, cut, name: str) -> None:
    word = r" ?(?:[LN](?:M|[LN]|J.)*|F+|[PASCH]M*(?:J.M*)*)"
    expected = [match.start() for match in re.finditer(word, _kinds(TEXTS[name].translate(cut)))]
    assert _begun(family, TEXTS[name], max_word_length=None) == expected


@pytest.mark.parametrize("name", TEXTS)
def test_words_of_a_slow_tokenizer_are_those_of_a_regular_expression(name: str) -> None:
    text, joined, expected = TEXTS[name], "", []
    for chunk in text.split():
        words = re.finditer(r"[LN](?:M|[LN]|J.)*|F+|[CH]M*|[PAS]+(?:M*(?:J.)*[PAS]*)*", _kinds(chunk))
        expected += [len(joined) + match.start() for match in words]
        joined += chunk
    ids = _ids("phobert", text)
    starts = whole_words(_tokens(ids), _table("phobert"), max_word_length=None)
    places = _places("phobert", joined, ids)
    assert [place for place, start in zip(places, starts, strict=True) if start] == expected


@pytest.mark.parametrize("family", ["roberta", "byt5", "canine"])
def test_each_space_and_line_break_begins_a_word(family: str) -> None:
    text = "two  words\nand\u3000more"
    ids = _ids(family, text)
    starts = np.flatnonzero(whole_words(_tokens(ids), _table(family), max_word_length=None))
    words = [ZOO[family]().decode(word.tolist()) for word in np.split(ids, starts)[1:]]
    assert words[0].strip() == "two", "versions differ in whether the first space is shown"
    assert words[1:] == [" ", " words", "\n", "and", "\u3000", "more"]


@FAMILIES
def test_special_tokens_are_words_of_their_own(family: str) -> None:
    tokenizer, special = ZOO[family](), _vocabulary(family).special
    further = np.flatnonzero(~_table(family).starts(_tokens(_ids(family, "unbelievable ही caféteria"))))
    assert len(further)
    goes_on = _ids(family, "unbelievable ही caféteria")[int(further[0])]
    row = [tokenizer.mask_token_id, goes_on, tokenizer.pad_token_id, tokenizer.mask_token_id, goes_on, goes_on]
    assert special[row].tolist() == [True, False, True, True, False, False]
    assert _table(family).starts(_tokens(row)).tolist()[:5] == [True] * 5


@FAMILIES
def test_each_character_of_a_chinese_sentence_is_a_word(family: str) -> None:
    tokenizer, table = ZOO[family](), _table(family)
    ids = tokenizer(SENTENCE)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    starts = whole_words(_tokens(ids), table)
    begin_characters = ~table.joins[ids]
    lone_space = [token in "▁Ġ" for token in tokenizer.convert_ids_to_tokens(ids)]
    begin_characters[1:] &= ~np.array(lone_space[:-1])
    assert starts.tolist() == begin_characters.tolist()
    if family not in ("roberta", "modernbert", "clip"):  # some of whose tokens begin within a character
        assert (starts & ~_vocabulary(family).special[ids]).sum() == 26


ROWS = st.lists(st.lists(st.integers(0, 2**62), max_size=40), min_size=1, max_size=4)


@FAMILIES
@EVERY
@given(rows=ROWS, longest=st.none() | st.integers(1, 5), segmented=st.booleans())
def test_any_ids_in_any_batch(family: str, rows: list[list[int]], longest: int | None, segmented: bool) -> None:
    vocabulary, table = _vocabulary(family), _table(family)
    rows = [[id_ % vocabulary.size for id_ in row] for row in rows]
    options = {"max_word_length": longest, "segmenter": _pairs if segmented else None}
    starts = whole_words(_tokens(*rows), table, **options)
    assert starts.dtype == np.bool_
    cuts = np.cumsum([len(row) for row in rows])
    for row, alone in zip(rows, np.split(starts, cuts[:-1]), strict=True):
        assert whole_words(_tokens(row), table, **options).tolist() == alone.tolist()
        special = vocabulary.special[row]
        anew = np.concatenate([[True], special[:-1]])[: len(row)] | special
        assert alone[anew].all()
        assert not (alone & table.joins[row])[~anew].any()
        if longest is not None:
            for word in np.split(np.array(row, dtype=int), np.flatnonzero(alone)[1:]):
                assert (~table.joins[word]).sum() <= longest


@pytest.mark.parametrize("family", ["roberta", "modernbert", "t5", "byt5"])
@EVERY
@given(text=st.text(max_size=30) | st.text("aé中🇩🇪👩\u200d\u0301ก ี１", max_size=30), longest=st.integers(1, 4))
def test_no_character_is_cut(family: str, text: str, longest: int) -> None:
    ids = _ids(family, text)
    starts = whole_words(_tokens(ids), _table(family), max_word_length=longest)
    if family in ("roberta", "modernbert"):
        alphabet = {id_: token for token, id_ in ZOO[family]().get_vocab().items()}
        further = [_first_byte(alphabet[id_]) & 0xC0 == 0x80 for id_ in ids]
    else:
        further = [surface[0] & 0xC0 == 0x80 for surface in _surfaces(family, ids)]
    assert not (starts & np.array(further, dtype=bool)).any()


def _first_byte(token: str) -> int:
    """GPT-2 shows the bytes that are no Latin-1 letters in the order of their numbers, from U+0100 on."""
    shown = [byte for byte in range(256) if chr(byte).isprintable() and byte != 0x20]
    return (
        ord(token[0])
        if ord(token[0]) < 256
        else [byte for byte in range(256) if byte not in shown][ord(token[0]) - 256]
    )


@pytest.mark.parametrize("family", ["bert_cased", "roberta", "xlm_r", "byt5", "canine", "phobert"])
@pytest.mark.parametrize("longest", [1, 5, 16])
def test_long_words_are_cut_into_equal_pieces(family: str, longest: int) -> None:
    ids = _ids(family, "e" * 45 + " be " + "q" * 33)
    table = _table(family)
    words = np.flatnonzero(whole_words(_tokens(ids), table, max_word_length=None))
    pieces = whole_words(_tokens(ids), table, max_word_length=longest)
    for begin, end in zip(words, [*words[1:], len(ids)], strict=True):
        begun = ~table.joins[ids[begin:end]]
        size = np.add.reduceat(begun, np.flatnonzero(pieces[begin:end]), dtype=int)
        assert len(size) == -(-begun.sum() // longest)
        assert size.max() <= longest
        assert size.max() - size.min() <= 1
    assert pieces[words].all()


@pytest.mark.parametrize("longest", [2, 3, 44, 45, 46, 10**12, 10**30])
def test_a_length_that_no_word_has_costs_nothing(longest: int) -> None:
    """One word is all there is, so that the cut must not be missed where the batch is hardly longer than the limit."""
    ids = _ids("canine", "e" * 45)
    cut = whole_words(_tokens(ids), _table("canine"), max_word_length=longest)
    assert cut.sum() - (len(ids) - 45) == -(-45 // longest)


def _lexicon(text: str) -> list[str]:
    """The longest word of the lexicon from each place on."""
    words = []
    while text:
        words.append(next((word for word in WORDS if text.startswith(word)), text[0]))
        text = text[len(words[-1]) :]
    return words


def _pairs(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(0, len(text), 2)]


SEGMENTED = [i for i in range(26) if i in np.cumsum([0, *map(len, _lexicon(SENTENCE))])]


@pytest.mark.parametrize("family", ["byt5", "canine", "t5", "phobert"])
def test_a_segmenter_makes_words(family: str) -> None:
    before, after = ("" if family != "t5" else " "), "。看中文 天气"
    text = before + SENTENCE + after.replace(" ", "" if family == "phobert" else " ")
    expected = [0, *(place + len(before) for place in SEGMENTED[1:])]
    begins = len(before) + len(SENTENCE)
    expected += [begins, begins + 1, begins + 2]  # the stop, 看 and 中文
    rest = [begins + 4, begins + 6] if family != "phobert" else [begins + 4, begins + 5]  # a space goes with 天
    if family == "phobert":
        ids = _ids(family, before + SENTENCE + after)
        starts = whole_words(_tokens(ids), _table(family), segmenter=_lexicon)
        begun = [place for place, start in zip(_places(family, text, ids), starts, strict=True) if start]
    else:
        begun = _begun(family, text, segmenter=_lexicon)
    assert begun == expected + rest


def test_a_token_of_two_words_is_one_of_the_first() -> None:
    ids = {"▁": 0, "▁我": 1, "们今": 2, "天": 3, "去": 4, "们": 5, ",": 6, "[MASK]": 7}
    ids["a我"] = 8
    table = _of(ids, special=7)
    rows = [[1, 2, 3, 4], [0, 5, 4, 6], [1, 5, 1, 5], [1, 7, 5, 4], [3], []]
    starts = whole_words(_tokens(*rows), table, segmenter=_lexicon).tolist()
    # 我们 今天 去; 们 去 ,; 我们 我们; 我 [MASK] 们 去; 天
    assert starts[:4] == [True, False, True, True]
    assert starts[4:8] == [True, False, True, True]
    assert starts[8:12] == [True, False, True, False]
    assert starts[12:] == [True, True, True, True, True]
    assert whole_words(_tokens([8, 5, 4]), table, segmenter=_lexicon).tolist() == [True, True, True]  # a我们去


def test_a_segmenter_makes_words_of_wordpieces() -> None:
    """Where each character is a word already, marked as one."""
    starts = whole_words(_tokens(_ids("bert_cased", SENTENCE)), _table("bert_cased"), segmenter=_lexicon)
    assert np.flatnonzero(starts).tolist() == SEGMENTED


def test_bytes_that_are_no_text_do_not_move_words() -> None:
    ids = [3 + byte for byte in "我".encode() + b"\x80" + "们今天".encode() + "去".encode()[:2]]
    begun = np.flatnonzero(whole_words(_tokens(ids), _table("byt5"), segmenter=_lexicon))
    assert begun.tolist() == [0, 4, 7, 13]


def test_a_segmenter_gets_each_stretch_once() -> None:
    texts: list[str] = []

    def segmenter(text: str) -> list[str]:
        texts.append(text)
        return _lexicon(text)

    ids = _ids("canine", "我们去 abc北京。大学 x 看")
    for _ in range(3):
        whole_words(_tokens(ids, ids[:1], ids), _table("canine"), segmenter=segmenter)
    assert sorted(texts) == sorted(["我们去", "北京", "大学"])


def test_segmented_stretches_take_a_bounded_memory() -> None:
    """Documents without a space are long, and each is another one."""
    rows = [[*map(ord, SENTENCE * 40), 0x4E00 + number] for number in range(2000)]
    table = _table("canine")
    whole_words(_tokens(rows[0]), table, segmenter=_pairs)
    gc.collect()
    tracemalloc.start()
    for row in rows:
        whole_words(_tokens(row), table, segmenter=_pairs)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 10 << 20


def _pairs(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(0, len(text), 2)]


def test_a_segmenter_that_loses_text_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`segmenter` must return words .* the text '我们去', but returned \['我', '去'\]\. Keep"
    ):
        whole_words(_tokens(_ids("canine", "我们去")), _table("canine"), segmenter=_loses)


def _loses(text: str) -> list[str]:
    return [text[0], text[-1]]


def test_jieba_is_a_segmenter() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel("ERROR")
    begun = _begun("canine", SENTENCE, segmenter=jieba.lcut)
    assert begun == np.cumsum([0, *map(len, jieba.lcut(SENTENCE))])[:-1].tolist()
    assert {3, 4} & set(begun) == {4}  # 今天 is one word


@pytest.mark.parametrize("family", ["xlm_r", "byt5"])
def test_all_of_it_pickles(family: str) -> None:
    """Workers that are spawned get it by pickle."""
    function: Callable[[RaggedTokens, WordTable], np.ndarray] = functools.partial(whole_words, segmenter=_lexicon)
    tokens = _tokens(_ids(family, SENTENCE))
    expected = function(tokens, _table(family))  # and fills the caches
    again, table = pickle.loads(pickle.dumps((function, _table(family))))
    assert again(tokens, table).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("tokens", "text", "expected"),
    [
        (["a", "b", "c"], None, None),
        (["the", "cat", "Ġ"], None, None),
        (["a", "b", " "], ["a", "b", " ", "a", "b"], [0, 2]),
        (["a", "b", "▁"], ["a", "b", "▁", "a", "b"], [0, 2]),
        (["a", "b", " ", " a"], ["a", "b", " a", "b"], [0, 2]),
        (["a", "##b", "##", "Ġa"], ["a", "##b", "##", "a"], [0, 2, 3]),
        (["a", "b</w>", "</w>"], ["a", "b</w>", "a", "</w>", "a"], [0, 2, 4]),
        (["a@@", "b"], ["a@@", "b", "b", "a@@"], [0, 2, 3]),
    ],
)
def test_the_family_is_that_of_most_marks(
    tokens: list[str], text: list[str] | None, expected: list[int] | None
) -> None:
    ids = {token: id_ for id_, token in enumerate([*tokens, "[##MASK]"])}
    table = word_table(ids, np.array([False] * len(tokens) + [True]))
    if text is None:
        assert table is None
    else:
        assert table is not None
        assert np.flatnonzero(table.starts(_tokens([ids[token] for token in text]))).tolist() == expected


WORDS_ALONE = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "##", ","]
IDS_ALONE = {token: id_ for id_, token in enumerate(WORDS_ALONE)}
BERT_ROLES = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}


def _made_of(model: models.Model, pre_tokenizer: pre_tokenizers.PreTokenizer | None) -> PreTrainedTokenizerFast:
    backend = Tokenizer(model)
    if pre_tokenizer is not None:
        backend.pre_tokenizer = pre_tokenizer
    return PreTrainedTokenizerFast(tokenizer_object=backend, **BERT_ROLES)


def _word_pieces(prefix: str = "##", more: tuple[str, ...] = ()) -> models.WordPiece:
    ids = {token: id_ for id_, token in enumerate([*WORDS_ALONE, *more])}
    return models.WordPiece(ids, unk_token="[UNK]", continuing_subword_prefix=prefix)


def _berts(folder: Path) -> PreTrainedTokenizerBase:
    """Slow with transformers 4, fast with 5."""
    (folder / "vocab.txt").write_text("\n".join(WORDS_ALONE), encoding="utf-8")
    return BertTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    "make",
    [
        _berts,
        lambda _: _made_of(_word_pieces(), pre_tokenizers.BertPreTokenizer()),
        lambda _: _made_of(_word_pieces("%%"), pre_tokenizers.WhitespaceSplit()),
        lambda _: _made_of(models.WordLevel(IDS_ALONE, "[UNK]"), pre_tokenizers.Whitespace()),
        lambda _: _made_of(
            models.WordLevel(IDS_ALONE, "[UNK]"),
            pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]),
        ),
    ],
    ids=["BERT's class", "WordPiece", "WordPiece, another mark", "WordLevel", "WordLevel, a sequence"],
)
def test_tokens_are_words_where_nothing_can_go_on_with_one(tmp_path, make) -> None:
    ids = [IDS_ALONE[token] for token in ["the", "cat", ",", "the", "##", "[UNK]", "sat"]]
    table = read_vocabulary(make(tmp_path)).words
    assert table is not None
    assert table.starts(_tokens(ids)).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: _made_of(_word_pieces(""), pre_tokenizers.BertPreTokenizer()),
        lambda: _made_of(_word_pieces("%%", ("%%s",)), pre_tokenizers.BertPreTokenizer()),
        lambda: _made_of(_word_pieces(), None),
        lambda: _made_of(_word_pieces(), pre_tokenizers.Split("", "isolated")),
        lambda: _made_of(models.WordLevel(IDS_ALONE, "[UNK]"), pre_tokenizers.Split("", "isolated")),
        lambda: _made_of(models.BPE(IDS_ALONE, []), pre_tokenizers.BertPreTokenizer()),
    ],
    ids=["no mark", "a mark that is not known", "no words", "characters", "WordLevel of characters", "BPE"],
)
def test_elsewhere_a_vocabulary_without_marks_does_not_tell(make) -> None:
    assert read_vocabulary(make()).words is None


def test_tokens_that_were_added_are_read_as_text() -> None:
    byte_level, byt5 = ZOO["modernbert"]().get_vocab(), ZOO["byt5"]().get_vocab()
    byte_level.update({"  ": 420, "中 a": 421})
    byt5.update({"中": 385})
    table = word_table(byte_level, np.arange(422) < 5)
    assert table is not None
    letter = byte_level["a"]
    assert table.starts(_tokens([letter, 420, letter, 421, letter])).tolist() == [True, True, False, True, False]
    table = word_table(byt5, np.arange(386) < 3)
    assert table is not None
    assert table.starts(_tokens([100, 385, 100, 230, 190, 170, 100])).tolist() == [
        True,
        True,
        True,
        True,
        False,
        False,
        True,
    ]


def test_all_of_unicode_is_classed() -> None:
    """CANINE's vocabulary is just that."""
    table = _table("canine")
    assert len(table.first) == 0x110000
    assert table.joins[[0x301, 0x200D, 0xE0100]].all()
    assert not table.joins[[0x61, 0x4E2D, 0x20000]].any()
    assert (table.first[[0x3007, 0x4E2D, 0x20000, 0x2EBEF]] == Class.IDEOGRAPH).all()
    assert table.starts(_tokens([0x20000, 0x2EBEF, 0x61, 0x1D41A, 0x301, 0x61])).tolist() == [True] * 3 + [False] * 3


def test_characters_are_not_taken_for_bytes() -> None:
    table = _of({chr(code): code for code in range(0x3000)}, special=0x2FFF)
    assert table.starts(_tokens([*map(ord, "über ça")])).tolist() == [True, *[False] * 3, True, *[False] * 2]


def test_bytes_without_a_merge_are_byte_level() -> None:
    ids = {token: id_ for id_, token in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), "<mask>"])}
    text = [ids[token] for token in "aÃ©1Ġaa"]
    assert _of(ids, special=256).starts(_tokens(text)).tolist() == [True, False, False, True, True, False, False]


def test_a_joiner_holds_on_to_what_follows() -> None:
    ids = {token: id_ for id_, token in enumerate(["▁a", "👩", "👩\u200d", "\u0301", "a", "<mask>"])}
    starts = _of(ids, special=5).starts(_tokens([0, 1, 1, 2, 1, 4, 3, 4])).tolist()
    assert starts == [True, True, True, True, False, True, False, False]
