"""A ragged batch and its padding, against lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_dynmask.batching.eligibility import padding_mask
from hf_dynmask.core.ragged import RaggedBatch
from hf_dynmask.vocabulary.vocabulary import read_vocabulary

ROWS = st.lists(st.lists(st.tuples(st.integers(0, 99), st.booleans()), max_size=6), min_size=1, max_size=5)


def _batch(rows: list[list[tuple[int, bool]]]) -> RaggedBatch:
    tokens = [token for row in rows for token in row]
    columns = {
        "input_ids": np.array([id_ for id_, _ in tokens], dtype=np.int64),
        "bbox": np.array([[id_, 1] for id_, _ in tokens], dtype=np.int64).reshape(len(tokens), 2),
    }
    padding = np.array([is_padding for _, is_padding in tokens], dtype=bool)
    lengths = np.array(list(map(len, rows)), dtype=np.int64)
    return RaggedBatch(lengths, columns, {"class": np.arange(len(rows))}).with_padding(padding)


class TestWithoutPadding:
    @given(rows=ROWS)
    def test_only_tokens_that_are_padding_are_dropped_from_every_column(self, rows) -> None:
        kept = [[id_ for id_, is_padding in row if not is_padding] for row in rows]
        dropped = _batch(rows).without_padding()
        assert dropped.lengths.tolist() == list(map(len, kept))
        assert dropped.per_token["input_ids"].tolist() == [id_ for row in kept for id_ in row]
        assert dropped.per_token["bbox"].tolist() == [[id_, 1] for row in kept for id_ in row]
        assert dropped.per_sequence["class"].tolist() == list(range(len(rows)))
        assert dropped.padding is None

    @given(rows=ROWS)
    def test_indices_lead_back_to_the_batch_with_padding(self, rows) -> None:
        batch = _batch(rows)
        indices = batch.indices_with_padding(np.arange(len(batch.without_padding().tokens.input_ids)))
        assert (batch.per_token["input_ids"][indices] == batch.without_padding().tokens.input_ids).all()
        assert not batch.padding[indices].any()

    def test_a_batch_without_padding_is_itself(self) -> None:
        batch = _batch([[(1, False)]]).with_padding(None)
        assert batch.without_padding() is batch
        assert batch.indices_with_padding(np.arange(1)).tolist() == [0]


class TestColumns:
    def test_padding_stays_with_the_batch(self) -> None:
        batch = _batch([[(1, False), (2, True)]])
        assert batch.with_column("tags", np.zeros(2)).without_columns(["bbox", "class"]).padding is batch.padding

    def test_a_column_replaces_the_one_of_its_name_in_a_copy(self) -> None:
        batch = _batch([[(1, False)]])
        assert batch.with_column("bbox", np.zeros(1)).per_token["bbox"].tolist() == [0]
        assert batch.per_token["bbox"].tolist() == [[1, 1]]

    def test_columns_of_both_kinds_are_left_out(self) -> None:
        batch = _batch([[(1, False)]]).without_columns(["bbox", "class", "none"])
        assert (list(batch.per_token), list(batch.per_sequence)) == (["input_ids"], [])


class TestPaddingMask:
    @pytest.mark.parametrize(
        ("attention_mask", "expected"),
        [([1, 1, 1], None), ([1, 0, 0], [False, True, True]), ([True, False, True], [False, True, False])],
    )
    def test_it_is_true_where_the_attention_mask_is_0(self, wordpiece, attention_mask, expected) -> None:
        columns = {"input_ids": np.array([5, 6, 0]), "attention_mask": np.array(attention_mask)}
        padding = padding_mask(RaggedBatch(np.array([3]), columns, {}), read_vocabulary(wordpiece))
        assert (padding if padding is None else padding.tolist()) == expected

    def test_without_an_attention_mask_the_pad_token_is_padding(self, wordpiece) -> None:
        vocabulary = read_vocabulary(wordpiece)
        batch = RaggedBatch(np.array([3]), {"input_ids": np.array([5, vocabulary.pad_token_id, 6])}, {})
        assert padding_mask(batch, vocabulary).tolist() == [False, True, False]

    @pytest.mark.parametrize("attention_mask", [[1, 2, 1], [0, -1, 1], [0.0, 0.5, 1.0]])
    def test_other_values_are_refused(self, wordpiece, attention_mask) -> None:
        columns = {"input_ids": np.array([5, 6, 7]), "attention_mask": np.array(attention_mask)}
        with pytest.raises(ValueError, match="`attention_mask` must be 0 or 1, but got"):
            padding_mask(RaggedBatch(np.array([3]), columns, {}), read_vocabulary(wordpiece))
