"""Scores of texts are those of a loop that masks one token at a time and takes all logits."""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extended import every, pairs
from support.mlm_models import SIZES, mlm_model
from support.tokenizers_zoo import ZOO, bert_cased, phobert
from torch.nn import DataParallel
from transformers import AutoModelForCausalLM, BertConfig, BertForTokenClassification, BertModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from hf_dynmask import pseudo_log_likelihood, sparse_prediction
from hf_dynmask.modeling.pseudo_likelihood import PseudoLogLikelihood
from hf_dynmask.modeling.scored_texts import max_tokens, read_texts
from hf_dynmask.modeling.sparse_prediction import KNOWN_TYPES

TYPES = [type_ for type_ in KNOWN_TYPES if type_ in CONFIG_MAPPING_NAMES]
FAST = [name for name in ZOO if name not in ("phobert", "byt5", "canine")]
OTHER_TYPES = ["fnet", "xlm"]  # all of whose logits are computed; the first one has no attention mask
WITHOUT_TABLE = ("modernbert", "eurobert", "nomic_bert", "esmc", "gte", "jina_embeddings_v3")  # of positions
POSITIONS = {"nystromformer": {"max_position_embeddings": 30}}
WORDS = ["the", "cats", "playing", "unbelievable", "flowers", "gardens", "quickly", "on"]
GIVES_WARNINGS = pytest.mark.filterwarnings(
    "ignore:Initializing zero-element tensors",  # of mobilebert's small sizes
    "ignore:`torch.jit.script` is deprecated",  # by DeBERTa in transformers 4
)
PAD, CLS, SEP = 0, 2, 3  # of the tokenizer `wordpiece`


def _model(tokenizer: Any, type_: str = "bert", **sizes: Any) -> Any:
    """With larger weights than at the start of training, so that each token depends on the others."""
    model = mlm_model(type_, vocab_size=len(tokenizer), **sizes)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(10 if weight.ndim > 1 else 1)
    return model


def _log_prob(model: Any, ids: list[int], masked: list[int], mask: int, **columns: Any) -> float:
    """That of the first masked token, from all logits of one row."""
    row = torch.tensor([[mask if position in masked else id_ for position, id_ in enumerate(ids)]])
    if "attention_mask" in inspect.signature(model.forward).parameters:  # or XLM takes [CLS] for its padding
        columns = {"attention_mask": torch.ones_like(row), **columns}
    with torch.no_grad():
        logits = model(input_ids=row, **columns).logits[0, masked[0]]
    return logits.double().log_softmax(-1)[ids[masked[0]]].item()


def _by_hand(
    model: Any,
    tokenizer: Any,
    ids: list[int],
    words: list[Any] | None = None,
    excluded: tuple[int, ...] = (),
    unmaskable: tuple[int, ...] = (),
    **columns: Any,
) -> np.ndarray:
    """The log-probability of each token; with `words`, the later tokens of a word are masked as well."""
    training = model.training
    model.eval()
    log_probs = np.full(len(ids), np.nan)
    for position, id_ in enumerate(ids):
        if id_ in tokenizer.all_special_ids or position in (*excluded, *unmaskable):
            continue
        masked = [position]
        if words is not None:
            later = range(position + 1, len(ids))
            masked += [each for each in later if words[each] == words[position] and each not in unmaskable]
        log_probs[position] = _log_prob(model, ids, masked, tokenizer.mask_token_id, **columns)
    model.train(training)
    return log_probs


def _check(result: PseudoLogLikelihood, expected: list[np.ndarray], tolerance: float = 2e-5) -> None:
    assert len(result.token_log_probs) == len(expected) == len(result.scores) == len(result.num_tokens)
    for row, log_probs in zip(result.token_log_probs, expected, strict=True):
        assert row.dtype == np.float64
        np.testing.assert_allclose(row, log_probs, atol=tolerance, rtol=tolerance)
    assert result.scores.dtype == np.float64
    np.testing.assert_allclose(result.scores, list(map(np.nansum, expected)), atol=20 * tolerance)
    assert result.num_tokens.dtype == np.int64
    assert result.num_tokens.tolist() == [int((~np.isnan(row)).sum()) for row in expected]


def _texts(seed: int, count: int = 3) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, generator.integers(1, 5))) for _ in range(count)]


@GIVES_WARNINGS
@pytest.mark.parametrize("type_", [*every(5, TYPES), *OTHER_TYPES])
def test_scores_are_those_of_a_loop(wordpiece, type_) -> None:
    model, texts = _model(wordpiece, type_), [*_texts(1), ""]
    expected = [_by_hand(model, wordpiece, wordpiece(text)["input_ids"]) for text in texts]
    _check(pseudo_log_likelihood(model, wordpiece, texts, batch_size=5), expected)
    assert model.training


@pytest.mark.parametrize(("name", "side"), pairs([*FAST, "phobert", "byt5"], ["right", "left"]))
def test_every_family_of_tokenizers_padded_on_either_side(name, side) -> None:
    tokenizer = copy.deepcopy(ZOO[name]())
    tokenizer.padding_side = side
    model = _model(tokenizer)
    texts = ["the cat", "on it"]
    expected = [_by_hand(model, tokenizer, tokenizer(text)["input_ids"]) for text in texts]
    _check(pseudo_log_likelihood(model, tokenizer, texts), expected)
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    padded = pseudo_log_likelihood(model, tokenizer, batch)
    assert {len(row) for row in padded.token_log_probs} == {batch["input_ids"].shape[1]}
    ends = [slice(len(row)) if side == "right" else slice(-len(row), None) for row in expected]
    rows = [row[end] for row, end in zip(padded.token_log_probs, ends, strict=True)]
    _check(PseudoLogLikelihood(padded.scores, padded.num_tokens, rows), expected)


@pytest.mark.parametrize("name", every(3, FAST))
def test_later_tokens_of_a_word_are_masked(name) -> None:
    tokenizer = ZOO[name]()
    model = _model(tokenizer)
    encoded = [tokenizer(text) for text in ("unbelievable days", "on houses")]
    words = [each.word_ids() for each in encoded]
    assert any(len(row) > len(set(row)) + 2 for row in words)
    expected = [_by_hand(model, tokenizer, e["input_ids"], row) for e, row in zip(encoded, words, strict=True)]
    result = pseudo_log_likelihood(model, tokenizer, [e["input_ids"] for e in encoded], within_word=True, batch_size=7)
    _check(result, expected)
    without = pseudo_log_likelihood(model, tokenizer, [e["input_ids"] for e in encoded])
    assert abs(without.scores - result.scores).max() > 0.02


def test_slow_tokenizers_have_words_too() -> None:
    tokenizer = phobert()
    model, ids = _model(tokenizer), tokenizer("the lion")["input_ids"]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    words = np.cumsum([True, *(not token.endswith("@@") for token in tokens[:-1])]).tolist()
    assert len(set(words)) < len(words)
    _check(
        pseudo_log_likelihood(model, tokenizer, ["the lion"], within_word=True),
        [_by_hand(model, tokenizer, ids, words)],
    )


TOKENS = st.tuples(st.integers(CLS, 50), st.sampled_from("____lsp"))
ROWS = st.lists(st.lists(TOKENS, max_size=6), min_size=1, max_size=3)


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(ROWS, st.integers(1, 9), st.booleans())
def test_examples_with_columns_are_those_of_a_loop(wordpiece, rows, batch_size, within_word) -> None:
    """Each token is ordinary, or has the label -100, or is special, or is padding."""
    model, examples, expected = _model(wordpiece), [], []
    for row in rows:
        ids, kinds = [id_ for id_, _ in row], "".join(kind for _, kind in row)
        attended = [i for i, kind in enumerate(kinds) if kind != "p"]
        labels = [-100 if kind == "l" else 1 for kind in kinds]
        examples.append(
            {
                "input_ids": ids,
                "attention_mask": [int(kind != "p") for kind in kinds],
                "labels": labels,
                "special_tokens_mask": [int(kind == "s") for kind in kinds],
                "name": "not for the model",
            }
        )
        kept, tokens = [ids[i] for i in attended], "".join(kinds[i] for i in attended)
        excluded, special = (tuple(i for i, kind in enumerate(tokens) if kind == each) for each in "ls")
        words = _wordpiece_words(wordpiece, kept) if within_word else None
        log_probs = np.full(len(ids), np.nan)
        log_probs[attended] = _by_hand(model, wordpiece, kept, words, excluded, special)
        expected.append(log_probs)
    _check(pseudo_log_likelihood(model, wordpiece, examples, batch_size=batch_size, within_word=within_word), expected)


def _wordpiece_words(tokenizer: Any, ids: list[int]) -> list[int]:
    """The word of each token: only `##` continues one, except after a special token."""
    tokens = tokenizer.convert_ids_to_tokens(ids)
    special = [id_ in tokenizer.all_special_ids for id_ in ids]
    marks = ",.!"
    begins = [
        not token.startswith("##") or i == 0 or special[i - 1] or tokens[i - 1] in marks
        for i, token in enumerate(tokens)
    ]
    return np.cumsum(begins).tolist()


def test_labels_keep_no_token_of_a_word_from_a_mask(wordpiece) -> None:
    """As of named entities: the first token of a word has a label, the later ones have -100."""
    model, ids = _model(wordpiece), wordpiece("playings unbelieving runs")["input_ids"]
    words = _wordpiece_words(wordpiece, ids)
    later = tuple(i for i in range(1, len(ids)) if words[i] == words[i - 1])
    assert len(later) == 4
    labels = [-100 if i in later else 0 for i in range(len(ids))]
    expected = [_by_hand(model, wordpiece, ids, words, excluded=later)]
    _check(pseudo_log_likelihood(model, wordpiece, [{"input_ids": ids, "labels": labels}], within_word=True), expected)
    special = {"input_ids": ids, "special_tokens_mask": [int(i in later) for i in range(len(ids))]}
    expected = [_by_hand(model, wordpiece, ids, words, unmaskable=later)]
    _check(pseudo_log_likelihood(model, wordpiece, [special], within_word=True), expected)


@settings(max_examples=5, deadline=None, derandomize=True, database=None)
@given(st.permutations(range(4)), st.integers(1, 20), st.booleans())
def test_neither_order_nor_batch_size_matters(wordpiece, order, batch_size, within_word) -> None:
    model, texts = _model(wordpiece, "convbert"), _texts(3, 4)  # whose convolutions would see padding
    expected = pseudo_log_likelihood(model, wordpiece, texts, within_word=within_word)
    mixed = [texts[i] for i in order]
    found = pseudo_log_likelihood(model, wordpiece, mixed, batch_size=batch_size, within_word=within_word)
    _check(found, [expected.token_log_probs[i] for i in order], tolerance=1e-5)
    again = pseudo_log_likelihood(model, wordpiece, mixed, batch_size=batch_size, within_word=within_word)
    assert again.scores.tobytes() == found.scores.tobytes()
    assert found.pseudo_perplexity == pytest.approx(math.exp(-expected.scores.sum() / expected.num_tokens.sum()))


def test_examples_may_be_rows_columns_tables_or_datasets(wordpiece) -> None:
    model, texts = _model(wordpiece), [*_texts(5), "the"]
    expected = pseudo_log_likelihood(model, wordpiece, texts)
    columns = dict(wordpiece(texts))
    dataset = Dataset.from_dict({"text": texts, **columns})
    forms = [
        tuple(texts),
        np.array(texts),
        dataset["text"],
        columns,
        columns["input_ids"],
        tuple(map(np.array, columns["input_ids"])),
        [wordpiece(text) for text in texts],
        dataset,
        dataset.with_format("torch"),
        dataset[:],
        pa.table(columns),
        wordpiece(texts, padding=True, return_tensors="pt")["input_ids"],
    ]
    for form in forms:
        found = pseudo_log_likelihood(model, wordpiece, form)
        assert found.scores.tobytes() == expected.scores.tobytes(), type(form)
        assert found.num_tokens.tolist() == expected.num_tokens.tolist()


def test_columns_of_forward_reach_the_model(wordpiece) -> None:
    model = _model(wordpiece)
    pair = {**wordpiece("the cats on", "playing flowers"), "token_type_ids": None}
    types = [0] * 5 + [1] * (len(pair["input_ids"]) - 5)
    positions = list(range(3, 3 + len(types)))
    pair.update(token_type_ids=types, position_ids=positions, next_sentence_label=0)
    given = {"token_type_ids": torch.tensor([types]), "position_ids": torch.tensor([positions])}
    expected = _by_hand(model, wordpiece, pair["input_ids"], **given)
    _check(pseudo_log_likelihood(model, wordpiece, [pair]), [expected])
    assert not np.allclose(expected, _by_hand(model, wordpiece, pair["input_ids"]), equal_nan=True)


@pytest.mark.parametrize("type_", ["bert", "xlm"])
def test_passes_have_rows_of_one_length_and_no_more_than_the_batch_size(wordpiece, type_) -> None:
    model, texts = _model(wordpiece, type_), _texts(7, 9)
    passes, heads = [], []
    model.register_forward_pre_hook(lambda _, args, kwargs: passes.append(kwargs), with_kwargs=True)
    model.get_output_embeddings().register_forward_hook(lambda _, args, output: heads.append(output.shape[:2]))
    pseudo_log_likelihood(model, wordpiece, texts, batch_size=4)
    shapes = [tuple(each["input_ids"].shape) for each in passes]
    assert max(rows for rows, _ in shapes) == 4
    assert sorted(shapes, key=lambda shape: -shape[1]) == shapes, "longest first"
    lengths = np.array([len(ids) for ids in wordpiece(texts)["input_ids"]])
    rows = {length: int((lengths == length).sum()) * (length - 2) for length in set(lengths.tolist())}
    assert len(shapes) == sum(-(-count // 4) for count in rows.values())
    assert all(not (each["input_ids"] == PAD).any() for each in passes)
    assert heads == [(rows, 1) if type_ == "bert" else (rows, length) for rows, length in shapes]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.1), (torch.float64, 1e-12)], ids=str)
def test_precision_is_that_of_the_model(wordpiece, dtype, tolerance) -> None:
    model = _model(wordpiece).to(dtype)
    expected = [_by_hand(model, wordpiece, wordpiece(text)["input_ids"]) for text in _texts(1)]
    _check(pseudo_log_likelihood(model, wordpiece, _texts(1)), expected, tolerance)


def test_each_module_returns_to_its_mode(wordpiece) -> None:
    model = _model(wordpiece)
    model.bert.embeddings.eval()
    modes = {name: module.training for name, module in model.named_modules()}
    assert set(modes.values()) == {True, False}
    first = pseudo_log_likelihood(model, wordpiece, ["the cats"])
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert pseudo_log_likelihood(model.eval(), wordpiece, ["the cats"]).scores == first.scores
    assert not model.training


def test_a_failed_pass_leaves_the_model_as_it_was(wordpiece) -> None:
    model, ids = _model(wordpiece), torch.tensor([[CLS, 7, SEP]])

    def fail(*_: Any) -> None:
        assert not model.training
        raise RuntimeError("out of memory")

    hook = model.cls.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        pseudo_log_likelihood(model, wordpiece, ["the cats"])
    hook.remove()
    assert model.training
    assert torch.is_grad_enabled()
    assert model(ids).logits.shape == (1, 3, len(wordpiece))


def test_scores_within_sparse_prediction_and_training_after_them(wordpiece) -> None:
    model = _model(wordpiece)
    expected = pseudo_log_likelihood(model, wordpiece, ["the cats on"]).scores
    kept: dict[str, torch.Tensor] = {}  # as some models keep tables of positions from the first pass on

    def scale(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        return output * kept.setdefault("scale", torch.ones(16) * 1)

    model.bert.embeddings.register_forward_hook(scale)
    with sparse_prediction(model, in_evaluation=True):
        assert pseudo_log_likelihood(model, wordpiece, ["the cats on"]).scores == pytest.approx(expected)
    assert all(weight.grad is None for weight in model.parameters())
    ids = torch.tensor([[CLS, 7, SEP]])
    model(input_ids=ids, labels=ids).loss.backward()
    assert model.bert.embeddings.word_embeddings.weight.grad.abs().sum() > 0


@GIVES_WARNINGS
@pytest.mark.parametrize("type_", every(4, [type_ for type_ in TYPES if type_ not in WITHOUT_TABLE]))
def test_the_longest_text_has_as_many_tokens_as_the_model_has_positions(wordpiece, type_) -> None:
    model = _model(wordpiece, type_, **{"max_position_embeddings": 32, **POSITIONS.get(type_, {})})
    limit = max_tokens(model)
    assert 29 < limit <= 32
    examples = [{"input_ids": [7] * limit, "labels": [1, *[-100] * (limit - 2), 1]}]
    assert pseudo_log_likelihood(model, wordpiece, examples).num_tokens == 2
    text = " ".join(["the"] * 40)
    with pytest.raises(ValueError, match=rf"at most {limit} tokens .* but text 1 has 42\..* `max_length={limit}`"):
        pseudo_log_likelihood(model, wordpiece, ["the", text])
    assert pseudo_log_likelihood(model, wordpiece, [text], max_length=limit, batch_size=512).num_tokens == limit - 2


def test_models_without_a_number_of_positions_have_no_limit() -> None:
    model = mlm_model()
    model.config.max_position_embeddings = -1
    assert max_tokens(model) is None


@GIVES_WARNINGS
@pytest.mark.parametrize(
    ("type_", "sizes", "limit"),
    [
        ("xlm", {}, 16),
        ("flaubert", {}, 16),
        ("roberta", {}, 15),
        ("deberta-v2", {}, 16),
        ("esm", {}, 15),
        ("esm", {"position_embedding_type": "rotary"}, None),
        ("deberta-v2", {"position_biased_input": False, "relative_attention": True}, None),
        ("modernbert", {}, None),
        ("eurobert", {}, None),
        ("nomic_bert", {}, None),
    ],
)
def test_only_a_table_of_positions_limits_the_length(wordpiece, type_, sizes, limit) -> None:
    if type_ not in CONFIG_MAPPING_NAMES:
        pytest.skip("needs a later transformers")
    model = _model(wordpiece, type_, **{"max_position_embeddings": 16, **sizes})
    assert max_tokens(model) == limit
    ids = [7] * (limit or 24)
    _check(
        pseudo_log_likelihood(model, wordpiece, [{"input_ids": ids, "labels": [1, *[-100] * (len(ids) - 2), 1]}]),
        [_by_hand(model, wordpiece, ids, excluded=tuple(range(1, len(ids) - 1)))],
        tolerance=1e-4,
    )


def test_texts_without_a_scored_token(wordpiece) -> None:
    result = pseudo_log_likelihood(_model(wordpiece), wordpiece, ["", "zebra", "the zebra"])
    assert result.scores[:2].tolist() == [0, 0]
    assert result.num_tokens.tolist() == [0, 0, 1]
    assert np.isfinite(result.pseudo_perplexity)
    for texts in ([""], [[]]):
        empty = pseudo_log_likelihood(_model(wordpiece), wordpiece, texts)
        assert empty.scores.tolist() == [0]
        assert math.isnan(empty.pseudo_perplexity)


def test_tokens_that_are_certain_or_impossible(wordpiece) -> None:
    model, ids = _model(wordpiece), [7, 8]
    head = model.get_output_embeddings()
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(-torch.inf)
        head.bias[7] = 0
    assert pseudo_log_likelihood(model, wordpiece, [ids]).token_log_probs[0].tolist() == [0, -math.inf]
    head.bias.data.fill_(math.nan)
    with pytest.raises(ValueError, match=r"`model` must return finite logits, .*load it in bfloat16"):
        pseudo_log_likelihood(model, wordpiece, [ids])


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("the cats", ValueError, r"`texts` must be a list .* but got 'the cats'\. For a single text, pass a list"),
        ([], ValueError, r"`texts` must be a list of at least one string.* but got \[\]"),
        (None, ValueError, "`texts` must be a list of at least one string"),
        (["the", None], ValueError, "must all be strings if one is, but text 1 is a NoneType"),
        (
            [["the"]],
            ValueError,
            r"`texts` must be strings or examples .* but text 0 is a list of strings\. .*`tokenizer`",
        ),
        ([("a", "b")], ValueError, r"`texts` must be strings or examples .* but text 0 is a tuple of strings\."),
        ({"the", "cats"}, ValueError, r"`texts` must be a list .* but got one set\. Pass a list"),
        ((text for text in ["the"]), ValueError, r"`texts` must be a list .* but got one generator\. Pass a list"),
        (7, ValueError, r"`texts` must be a list .* but got one int\. Pass a list"),
        ({"text": ["the"]}, ValueError, "must have `input_ids`"),
        ([7, 8], TypeError, "must be mappings with `input_ids`, or sequences of token ids"),
        ([[7, 8.5]], ValueError, "`input_ids` must be integers"),
        ([[7, 99]], ValueError, "within the tokenizer's vocabulary"),
        ([{"input_ids": [7, 8], "labels": [1]}], ValueError, "`labels` must have a value for each token"),
        ([{"input_ids": [7, 8, 9], "seq_lengths": [1, 2]}], ValueError, "one sequence per example"),
        ([{"input_ids": [7, 8, 9], "position_ids": [0, 0, 1]}], ValueError, "one sequence per example"),
    ],
)
def test_bad_texts_are_refused(wordpiece, texts, error, message) -> None:
    with pytest.raises(error, match=message):
        pseudo_log_likelihood(_model(wordpiece), wordpiece, texts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, r"`batch_size` must be an integer of at least 1, but got 0\. Pass the number of rows"),
        ({"batch_size": 2.5}, "`batch_size` must be an integer"),
        ({"within_word": "yes"}, "`within_word` must be True or False"),
        ({"max_length": 2}, "`max_length` must be an integer of at least 3, but got 2.* adds 2 special tokens"),
        ({"max_length": 3, "texts": [[7]]}, "`max_length` must be None with examples, .* but got 3"),
        ({"tokenizer": "bert"}, r"`tokenizer` must be a transformers tokenizer, but got 'bert'"),
        ({"model": "bert"}, r"must be a transformers model, but got a `str`"),
        ({"model": BertModel(BertConfig(**SIZES))}, r"a masked language model, but got a `BertModel`\. Load it with"),
        ({"model": BertForTokenClassification(BertConfig(**SIZES))}, "but got a `BertForTokenClassification`"),
        ({"model": AutoModelForCausalLM.from_config(BertConfig(**SIZES, is_decoder=True))}, "a `BertLMHeadModel`"),
        ({"model": DataParallel(mlm_model())}, r"got a `DataParallel`\. Pass the one inside, such as `model.module`"),
        ({"model": torch.compile(mlm_model())}, r"got a `OptimizedModule`\. .* `model._orig_mod` of `torch.compile`"),
        ({"model": mlm_model(vocab_size=30)}, "that of the model, which has 30 token ids, but got the id 41"),
    ],
)
def test_bad_arguments_are_refused(wordpiece, options, message) -> None:
    options = {"model": _model(wordpiece), "tokenizer": wordpiece, "texts": ["the", "un"], **options}
    with pytest.raises(ValueError, match=message):
        pseudo_log_likelihood(**options)


def test_a_new_mask_token_is_no_remedy(wordpiece) -> None:
    """The model has not learned what it stands for."""
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.mask_token = None
    with pytest.raises(ValueError, match=r"`tokenizer` must have a mask token.* of a masked language model") as error:
        read_texts(["the"], tokenizer, None, ())
    assert "add_special_tokens" not in str(error.value)


def test_decoders_are_refused(wordpiece) -> None:
    model = _model(wordpiece)
    model.config.is_decoder = True
    with pytest.raises(ValueError, match=r"both sides, but its `config.is_decoder` is True\. Load it with"):
        pseudo_log_likelihood(model, wordpiece, ["the"])


def test_a_tokenizer_without_a_mask_token_is_refused(wordpiece) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.mask_token = None
    with pytest.raises(ValueError, match="`tokenizer` must have a mask token, but has none"):
        pseudo_log_likelihood(_model(wordpiece), tokenizer, ["the"])


def test_a_tokenizer_without_a_pad_token_needs_none() -> None:
    tokenizer = copy.deepcopy(bert_cased())
    model = _model(tokenizer)
    expected = pseudo_log_likelihood(model, tokenizer, ["the cat", "the"])
    tokenizer.pad_token = None
    assert pseudo_log_likelihood(model, tokenizer, ["the cat", "the"]).scores.tolist() == expected.scores.tolist()


def test_words_that_the_vocabulary_does_not_show_are_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    unmarked = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, "<mask>": 3}, [("a", "b")]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=unmarked, mask_token="<mask>")
    assert pseudo_log_likelihood(mlm_model(), tokenizer, ["abb"]).num_tokens == 2
    with pytest.raises(ValueError, match="`within_word` must be False with a vocabulary that does not show"):
        pseudo_log_likelihood(mlm_model(), tokenizer, ["abb"], within_word=True)
