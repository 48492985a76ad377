"""Masks made on the device are the collator's, to the bit, and the host never waits for them."""

from __future__ import annotations

import copy
import shutil
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PreTrainedTokenizerFast

from hf_dynmask import DataCollatorForDynamicMasking
from hf_dynmask.core.draws import Purpose
from hf_dynmask.core.draws_torch import draw, draw_limit, draw_limits, example_hashes, spread, stream_keys
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.masking.mlm import MaskingPlan, apply_mask
from hf_dynmask.masking.mlm import mask_tokens as mask_on_host
from hf_dynmask.on_device import DevicePlan, device_plan, mask_tokens
from hf_dynmask.strategies import token
from hf_dynmask.vocabulary.vocabulary import read_vocabulary

EVERY = settings(derandomize=True, deadline=None, max_examples=100)
ROWS = st.lists(st.lists(st.integers(1, 50), max_size=40), min_size=1, max_size=6)  # ids 1 to 4 are special
RATES = st.sampled_from([0.0, 2.0**-32, 0.15, 1.0]) | st.floats(0, 1)
SEEDS = st.sampled_from([0, -1, 2**63, 2**64 + 1]) | st.integers(-(2**70), 2**70)
EPOCHS = st.sampled_from([0, 1, 2**32, 2**63 - 1]) | st.integers(0, 2**63 - 1)
PROBS = st.sampled_from([(0.8, 0.1), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.7, 0.3), (2.0**-33, 0.5)])
MIN_MASKED = st.sampled_from([0, 1, 2, 3, 100])
BACKEND = "aot_eager"  # all of `torch.compile` but what makes machine code


def _padded(rows: list[list[int]], length: int, side: str, fill: int) -> torch.Tensor:
    """int64 `[batch, length]`."""
    padding = [[fill] * (length - len(row)) for row in rows]
    pairs = zip(rows, padding, strict=True)
    padded = [row + pad if side == "right" else pad + row for row, pad in pairs]
    return torch.tensor(padded, dtype=torch.int64).reshape(len(rows), length)


def _collated(
    tokenizer: PreTrainedTokenizerFast, examples: list[Any], epoch: int, **options
) -> tuple[torch.Tensor, torch.Tensor]:
    collator = DataCollatorForDynamicMasking(tokenizer, **options)
    collator.set_epoch(epoch)
    batch = collator(examples)
    return batch["input_ids"], batch["labels"]


def _equal(ours: tuple[torch.Tensor, torch.Tensor], expected: tuple[torch.Tensor, torch.Tensor]) -> bool:
    """To the bit, dtypes and shapes included."""
    return all(a.dtype == b.dtype and torch.equal(a.cpu(), b) for a, b in zip(ours, expected, strict=True))


def _batch(size: int = 60, length: int = 33, device: str = "cpu") -> torch.Tensor:
    """int64 `[size, length]` of ids and padding, with an empty row, and a length that no vector width divides."""
    generator = torch.Generator().manual_seed(0)
    input_ids = torch.randint(1, 51, (size, length), generator=generator)
    lengths = torch.randint(0, length + 1, (size, 1), generator=generator)
    lengths[0] = 0
    return input_ids.masked_fill(torch.arange(length) >= lengths, 0).to(device)


def _rates(size: int = 60, device: str = "cpu") -> torch.Tensor:
    return torch.linspace(0, 1, size, dtype=torch.float64).to(device)


def draws_of_all(input_ids: torch.Tensor, plan: DevicePlan) -> tuple[torch.Tensor]:
    attended = torch.ones_like(input_ids, dtype=torch.bool)
    positions = attended.cumsum(1) - attended.long()
    examples = example_hashes(plan.golden, input_ids, positions, attended)
    keys = stream_keys(plan.golden, plan.seed, examples, torch.full((), 7))
    return (draw(keys, spread(plan.golden, positions), Purpose.RANDOM_ID),)


def masks_of_all(input_ids: torch.Tensor, plan: DevicePlan) -> tuple[torch.Tensor, torch.Tensor]:
    return mask_tokens(input_ids, plan, epoch=7, attention_mask=torch.ones_like(input_ids))


def masks_of_attended(input_ids: torch.Tensor, plan: DevicePlan) -> tuple[torch.Tensor, torch.Tensor]:
    rates = torch.linspace(0, 1, len(input_ids), dtype=torch.float64)
    return mask_tokens(input_ids, plan, epoch=torch.tensor(7), mlm_probability=rates)


class TestEqualToTheCollator:
    @pytest.mark.parametrize("with_mask", [True, False])
    @pytest.mark.parametrize("side", ["left", "right"])
    @EVERY
    @given(
        rows=ROWS,
        rate=RATES,
        seed=SEEDS,
        epoch=EPOCHS,
        probs=PROBS,
        min_masked=MIN_MASKED,
        multiple=st.sampled_from([None, 8]),
    )
    def test_in_everything(
        self, wordpiece, side, with_mask, rows, rate, seed, epoch, probs, min_masked, multiple
    ) -> None:
        tokenizer = copy.copy(wordpiece)
        tokenizer.padding_side = side
        options = {
            "seed": seed,
            "mask_replace_prob": probs[0],
            "random_replace_prob": probs[1],
            "min_masked": min_masked,
        }
        expected = _collated(tokenizer, rows, epoch, mlm_probability=rate, pad_to_multiple_of=multiple, **options)
        length = expected[0].shape[1]
        attention = _padded([[1] * len(row) for row in rows], length, side, 0) if with_mask else None
        ours = mask_tokens(
            _padded(rows, length, side, 0),
            device_plan(tokenizer, "cpu", **options),
            epoch=epoch,
            mlm_probability=rate,
            attention_mask=attention,
        )
        assert _equal(ours, expected)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
    @EVERY
    @given(rows=ROWS, min_masked=MIN_MASKED, data=st.data())
    def test_in_a_rate_for_each_sequence(self, wordpiece, dtype, rows, min_masked, data) -> None:
        values = data.draw(st.lists(RATES, min_size=len(rows), max_size=len(rows)))
        rates = torch.tensor(values, dtype=dtype)
        host_plan = MaskingPlan(read_vocabulary(wordpiece), token(), 0.8, 0.1, False, min_masked, 7)
        tokens = RaggedTokens(np.array([*chain(*rows)], dtype=np.int64), np.array([len(row) for row in rows]))
        maskable = ~host_plan.vocabulary.special[tokens.input_ids]
        masked = mask_on_host(tokens, maskable, rates.double().numpy(), 3, host_plan)
        inputs = tokens.input_ids.copy()
        labels = apply_mask(inputs, masked.indices, masked.ids)
        input_ids = _padded(rows, max(map(len, rows)), "right", 0)
        plan = device_plan(wordpiece, "cpu", seed=7, min_masked=min_masked)
        ours = mask_tokens(input_ids, plan, epoch=3, mlm_probability=rates)
        attended = input_ids != 0
        assert ours[0][attended].tolist() == inputs.tolist()
        assert ours[1][attended].tolist() == labels.tolist()
        assert (ours[0][~attended] == 0).all()
        assert (ours[1][~attended] == -100).all()

    @EVERY
    @given(st.floats(0, 1) | st.integers(0, 2**33).map(lambda halves: halves / 2**33))
    def test_in_what_rates_are_rounded_to(self, probs) -> None:
        """Halves, too, to even."""
        expected = int(np.rint(probs * 2.0**32))
        assert draw_limit(probs) == expected
        assert draw_limits(torch.tensor([probs], dtype=torch.float64)).tolist() == [expected]

    @EVERY
    @given(rows=ROWS, data=st.data())
    def test_in_the_users_columns(self, wordpiece, rows, data) -> None:
        """With a mask that leaves tokens out in the middle, too."""
        length = max(map(len, rows))
        input_ids = _padded(rows, length, "right", 5)
        columns = {
            name: torch.tensor(
                data.draw(st.lists(st.sampled_from(values), min_size=len(rows) * length, max_size=len(rows) * length)),
                dtype=torch.int64,
            ).reshape(len(rows), length)
            for name, values in {
                "attention_mask": (0, 1, 1),
                "special_tokens_mask": (0, 0, 1),
                "labels": (-100, 0, 7),
            }.items()
        }
        examples = [
            {"input_ids": ids, **{name: values[row] for name, values in columns.items()}}
            for row, ids in enumerate(input_ids)
        ]
        expected = _collated(wordpiece, examples, 2, mlm_probability=0.4, min_masked=2)
        plan = device_plan(wordpiece, "cpu", min_masked=2)
        assert _equal(mask_tokens(input_ids, plan, epoch=2, mlm_probability=0.4, **columns), expected)
        as_bools = {**columns, "attention_mask": columns["attention_mask"].bool()}
        assert _equal(mask_tokens(input_ids, plan, epoch=2, mlm_probability=0.4, **as_bools), expected)

    def test_in_long_sequences(self, byte_level) -> None:
        """More than 2**16 tokens, where the lower half of a position does not tell it."""
        input_ids = torch.randint(5, len(byte_level), (2, 70_001), generator=torch.Generator().manual_seed(0))
        expected = _collated(byte_level, list(input_ids), 1)
        assert _equal(mask_tokens(input_ids, device_plan(byte_level, "cpu"), epoch=1), expected)

    @pytest.mark.parametrize("family", ["byte_level", "metaspace", "chinese"])
    def test_with_other_tokenizers(self, family, request) -> None:
        tokenizer = request.getfixturevalue(family)
        input_ids = torch.arange(len(tokenizer)).expand(3, -1)[:, torch.randperm(len(tokenizer))]
        examples = list(input_ids)
        expected = _collated(tokenizer, examples, 4, mlm_probability=0.9)
        ours = mask_tokens(input_ids, device_plan(tokenizer, "cpu"), epoch=4, mlm_probability=0.9)
        attended = input_ids != tokenizer.pad_token_id
        assert (ours[1][~attended] == -100).all()
        assert _equal(ours, expected)

    def test_where_the_pad_token_has_another_role(self, wordpiece) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.pad_token = "[SEP]"
        input_ids = torch.tensor([[2, 5, 3, 6, 7, 3, 3]])
        expected = _collated(tokenizer, list(input_ids), 0, mlm_probability=0.5)
        plan = device_plan(tokenizer, "cpu")
        assert plan.pad_token_id is None
        assert _equal(mask_tokens(input_ids, plan, epoch=0, mlm_probability=0.5), expected)

    def test_without_a_mask_token(self, wordpiece) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.mask_token = None
        input_ids, options = _batch(), {"mask_replace_prob": 0.0, "random_replace_prob": 0.5}
        expected = _collated(tokenizer, list(input_ids), 0, mlm_probability=0.5, **options)
        plan = device_plan(tokenizer, "cpu", **options)
        assert _equal(mask_tokens(input_ids, plan, epoch=0, mlm_probability=0.5), expected)

    def test_where_no_token_is_ordinary(self, wordpiece) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.add_special_tokens({"additional_special_tokens": list(tokenizer.get_vocab())})
        input_ids = _batch()
        inputs, labels = mask_tokens(input_ids, device_plan(tokenizer, "cpu"), epoch=0, mlm_probability=1.0)
        assert torch.equal(inputs, input_ids)
        assert (labels == -100).all()

    def test_num_mask_patterns_take_turns(self, wordpiece) -> None:
        input_ids, plan = _batch(), device_plan(wordpiece, "cpu")
        examples = list(input_ids)
        for epoch in range(5):
            expected = _collated(wordpiece, examples, epoch, num_mask_patterns=3)
            assert _equal(mask_tokens(input_ids, plan, epoch=epoch % 3), expected)

    @pytest.mark.parametrize("shape", [(0, 7), (3, 0), (0, 0)])
    @pytest.mark.parametrize("min_masked", [0, 1, 3])
    def test_nothing_stays_nothing(self, wordpiece, shape, min_masked) -> None:
        empty = torch.zeros(shape, dtype=torch.int64)
        plan = device_plan(wordpiece, "cpu", min_masked=min_masked)
        assert [part.shape for part in mask_tokens(empty, plan, epoch=0)] == [shape, shape]


class TestOnTheDevice:
    """What changes from call to call may be a tensor; no operation asks for its value."""

    @EVERY
    @given(epoch=EPOCHS, rate=RATES)
    def test_tensors_are_as_good_as_numbers(self, wordpiece, epoch, rate) -> None:
        input_ids, plan = _batch(), device_plan(wordpiece, "cpu")
        expected = mask_tokens(input_ids, plan, epoch=epoch, mlm_probability=rate)
        tensors = {"epoch": torch.tensor(epoch), "mlm_probability": torch.tensor(rate, dtype=torch.float64)}
        assert _equal(mask_tokens(input_ids, plan, **tensors), expected)

    @pytest.mark.parametrize("min_masked", [0, 1, 3])
    def test_no_value_is_asked_for(self, wordpiece, min_masked) -> None:
        """Neither `meta` nor fake tensors have values, so that asking for one fails."""
        columns = ("attention_mask", "special_tokens_mask", "labels")
        meta = _batch(device="meta")
        plan = device_plan(wordpiece, "meta", min_masked=min_masked)
        for epoch, rate in ((3, 0.15), (torch.tensor(3, device="meta"), _rates(device="meta"))):
            for given_columns in ({}, dict.fromkeys(columns, meta)):
                parts = mask_tokens(meta, plan, epoch=epoch, mlm_probability=rate, **given_columns)
                assert [(part.device.type, part.dtype, part.shape) for part in parts] == [
                    ("meta", torch.int64, meta.shape)
                ] * 2
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            fake = mode.from_tensor(_batch())
            plan = device_plan(wordpiece, "cpu", min_masked=min_masked)
            assert mask_tokens(fake, plan, epoch=3, mlm_probability=_rates())[0].shape == fake.shape

    def test_inputs_are_left_as_they_were(self, wordpiece) -> None:
        input_ids, epoch, rates, plan = _batch(), torch.tensor(3), _rates(), device_plan(wordpiece, "cpu")
        given_tensors = [input_ids, epoch, rates, *(part for part in plan if isinstance(part, torch.Tensor))]
        before = [tensor.clone() for tensor in given_tensors]
        mask_tokens(input_ids, plan, epoch=epoch, mlm_probability=rates, labels=input_ids)
        assert all(map(torch.equal, given_tensors, before))

    @pytest.mark.parametrize("min_masked", [0, 1, 3])
    def test_it_compiles_to_one_graph(self, wordpiece, min_masked) -> None:
        torch.compiler.reset()
        compiled = torch.compile(mask_tokens, backend=BACKEND, fullgraph=True)
        for seed in (0, -(2**65) - 1, 2**63):
            plan = device_plan(wordpiece, "cpu", seed=seed, min_masked=min_masked)
            for epoch, rate in ((0, 0.15), (1, 0.15), (2**63 - 1, 0.15), (torch.tensor(1), 1.0)):
                expected = mask_tokens(_batch(), plan, epoch=epoch, mlm_probability=rate)
                assert _equal(compiled(_batch(), plan, epoch=epoch, mlm_probability=rate), expected)

    def test_any_shape_compiles(self, wordpiece) -> None:
        torch.compiler.reset()
        compiled = torch.compile(mask_tokens, backend=BACKEND, fullgraph=True)
        plan = device_plan(wordpiece, "cpu", min_masked=3)
        for size, length in ((60, 33), (8, 64), (5, 2)):
            expected = mask_tokens(_batch(size, length), plan, epoch=3, mlm_probability=_rates(size))
            assert _equal(compiled(_batch(size, length), plan, epoch=3, mlm_probability=_rates(size)), expected)

    def test_tensors_that_change_are_not_compiled_anew(self, wordpiece) -> None:
        torch.compiler.reset()
        compiled = torch.compile(mask_tokens, backend=BACKEND, fullgraph=True)
        compiled(_batch(), device_plan(wordpiece, "cpu"), epoch=torch.tensor(0), mlm_probability=_rates())
        with torch.compiler.set_stance("fail_on_recompile"):
            for number in (1, 2, 3):
                plan = device_plan(wordpiece, "cpu", seed=number)
                changed = {"epoch": torch.tensor(number), "mlm_probability": _rates() / number}
                assert _equal(compiled(_batch(), plan, **changed), mask_tokens(_batch(), plan, **changed))

    @pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's own, at its import
    def test_integers_wrap_around_in_what_inductor_compiles(self, wordpiece, stress) -> None:
        """Also where it knows positions, as there is no padding, and without vectors; at full size all that is there.

        Undefined behaviour shows as wrong draws, as a loop that does not end, or as a crash.
        """
        cases = [(draws_of_all, "vectors"), (draws_of_all, "no vectors"), (masks_of_all, "vectors")]
        cases += [(masks_of_attended, "vectors"), (masks_of_attended, "no vectors")]
        input_ids, plan = _batch(), device_plan(wordpiece, "cpu")
        for function, how in cases if stress else cases[:1]:
            torch.compiler.reset()
            options = {"cpp.simdlen": 1} if how == "no vectors" else None
            compiled = torch.compile(function, fullgraph=True, options=options)
            assert _equal(compiled(input_ids, plan), function(input_ids, plan)), (function, how)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    @pytest.mark.parametrize("min_masked", [0, 1, 3])
    def test_on_cuda_the_host_never_waits(self, wordpiece, min_masked) -> None:
        expected = mask_tokens(_batch(), device_plan(wordpiece, "cpu", min_masked=min_masked), epoch=3)
        plan, input_ids = device_plan(wordpiece, "cuda", min_masked=min_masked), _batch(device="cuda")
        torch.cuda.set_sync_debug_mode("error")
        try:
            by_number = mask_tokens(input_ids, plan, epoch=3)
            by_tensor = mask_tokens(input_ids, plan, epoch=torch.full((), 3, device="cuda"))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert _equal(by_number, expected)
        assert _equal(by_tensor, expected)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"seed": 0.5}, "`seed` must be an integer"),
            ({"mask_replace_prob": 1.5}, "`mask_replace_prob` must be a number between 0 and 1"),
            ({"random_replace_prob": 0.3}, "must not exceed 1"),
            ({"min_masked": -1}, "`min_masked` must be an integer of at least 0"),
        ],
    )
    def test_of_plans(self, wordpiece, options, message) -> None:
        with pytest.raises(ValueError, match=message):
            device_plan(wordpiece, "cpu", **options)

    def test_of_tokenizers(self, wordpiece) -> None:
        with pytest.raises(ValueError, match="`tokenizer` must be a transformers tokenizer"):
            device_plan("bert-base-uncased", "cpu")
        without = copy.deepcopy(wordpiece)
        without.mask_token = None
        with pytest.raises(ValueError, match="`tokenizer` must have a mask token, but has none"):
            device_plan(without, "cpu")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"input_ids": [[5, 6]]}, "`input_ids` must be an int64 tensor .*, but got a list"),
            ({"input_ids": torch.ones(2, 3, dtype=torch.int32)}, r"but got torch.int32 \[2, 3\] on cpu"),
            ({"input_ids": torch.ones(3, dtype=torch.int64)}, r"but got torch.int64 \[3\] on cpu"),
            ({"input_ids": torch.ones(2, 3, dtype=torch.int64, device="meta")}, "`plan` must be on .* meta, but is on"),
            ({"epoch": -1}, "`epoch` must be an integer of at least 0"),
            ({"epoch": 2**63}, "`epoch` must be an integer of at most"),
            ({"epoch": 1.0}, "`epoch` must be an integer"),
            ({"epoch": torch.tensor(1.0)}, "`epoch` must be an integer, or a tensor of one int64"),
            ({"epoch": torch.tensor([1, 2])}, "`epoch` must be an integer, or a tensor of one int64"),
            ({"mlm_probability": 1.5}, "`mlm_probability` must be a number between 0 and 1"),
            ({"mlm_probability": lambda t: 0.15}, "of a schedule, its current value"),
            ({"mlm_probability": torch.tensor(1)}, "`mlm_probability` must be a number, or a tensor of floats"),
            ({"mlm_probability": torch.rand(3)}, r"for each of 2 sequences .* got torch.float32 \[3\]"),
            ({"mlm_probability": torch.rand(2, device="meta")}, r"on cpu, but got torch.float32 \[2\] on meta"),
            (
                {"attention_mask": torch.ones(2, 4)},
                "`attention_mask` must be a tensor of the shape and on the device of",
            ),
            ({"attention_mask": [[1, 1, 1]] * 2}, "`attention_mask` must be .* but got a list"),
            ({"special_tokens_mask": torch.ones(2)}, "`special_tokens_mask` must be a tensor"),
            ({"labels": torch.ones(2, 3, device="meta")}, "`labels` must be a tensor .* on meta"),
        ],
    )
    def test_of_batches(self, wordpiece, changes, message) -> None:
        arguments = {"input_ids": torch.tensor([[5, 6, 7], [8, 9, 10]]), "epoch": 0, **changes}
        with pytest.raises(ValueError, match=message):
            mask_tokens(plan=device_plan(wordpiece, "cpu"), **arguments)
