"""The mixture of denoisers of UL2, from text to batch: what each makes of it, and what the model is told."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import pickle
import re

import numpy as np
import pytest
import torch
from conftest import WORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.tokenizers_zoo import TEXTS, ZOO
from torch.utils.data import DataLoader
from transformers import AddedToken, T5Config, T5ForConditionalGeneration, Trainer, TrainingArguments

from hf_dynmask import MaskRateCallback, linear_schedule, uniform_rate
from hf_dynmask.collators.span_corruption import DataCollatorForSpanCorruption
from hf_dynmask.masking.denoisers import Denoiser, ul2_denoisers
from hf_dynmask.masking.sentinels import find_sentinels
from hf_dynmask.trainer.batch_audit import audit_batch
from hf_dynmask.vocabulary.vocabulary import read_vocabulary

COMPONENT = 9
MODES = ["[NLU]", "[S2S]", "[NLG]"]
UL2 = ul2_denoisers()
FAMILIES = ["t5", "byt5", "bert_cased", "roberta"]


@functools.cache
def _tokenizer(family: str, modes: bool = True):
    tokenizer = copy.deepcopy(ZOO[family]())
    if "<extra_id_0>" not in tokenizer.get_vocab():
        sentinels = [AddedToken(f"<extra_id_{i}>", special=True) for i in range(40)]
        tokenizer.add_tokens(sentinels, special_tokens=True)
    if modes:
        tokenizer.add_tokens(MODES, special_tokens=True)
    return tokenizer


@pytest.fixture
def t5():
    return _tokenizer("t5")


def _collator(tokenizer, denoisers=UL2, **options) -> DataCollatorForSpanCorruption:
    return DataCollatorForSpanCorruption(tokenizer, denoisers=denoisers, **{"seed": 42, **options})


def _long(tokenizer, count: int = 24, size: int = 200) -> list[dict[str, list[int]]]:
    ordinary = read_vocabulary(tokenizer).ordinary_ids
    ids = np.random.default_rng(0).choice(ordinary[~np.isin(ordinary, find_sentinels(tokenizer))], (count, size))
    return [{"input_ids": row.tolist()} for row in ids]


def _rows(batch) -> list[tuple[list[int], list[int]]]:
    """(inputs, labels) of each example, without padding."""
    inputs = [ids[mask == 1].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    return list(zip(inputs, [labels[labels != -100].tolist() for labels in batch["labels"]], strict=True))


def _choice(input_ids, denoisers, epoch: int, seed: int = 42) -> Denoiser:
    drawn = oracle.draw(oracle.key(seed, input_ids, epoch), 0, COMPONENT) / 2**32
    total = sum(denoiser.weight for denoiser in denoisers)
    limits = itertools.accumulate(denoiser.weight / total for denoiser in denoisers)
    return next(denoiser for denoiser, limit in zip(denoisers, limits, strict=True) if drawn < limit)


def _reassembled(tokenizer, inputs: list[int], labels: list[int]) -> list[tuple[int, bool]]:
    """The original ids, and whether each was noise: every sentinel of the input gives way to what the target says."""
    sentinels = find_sentinels(tokenizer).tolist()
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    assert labels[len(labels) - len(end) :] == end
    spans: dict[int, list[int]] = {}
    for id_ in labels[: len(labels) - len(end)]:
        if id_ in sentinels:
            spans[id_] = []
        else:
            spans[list(spans)[-1]].append(id_)
    assert list(spans) == sentinels[: len(spans)]
    return [(id_, place in spans) for place in inputs for id_ in spans.get(place, [place])]


@pytest.mark.parametrize("family", FAMILIES)
@settings(derandomize=True, deadline=None, max_examples=15)
@given(st.data())
def test_each_text_is_corrupted_by_its_denoiser(family, data) -> None:
    """As the plain collator does it with the settings of that denoiser, after the mode token."""
    tokenizer = copy.copy(_tokenizer(family))
    tokenizer.padding_side = data.draw(st.sampled_from(["left", "right"]))
    texts = data.draw(st.lists(st.sampled_from([*TEXTS.values(), "a", ""]), min_size=1, max_size=6))
    rows, epoch = [tokenizer(text)["input_ids"] for text in texts], data.draw(st.integers(0, 99))
    batch = _collator(tokenizer)([{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows], epoch=epoch)
    special = read_vocabulary(tokenizer).special
    for row, (inputs, labels) in zip(rows, _rows(batch), strict=True):
        denoiser = _choice(row, UL2, epoch)
        assert inputs[0] == tokenizer.convert_tokens_to_ids(denoiser.mode_token)
        original = _reassembled(tokenizer, inputs[1:], labels)
        assert [id_ for id_, _ in original] == row
        if denoiser.mean_noise_span_length is not None:
            alone = DataCollatorForSpanCorruption(
                tokenizer,
                denoiser.noise_density,
                mean_noise_span_length=denoiser.mean_noise_span_length,
                seed=42,
            )
            assert _rows(alone([row], epoch=epoch)) == [(inputs[1:], labels)]
        else:
            noise = [is_noise for id_, is_noise in original if not special[id_]]
            assert noise == sorted(noise), "a suffix"
            assert not any(is_noise for id_, is_noise in original if special[id_])


def test_densities_and_span_lengths(t5) -> None:
    seen = set()
    for epoch in range(4):
        examples = _long(t5)
        for example, (inputs, labels) in zip(examples, _rows(_collator(t5)(examples, epoch=epoch)), strict=True):
            denoiser = _choice(example["input_ids"], UL2, epoch)
            noise = [is_noise for _, is_noise in _reassembled(t5, inputs[1:], labels)]
            count, runs = sum(noise), sum(is_noise for is_noise, _ in itertools.groupby(noise))
            assert count == round(denoiser.noise_density * 200)
            length = denoiser.mean_noise_span_length or math.inf
            spans = min(max(round(count / length), 1), len(find_sentinels(t5)) - 2)
            assert runs - spans == (noise[0] and noise[-1] and length < math.inf), "one that goes round is two"
            seen.add(denoiser)
    assert seen == set(UL2)


class TestModeTokens:
    def test_without(self) -> None:
        tokenizer = _tokenizer("t5", modes=False)
        batches = [
            _rows(_collator(each, denoisers)(_long(tokenizer), epoch=3))
            for each, denoisers in ((tokenizer, ul2_denoisers(None)), (_tokenizer("t5"), UL2))
        ]
        assert [inputs for inputs, _ in batches[0]] == [inputs[1:] for inputs, _ in batches[1]]
        assert [labels for _, labels in batches[0]] == [labels for _, labels in batches[1]]

    def test_of_some_denoisers(self, t5) -> None:
        denoisers = [Denoiser(0.3, 3.0), Denoiser(0.3, None, mode_token="[S2S]")]
        examples = [*_long(t5, 12, 20), {"input_ids": []}]
        for example, (inputs, _) in zip(examples, _rows(_collator(t5, denoisers)(examples, epoch=0)), strict=True):
            has_token = inputs[:1] == t5.convert_tokens_to_ids(["[S2S]"])
            assert has_token == (_choice(example["input_ids"], denoisers, 0) is denoisers[1])

    def test_before_all_other_tokens(self) -> None:
        tokenizer = _tokenizer("bert_cased")
        batch = _collator(tokenizer)([tokenizer("hello world, it is")], epoch=0)
        first, second, *_ = tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist())
        assert first in MODES
        assert second == "[CLS]"

    @pytest.mark.parametrize("special", [True, False])
    def test_never_noise(self, special) -> None:
        tokenizer = copy.deepcopy(_tokenizer("t5", modes=False))
        tokenizer.add_tokens(["<mode>"], special_tokens=special)
        mode = tokenizer.convert_tokens_to_ids("<mode>")
        batch = _collator(tokenizer, [Denoiser(1.0, 3.0, mode_token="<mode>")])([[7, mode, 8]], epoch=0)
        ((inputs, labels),) = _rows(batch)
        first, second, *_ = find_sentinels(tokenizer).tolist()
        assert inputs == [mode, first, mode, second]
        assert mode not in labels

    def test_the_error_tells_how_to_add_them(self) -> None:
        tokenizer = copy.deepcopy(_tokenizer("t5", modes=False))
        with pytest.raises(ValueError, match=r"`mode_token` must be a token of the tokenizer, but .* has no") as error:
            _collator(tokenizer)
        remedy = re.findall("`(.*?)`", str(error.value))[1]
        assert remedy.startswith("tokenizer.add_tokens(")
        eval(remedy, {"tokenizer": tokenizer})
        _collator(tokenizer)
        assert set(tokenizer.convert_tokens_to_ids(MODES)) <= set(np.flatnonzero(read_vocabulary(tokenizer).special))

    @pytest.mark.parametrize("name", ["<extra_id_3>", "<pad>"])
    def test_of_another_role(self, t5, name) -> None:
        with pytest.raises(ValueError, match=f"neither a sentinel nor the pad token, but got '{name}'"):
            _collator(t5, [Denoiser(0.15, 3.0, mode_token=name)])

    def test_a_token_that_is_added_later(self, t5) -> None:
        tokenizer = copy.deepcopy(t5)
        collator = _collator(tokenizer)
        collator(_long(tokenizer, 2), epoch=0)
        tokenizer.add_tokens(["<mode>"], special_tokens=True)
        collator.denoisers = [Denoiser(0.5, 3.0, mode_token="<mode>")]
        ((inputs, _),) = _rows(collator(_long(tokenizer, 1), epoch=0))
        assert inputs[0] == tokenizer.convert_tokens_to_ids("<mode>")


class TestDeterminism:
    def test_workers_batches_and_order_change_nothing(self, t5) -> None:
        examples, collator = _long(t5, 24, 30), _collator(t5)
        expected = _rows(collator(examples, epoch=2))
        collator.set_epoch(2)
        for workers, size in ((0, 5), (2, 4)):
            loader = DataLoader(examples, batch_size=size, num_workers=workers, collate_fn=collator)
            assert [row for batch in loader for row in _rows(batch)] == expected
        assert _rows(collator(examples[::-1]))[::-1] == expected
        assert _rows(collator(examples, epoch=3)) != expected

    def test_evaluation_keeps_the_densities(self, t5) -> None:
        examples = _long(t5)
        evaluation = _collator(t5).for_evaluation()
        first = _rows(evaluation(examples))
        evaluation.set_epoch(3)
        assert _rows(evaluation(examples)) == first == _rows(_collator(t5, num_mask_patterns=1)(examples))

    def test_copies_and_settings(self, t5) -> None:
        examples, collator = _long(t5), _collator(t5)
        expected = _rows(collator(examples, epoch=1))
        for twin in (pickle.loads(pickle.dumps(collator)), copy.deepcopy(collator), _collator(t5, list(UL2))):
            assert _rows(twin(examples, epoch=1)) == expected
            twin.denoisers = None
            plain = DataCollatorForSpanCorruption(t5, seed=42)
            assert _rows(twin(examples, epoch=1)) == _rows(plain(examples, epoch=1))
            twin.denoisers = UL2[:1]
            assert _rows(twin(examples, epoch=1)) != expected

    def test_it_prints_itself(self, t5) -> None:
        assert "; 31.4 % of the tokens on average, each sequence draws its rate; each sequence draws one of 7" in str(
            _collator(t5)
        )


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"denoisers": []}, "`denoisers` must be a sequence of at least one `Denoiser`"),
            ({"denoisers": UL2[0]}, "`denoisers` must be a sequence of at least one `Denoiser`"),
            ({"noise_density": 0.3}, "`noise_density` must be left out with `denoisers`, .* but got 0.3"),
            ({"noise_density": linear_schedule(0.3, 0.1)}, "`noise_density` must be left out with `denoisers`"),
            ({"noise_density": uniform_rate()}, "`noise_density` must be left out with `denoisers`"),
            ({"mean_noise_span_length": 4.0}, "`mean_noise_span_length` must be left out with `denoisers`, .* 4.0"),
        ],
    )
    def test_bad_arguments(self, t5, options, message) -> None:
        with pytest.raises(ValueError, match=message):
            _collator(t5, **options)

    @pytest.mark.parametrize("schedule", [0.15, 0.3, linear_schedule(0.3, 0.1)])
    def test_a_schedule_of_the_callback(self, t5, schedule) -> None:
        with pytest.raises(ValueError, match="`schedule` of `MaskRateCallback` must be None if the collator has"):
            _collator(t5).for_training(schedule, 0)

    def test_a_density_of_evaluation(self, t5) -> None:
        with pytest.raises(ValueError, match=r"`mlm_probability` must be left out with `denoisers`, .* but got 0\.3"):
            _collator(t5).for_evaluation(0.3)
        with pytest.raises(ValueError, match="`mlm_probability` must be a number between 0 and 1"):
            _collator(t5).for_evaluation(2)


class TestAudit:
    DENOISERS = (
        UL2,
        ul2_denoisers(None),
        (Denoiser(0.3, 3.0), Denoiser(0.5, None, 2.0, "[S2S]"), Denoiser(0.2, None, 1.0, "[NLG]")),
    )

    @settings(derandomize=True, deadline=None, max_examples=40)
    @given(st.data())
    def test_correct_batches_match(self, data) -> None:
        """Also of texts that begin with mode tokens of their own."""
        tokenizer = _tokenizer("t5")
        modes = tokenizer.convert_tokens_to_ids(MODES)
        ids = st.integers(5, 90) | st.sampled_from(modes)
        rows = data.draw(st.lists(st.lists(ids, max_size=25), min_size=1, max_size=5))
        collator, epoch = _collator(tokenizer, data.draw(st.sampled_from(self.DENOISERS))), data.draw(st.integers(0, 9))
        batch = collator([{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows], epoch=epoch)
        audit = audit_batch(collator, batch, epoch=epoch)
        assert audit[:3] == ("full", "", True)
        noise = [flag for inputs, labels in _rows(batch) for _, flag in _reassembled(tokenizer, inputs, labels)]
        assert audit.masked == sum(noise)

    @pytest.mark.parametrize("denoisers", DENOISERS)
    def test_wrong_batches_do_not_match(self, t5, denoisers) -> None:
        collator = _collator(t5, denoisers)
        batch = collator(_long(t5, 8, 40), epoch=2)
        assert audit_batch(collator, batch, epoch=2).matches
        assert not audit_batch(collator, batch, epoch=1).matches
        collator.seed = 1
        assert not audit_batch(collator, batch, epoch=2).matches

    def test_another_mode_token_is_detected(self, t5) -> None:
        for denoisers in (UL2, self.DENOISERS[2]):
            collator = _collator(t5, denoisers)
            batch = dict(collator(_long(t5, 3, 30), epoch=0))
            for row, mode in itertools.product(range(3), t5.convert_tokens_to_ids([*MODES, "<unk>"])):
                changed = batch["input_ids"].clone()
                if changed[row, 0] not in (mode, 0) and changed[row, 0] in t5.convert_tokens_to_ids(MODES):
                    changed[row, 0] = mode
                    assert not audit_batch(collator, {**batch, "input_ids": changed}, epoch=0).matches

    def test_a_partial_audit_compares_mode_tokens(self, t5) -> None:
        collator = _collator(t5)
        examples = [{**example, "special_tokens_mask": [0, 1] * 10} for example in _long(t5, 12, 20)]
        batch = collator(examples, epoch=2)
        audit = audit_batch(collator, batch, epoch=2, columns=["special_tokens_mask"])
        assert (audit.coverage, audit.matches) == ("partial", True)
        assert not audit_batch(collator, batch, epoch=1, columns=["special_tokens_mask"]).matches


@pytest.mark.usefixtures("one_thread")
class TestTrainer:
    def _trainer(self, tokenizer, folder, callback) -> Trainer:
        torch.manual_seed(0)
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
        config = T5Config(vocab_size=len(tokenizer), decoder_start_token_id=0, dropout_rate=0.0, **sizes)
        generator = np.random.default_rng(0)
        texts = [dict(tokenizer(" ".join(generator.choice(WORDS, 6)))) for _ in range(48)]
        return Trainer(
            T5ForConditionalGeneration(config),
            TrainingArguments(
                str(folder), use_cpu=True, report_to="none", disable_tqdm=True, num_train_epochs=2, logging_steps=3
            ),
            train_dataset=texts[16:],
            eval_dataset=texts[:16],
            data_collator=_collator(tokenizer),
            callbacks=[callback],
        )

    def test_a_model_trains_under_the_audit(self, t5, tmp_path) -> None:
        trainer = self._trainer(t5, tmp_path, MaskRateCallback(audit="every_step"))
        seen: dict[bool, list] = {True: [], False: []}
        trainer.model.register_forward_pre_hook(
            lambda module, _, batch: seen[module.training].extend(_rows(batch)), with_kwargs=True
        )
        trainer.train()
        logged = [entry["mask_rate"] for entry in trainer.state.log_history if "mask_rate" in entry]
        assert logged == [pytest.approx(2.2 / 7, abs=1e-3)] * 2
        assert trainer.evaluate()["eval_loss"] == trainer.evaluate()["eval_loss"]
        collator = _collator(t5)
        for epoch in (0, 1):
            expected = _rows(collator(trainer.train_dataset, epoch=epoch))
            assert sorted(seen[True][32 * epoch : 32 * (epoch + 1)]) == sorted(expected)
        assert seen[False] == _rows(collator.for_evaluation()(trainer.eval_dataset)) * 2

    def test_schedules_are_refused(self, t5, tmp_path) -> None:
        trainer = self._trainer(t5, tmp_path, MaskRateCallback(linear_schedule(0.3, 0.1)))
        with pytest.raises(ValueError, match="`schedule` of `MaskRateCallback` must be None"):
            trainer.train()
        trainer = self._trainer(t5, tmp_path, MaskRateCallback(eval_mlm_probability=0.3))
        with pytest.raises(ValueError, match="`eval_mlm_probability` must be left out with `denoisers`"):
            trainer.evaluate()
