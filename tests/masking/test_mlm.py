from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import oracle
from support.extended import every, pairs
from support.variants import (
    INDEPENDENT_UNITS,
    KEEPS_THE_RATE,
    NESTED,
    TAG_NAMES,
    VARIANTS,
    WEIGHTED,
    WHOLE_WORDS,
    tags,
    variant,
    weights,
)

from hf_dynmask import strategies
from hf_dynmask.core.draws import example_hashes, stream_keys
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.masking.mlm import MaskingPlan, apply_mask, mask_tokens
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.units import partition_units
from hf_dynmask.vocabulary.vocabulary import Vocabulary
from hf_dynmask.vocabulary.word_table import word_table

SIZE = 100
SPECIAL = np.arange(SIZE) < 5
VOCABULARY = Vocabulary(
    special=SPECIAL,
    ordinary_ids=np.arange(5, SIZE),
    read_words=lambda: word_table({f"w{id_}" if id_ < 60 else f"##w{id_}": id_ for id_ in range(SIZE)}, SPECIAL),
    mask_token_id=4,
    pad_token_id=0,
    pad_token_type_id=0,
    pad_is_unambiguous=True,
)
PLAN = MaskingPlan(
    vocabulary=VOCABULARY,
    strategy=strategies.token(),
    mask_replace_prob=0.8,
    random_replace_prob=0.1,
    exact_count=False,
    min_masked=0,
    seed=7,
)
STRATEGIES = {name: variant(name, SIZE) for name in VARIANTS}
ROWS = st.lists(st.lists(st.integers(1, SIZE - 1), max_size=30), min_size=1, max_size=5)
RATES = st.sampled_from([0.0, 0.05, 0.15, 0.4, 1.0]) | st.floats(0, 1)
EVERY = settings(derandomize=True, deadline=None, max_examples=150)


def _inputs_and_labels(tokens: RaggedTokens, rate, pattern: int, plan: MaskingPlan, columns=None) -> tuple:
    masked = mask_tokens(tokens, ~SPECIAL[tokens.input_ids], rate, pattern, plan, columns)
    inputs = tokens.input_ids.copy()
    return inputs, apply_mask(inputs, masked.indices, masked.ids)


def _mask(rows: list[list[int]], rate, plan: MaskingPlan = PLAN, pattern: int = 0) -> list[tuple[list[int], list[int]]]:
    """(inputs, labels) of each sequence."""
    lengths = np.array([len(row) for row in rows])
    tokens = RaggedTokens(np.array([id_ for row in rows for id_ in row], dtype=np.int64), lengths)
    columns = {"tags": tags(tokens.input_ids)}
    inputs, labels = _inputs_and_labels(tokens, rate, pattern, plan, columns)
    cuts = np.cumsum(lengths)[:-1]
    return [(a.tolist(), b.tolist()) for a, b in zip(np.split(inputs, cuts), np.split(labels, cuts), strict=True)]


def _plan(strategy: str, **changes) -> MaskingPlan:
    return dataclasses.replace(PLAN, strategy=STRATEGIES[strategy], **changes)


def _words(row: list[int]) -> list[list[int]]:
    """Positions of each word; one that holds a special token is none."""
    words: list[list[int]] = []
    for place, id_ in enumerate(row):
        if place and id_ >= 60 and row[place - 1] >= 5:
            words[-1].append(place)
        else:
            words.append([place])
    return [word for word in words if all(row[place] >= 5 for place in word)]


@EVERY
@given(ROWS, RATES, st.integers(0, 9), st.integers(0, 3), st.booleans())
def test_token_masks_equal_those_of_the_oracle(rows, rate, pattern, min_masked, exact_count) -> None:
    plan = _plan("token", min_masked=min_masked, exact_count=exact_count)
    for row, (inputs, labels) in zip(rows, _mask(rows, rate, plan, pattern), strict=True):
        maskable = [id_ >= 5 for id_ in row]
        chosen = oracle.token_mask(
            row, maskable, rate, seed=7, pattern=pattern, min_masked=min_masked, exact_count=exact_count
        )
        assert labels == [id_ if masked else -100 for id_, masked in zip(row, chosen, strict=True)]
        becomes = oracle.replaced(row, seed=7, pattern=pattern, mask_id=4, ordinary=list(range(5, SIZE)))
        assert inputs == [b if masked else id_ for id_, masked, b in zip(row, chosen, becomes, strict=True)]


@pytest.mark.parametrize(("strategy", "exact_count"), pairs(VARIANTS, [False, True]))
@EVERY
@given(rows=ROWS, rate=RATES, min_masked=st.integers(0, 3))
def test_what_holds_for_every_strategy(strategy, exact_count, rows, rate, min_masked) -> None:
    plan = _plan(strategy, exact_count=exact_count, min_masked=min_masked)
    for row, (inputs, labels) in zip(rows, _mask(rows, rate, plan), strict=True):
        units = _words(row) if strategy in WHOLE_WORDS else [[i] for i, id_ in enumerate(row) if id_ >= 5]
        masked = [place for place, label in enumerate(labels) if label != -100]
        assert all(labels[place] == row[place] and row[place] >= 5 for place in masked)
        assert all(inputs[place] == row[place] for place in range(len(row)) if place not in masked)
        assert all(inputs[place] == 4 or inputs[place] >= 5 for place in masked)
        assert all(len({place in masked for place in unit}) == 1 for unit in units), "a unit was cut"
        assert len(masked) >= min(min_masked, sum(map(len, units)))
        if strategy in KEEPS_THE_RATE and rate == 1:
            assert len(masked) == sum(map(len, units))
        if strategy in KEEPS_THE_RATE and rate == 0 and not min_masked:
            assert not masked


@pytest.mark.parametrize(("strategy", "exact_count"), pairs(NESTED, [False, True]))
@EVERY
@given(rows=ROWS, rates=st.tuples(RATES, RATES), min_masked=st.integers(0, 2))
def test_a_mask_at_a_lower_rate_is_a_subset(strategy, exact_count, rows, rates, min_masked) -> None:
    plan = _plan(strategy, exact_count=exact_count, min_masked=min_masked)
    for (_, few), (_, many) in zip(_mask(rows, min(rates), plan), _mask(rows, max(rates), plan), strict=True):
        assert all(more == label for label, more in zip(few, many, strict=True) if label != -100)


@pytest.mark.parametrize("strategy", every(4, VARIANTS))
@EVERY
@given(rows=ROWS, rate=RATES, data=st.data())
def test_a_mask_does_not_depend_on_the_batch(strategy, rows, rate, data) -> None:
    plan = _plan(strategy, min_masked=1)
    together = _mask(rows, rate, plan)
    order = data.draw(st.permutations(range(len(rows))))
    assert _mask([rows[i] for i in order], rate, plan) == [together[i] for i in order]
    assert [_mask([row], rate, plan)[0] for row in rows] == together
    assert _mask(rows, np.full(len(rows), rate), plan) == together, "a rate for each sequence"


ROW = np.random.default_rng(0).integers(5, SIZE, 40).tolist()
TIMES = 3**7


def _masks(strategy: str, rate: float, exact_count: bool = False) -> np.ndarray:
    """bool `[TIMES, tokens]`: what is masked of `ROW` in as many examples, told apart by special tokens behind it."""
    tails = np.stack(np.meshgrid(*[[1, 2, 3]] * 7), axis=-1).reshape(TIMES, 7)
    rows = np.hstack([np.broadcast_to(ROW, (TIMES, len(ROW))), tails])
    tokens = RaggedTokens(rows.ravel(), np.full(TIMES, rows.shape[1]))
    plan = _plan(strategy, exact_count=exact_count)
    columns = {"tags": tags(tokens.input_ids)}
    labels = _inputs_and_labels(tokens, rate, 0, plan, columns)[1]
    return (labels != -100).reshape(rows.shape)[:, : len(ROW)]


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
def test_token_counts_are_binomial(rate) -> None:
    counts, size = _masks("token", rate).sum(1), len(ROW)
    assert stats.binomtest(int(counts.sum()), size * len(counts), rate).pvalue > 1e-4
    observed = np.bincount(counts, minlength=size + 1)
    expected = stats.binom.pmf(np.arange(size + 1), size, rate) * len(counts)
    usual = expected > 5
    table = np.append(observed[usual], observed[~usual].sum()), np.append(expected[usual], expected[~usual].sum())
    assert stats.chisquare(*table).pvalue > 1e-4


@pytest.mark.parametrize("exact_count", [False, True])
@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
@pytest.mark.parametrize("strategy", KEEPS_THE_RATE)
def test_the_mean_rate_is_the_asked_one(strategy, rate, exact_count) -> None:
    counts = _masks(strategy, rate, exact_count).sum(1)
    error = counts.std() / np.sqrt(len(counts))
    assert abs(counts.mean() - rate * len(ROW)) < 4 * error + 1e-9


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
@pytest.mark.parametrize("strategy", [*INDEPENDENT_UNITS, "every_nth"])
def test_every_token_is_as_likely_as_any_other(strategy, rate) -> None:
    """Also the first and the last, for spans. Exact binomial bounds for each place."""
    masked = _masks(strategy, rate).sum(0)
    assert min(stats.binomtest(int(count), TIMES, rate).pvalue for count in masked) > 1e-4 / len(ROW)


@pytest.mark.parametrize("rate", [0.05, 0.12, 0.4])
@pytest.mark.parametrize("strategy", ["every_nth", "entity", "entity mentions"])
def test_an_exact_count_leaves_each_unit_its_own_odds(monkeypatch, strategy, rate) -> None:
    monkeypatch.setitem(STRATEGIES, "entity", strategies.entity(1.0, "tags", outside=(0, 3)))
    monkeypatch.setitem(STRATEGIES, "entity mentions", strategies.entity(1.0, "tags", TAG_NAMES))
    units = [([place], False) for place in range(len(ROW))]
    if strategy != "every_nth":
        units = _mentions(ROW) if "mentions" in strategy else [(word, _tagged(ROW, word)) for word in _words(ROW)]
    masks = _masks(strategy, rate, exact_count=True)
    for unit, entity in units:
        asked = 1.0 if entity else rate
        assert stats.binomtest(int(masks[:, unit[0]].sum()), TIMES, asked).pvalue > 1e-4 / len(units)
    counts = masks.sum(1)
    assert counts.max() - counts.min() <= 1 + 2 * max(len(unit) for unit, _ in units)


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4, 0.9])
@pytest.mark.parametrize("strategy", WEIGHTED)
def test_weighted_odds_are_those_of_the_oracle(strategy, rate) -> None:
    units = _words(ROW) if strategy in WHOLE_WORDS else [[place] for place in range(len(ROW))]
    of_id = STRATEGIES["adaptive"].losses._table.values if strategy == "adaptive" else weights(SIZE)
    of_unit = [float(np.mean([of_id[ROW[place]] for place in unit])) for unit in units]
    if strategy == "weighted, function":
        of_unit = [1.0 / len(unit) for unit in units]
    odds = oracle.weighted_odds(of_unit, [len(unit) for unit in units], rate)
    masks = _masks(strategy, rate)
    chances = [
        stats.binomtest(int(masks[:, unit[0]].sum()), TIMES, chance).pvalue
        for unit, chance in zip(units, odds, strict=True)
    ]
    assert min(chances) > 1e-4 / len(units)


@pytest.mark.parametrize(("strategy", "rate"), [("entity", 0.05), ("entity", 0.4), ("entity mentions", 0.15)])
def test_entities_have_a_rate_of_their_own(strategy, rate) -> None:
    masks = _masks(strategy, rate)
    mentions = _mentions(ROW) if strategy == "entity mentions" else [(word, _tagged(ROW, word)) for word in _words(ROW)]
    assert {entity for _, entity in mentions} == {True, False}
    for unit, entity in mentions:
        assert len({tuple(masks[:, place]) for place in unit}) == 1, "masked whole"
        asked = 0.5 if entity else rate
        assert stats.binomtest(int(masks[:, unit[0]].sum()), TIMES, asked).pvalue > 1e-4 / len(mentions)


def _tagged(row: list[int], word: list[int]) -> bool:
    return any(TAG_NAMES[tags(row[place])] != "O" for place in word)


def _mentions(row: list[int]) -> list[tuple[list[int], bool]]:
    """Units and whether they are entities: a word whose first tag is I- goes with a word before it whose is not O."""
    units: list[list[int]] = []
    before = "O"
    for word in _words(row):
        first = TAG_NAMES[tags(row[word[0]])]
        if units and first == "I-A" and before != "O":
            units[-1].extend(word)
        else:
            units.append(list(word))
        before = first
    return [(unit, _tagged(row, unit)) for unit in units]


@EVERY
@given(
    ROWS,
    st.integers(0, 5),
    st.sampled_from([strategies.geometric_lengths(), strategies.fixed_lengths(4), [0.5, 0.0, 0.5], [1.0]]),
)
def test_runs_are_those_of_the_oracle(rows, pattern, lengths) -> None:
    for unit in ("token", "whole_word"):
        for row in rows:
            plan = dataclasses.replace(PLAN, strategy=strategies.span(lengths, unit=unit))
            pieces = [[i] for i in range(len(row))] if unit == "token" else _pieces(row)
            maskable = [all(row[place] >= 5 for place in piece) for piece in pieces]
            begins = oracle.run_starts(
                oracle.key(7, row, pattern), maskable, plan.strategy.partition.keywords["lengths"]
            )
            expected = {piece[0] for piece, here in zip(pieces, begins, strict=True) if here}
            tokens = RaggedTokens(np.array(row, dtype=np.int64), np.array([len(row)]))
            keys = np.array([oracle.key(7, row, pattern)], dtype=np.uint64)
            seen = MaskingTokens(tokens.input_ids, tokens.lengths, VOCABULARY, ~SPECIAL[tokens.input_ids], keys)
            assert set(partition_units(seen, plan.strategy.partition).first.tolist()) == expected


def _pieces(row: list[int]) -> list[list[int]]:
    """Positions of each word, and of what is none."""
    pieces: list[list[int]] = []
    for place, id_ in enumerate(row):
        if place and id_ >= 60 and row[place - 1] >= 5:
            pieces[-1].append(place)
        else:
            pieces.append([place])
    return pieces


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4, 0.6])
@pytest.mark.parametrize("strategy", ["span", "span of tokens", "span, Poisson", "ngram"])
def test_spans_mask_the_asked_fraction_of_a_million_tokens(strategy, rate) -> None:
    """Within 1 %, each sequence counting exactly; the fraction's own spread is larger where spans are independent."""
    rows = np.random.default_rng(3).integers(5, SIZE, (2000, 500))
    tokens = RaggedTokens(rows.ravel(), np.full(2000, 500))
    for exact_count in (False, True):
        plan = _plan(strategy, exact_count=exact_count)
        labels = _inputs_and_labels(tokens, rate, 0, plan)[1]
        counts = (labels != -100).reshape(2000, 500).sum(1)
        allowed = 0.01 * rate if exact_count else 4 * counts.std() / np.sqrt(2000) / 500
        assert abs(counts.mean() / 500 - rate) < allowed


@pytest.mark.parametrize("length", [30, 37])
def test_with_exact_counts_too_every_span_and_every_place_is_as_likely(length) -> None:
    """Long spans are not left out for want of room, nor the short ones at the ends preferred."""
    rows = np.random.default_rng(5).integers(5, 60, (8000, length))
    tokens = RaggedTokens(rows.ravel(), np.full(len(rows), length))
    plan = dataclasses.replace(PLAN, strategy=strategies.span(unit="token"), exact_count=True)
    keys = stream_keys(plan.seed, example_hashes(tokens.input_ids, tokens.positions, tokens.ends), 0)
    seen = MaskingTokens(tokens.input_ids, tokens.lengths, VOCABULARY, ~SPECIAL[tokens.input_ids], keys)
    units = partition_units(seen, plan.strategy.partition)
    masked = _inputs_and_labels(tokens, 0.15, 0, plan)[1] != -100
    for size in range(1, 11):
        of_size = masked[units.first[units.size == size]]
        assert stats.binomtest(int(of_size.sum()), len(of_size), 0.15).pvalue > 1e-5
    for place in range(length):
        at = masked.reshape(rows.shape)[:, place]
        assert stats.binomtest(int(at.sum()), len(at), 0.15).pvalue > 1e-5
    counts = masked.reshape(rows.shape).sum(1)
    assert np.abs(counts - 0.15 * length).max() < 10, "to within a span"


def test_weights_of_any_range_depend_on_the_sequence_alone() -> None:
    of_id = np.random.default_rng(6).random(SIZE) * 1e-13
    of_id[4:8] = 1.0  # 4 is special
    plan = dataclasses.replace(PLAN, strategy=strategies.weighted(of_id))
    for number in range(50):
        row = np.random.default_rng(number).integers(8, SIZE, 20).tolist()
        alone = _mask([row], 0.3, plan)[0]
        assert _mask([row, [5] * 30], 0.3, plan)[0] == alone
        odds = oracle.weighted_odds([float(of_id[id_]) for id_ in row], [1] * 20, 0.3)
        assert max(odds) <= 1
    masks = np.array([_mask([ROW], 0.3, plan, pattern)[0][1] for pattern in range(300)]) != -100
    assert masks.mean() == pytest.approx(0.3, abs=0.03)


def test_masked_spans_have_the_asked_lengths() -> None:
    """At a low rate, few masked spans touch: their lengths in words follow SpanBERT's distribution."""
    rows = np.random.default_rng(4).integers(5, 60, (2000, 500))  # words of one token
    tokens = RaggedTokens(rows.ravel(), np.full(2000, 500))
    labels = _inputs_and_labels(tokens, 0.01, 0, _plan("span"))[1].reshape(2000, 500)
    edges = np.diff((labels != -100).astype(int), axis=1, prepend=0, append=0)
    lengths = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    inner = (np.nonzero(edges == 1)[1] > 0) & (np.nonzero(edges == -1)[1] < 500)
    shares = np.bincount(lengths[inner], minlength=12)[1:11] / inner.sum()
    assert np.abs(shares - strategies.geometric_lengths()).max() < 0.02
    assert lengths[inner].mean() == pytest.approx(3.8, abs=0.2)


@pytest.mark.parametrize("rate", [0.1, 0.15, 0.5, 0.77])
def test_positions(rate) -> None:
    size = len(ROW)
    near = {int(np.floor(rate * size)), int(np.ceil(rate * size))}
    prefix, block, every_nth = (_masks(name, rate).astype(int) for name in ("prefix", "block", "every_nth"))
    for masks in (prefix, block, every_nth):
        assert set(masks.sum(axis=1).tolist()) <= near | {int(rate * size) + 1}
    assert (np.diff(prefix, axis=1) >= 0).all(), "all after the first k"
    assert (np.diff(block, axis=1, prepend=0, append=0).clip(min=0).sum(axis=1) == 1).all(), "one block"
    gaps = {gap for masks in every_nth for gap in np.diff(np.flatnonzero(masks)).tolist()}
    assert gaps == {int(np.floor(1 / rate)), int(np.ceil(1 / rate))}


def test_blocks_stand_everywhere() -> None:
    starts = _masks("block", 0.25).argmax(axis=1)
    assert stats.chisquare(np.bincount(starts, minlength=31)[1:30]).pvalue > 1e-4
    assert set(starts) == set(range(31))


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
def test_exact_counts_differ_by_no_more_than_rounding(rate) -> None:
    counts, size = _masks("token", rate, exact_count=True).sum(1), len(ROW)
    assert set(counts.tolist()) <= {int(np.floor(rate * size)), int(np.ceil(rate * size))}


@pytest.mark.parametrize("strategy", KEEPS_THE_RATE)
def test_replacement_is_80_10_10_and_independent_of_the_position(strategy) -> None:
    row = np.random.default_rng(1).integers(5, SIZE, 500).tolist()
    masks = [_mask([row], 1.0, _plan(strategy), pattern)[0] for pattern in range(100)]
    inputs = np.array([inputs for inputs, _ in masks])
    masked = np.array([labels for _, labels in masks]) != -100
    became_mask = inputs[masked] == 4
    kept = inputs[masked] == np.broadcast_to(row, inputs.shape)[masked]
    assert stats.binomtest(int(became_mask.sum()), int(masked.sum()), 0.8).pvalue > 1e-4
    assert stats.binomtest(int(kept.sum()), int(masked.sum()), 0.1 + 0.1 / 95).pvalue > 1e-4
    random = inputs[masked & (inputs != 4) & (inputs != np.array(row))]
    assert stats.chisquare(np.bincount(random, minlength=SIZE)[5:]).pvalue > 1e-4
    assert not SPECIAL[random].any()
