"""Measures whole training steps with `Trainer`: `tiny` of the harness on a CPU, on sentences, padded and packed.

`--train_file FILE` takes the sentences of a NER corpus, of any format of the harness; without it, the embedded one.
"""

from collections.abc import Callable
from contextlib import nullcontext
from statistics import median
from typing import Any, NamedTuple

import pytest
from datasets import Dataset
from transformers import (
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

from benchmarks.ner.data.load import load_ner
from benchmarks.ner.data.readers import read_file
from benchmarks.ner.training.speed import StepTimer
from benchmarks.ner.training.tiny_bert import tiny_config, tiny_tokenizer
from benchmarks.ner.training.trainer import TimedTrainer
from benchmarks.speed import batches
from hf_dynmask import (
    ArrowRows,
    DataCollatorForDynamicMasking,
    MaskRateCallback,
    pack_dataset,
    packed_attention,
    sparse_prediction,
)

BATCH_SIZE, STEPS, ROUNDS = 32, 40, 5
MAX_LENGTH = 128  # of a sentence, and of a pack
EVALUATED = 1_000  # sentences


class Way(NamedTuple):
    """A way to train on the same sentences."""

    collator: str = "ours"
    packed: bool = False
    sparse: bool = False
    packs: bool = False


WAYS = {
    "stock, padded": Way(collator="stock"),
    "padded": Way(),
    "packed": Way(packed=True),
    "packed, sparse head": Way(packed=True, sparse=True),
    f"packs of {MAX_LENGTH}, sparse head": Way(packed=True, sparse=True, packs=True),
}


class Text(NamedTuple):
    """Tokenized sentences.

    Attributes:
        name: of the corpus.
    """

    name: str
    tokenizer: PreTrainedTokenizerFast
    rows: Dataset


@pytest.fixture(scope="module")
def text(request: pytest.FixtureRequest) -> Text:
    """The sentences of a corpus, with a tokenizer that was trained on them."""
    file = request.config.getoption("--train_file")
    sentences = load_ner()["train"] if file is None else read_file(file)
    tokenizer = tiny_tokenizer(sentences)
    encoded = tokenizer([" ".join(words) for words in sentences["words"]], truncation=True, max_length=MAX_LENGTH)
    name = "embedded corpus" if file is None else request.config.getoption("--corpus")
    return Text(name, tokenizer, Dataset.from_dict({"input_ids": encoded["input_ids"]}))


def _trainer(text: Text, way: Way, folder: Any, **options: Any) -> TimedTrainer:
    set_seed(0)
    config = tiny_config(text.tokenizer)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0  # so that losses can be compared
    model = BertForMaskedLM(config)
    if way.collator == "stock":
        collator: Any = DataCollatorForLanguageModeling(text.tokenizer)
    else:
        packing = packed_attention(model) if way.packed else None
        collator = DataCollatorForDynamicMasking(text.tokenizer, packing=packing, seed=0)
    rows = text.rows
    batch_size = BATCH_SIZE
    if way.packs:
        rows = pack_dataset(rows, MAX_LENGTH)
        batch_size = max(round(BATCH_SIZE * len(rows) / len(text.rows)), 1)  # of about as many sentences
    arguments = {
        "per_device_train_batch_size": batch_size,
        "per_device_eval_batch_size": BATCH_SIZE,
        "max_steps": STEPS,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_strategy": "no",
    }
    return TimedTrainer(
        model,
        TrainingArguments(str(folder), **{**arguments, **options}),
        train_dataset=rows if way.collator == "stock" else ArrowRows(rows),
        eval_dataset=text.rows.select(range(min(EVALUATED, len(text.rows)))),
        data_collator=collator,
        callbacks=[StepTimer(warmup_steps=4), *([MaskRateCallback()] if way.collator == "ours" else [])],
        count=batches.token_counts,
    )


def _train(trainer: Trainer, way: Way) -> None:
    with sparse_prediction(trainer.model, in_evaluation=True) if way.sparse else nullcontext():
        trainer.train()


def test_steps(report: Callable[..., None], benchmark: Any, text: Text, tmp_path: Any) -> None:
    """Times trainings of each way in turn: unpadded tokens per second, and the share of waiting for data."""
    speeds: dict[str, list[float]] = {name: [] for name in WAYS}
    waits: dict[str, list[float]] = {name: [] for name in WAYS}

    def trainings() -> None:
        for name, way in WAYS.items():
            trainer = _trainer(text, way, tmp_path)
            _train(trainer, way)
            seconds, waited, tokens = (sum(map(float, each)) for each in zip(*trainer.timer.steps, strict=True))
            speeds[name].append(tokens / seconds)
            waits[name].append(100 * waited / seconds)

    benchmark.pedantic(trainings, rounds=ROUNDS, warmup_rounds=1)
    size = f"{BATCH_SIZE} sentences, {text.name}"
    for name in WAYS:
        report(f"training, `tiny`, {name}", size, median(speeds[name][1:]), "tokens/s")
        report(f"training, `tiny`, {name}, share of waiting for data", size, median(waits[name][1:]), "%")
    for name in list(WAYS)[2:]:
        ratios = [way / padded for way, padded in zip(speeds[name], speeds["padded"], strict=True)]
        goal = 3 if name == "packed, sparse head" else None
        report(f"training, `tiny`, {name} / padded", size, median(ratios[1:]), "x", goal)


def test_equal_evaluation_loss(report: Callable[..., None], benchmark: Any, text: Text, tmp_path: Any) -> None:
    """Trains an epoch, padded and with all logits, and packed with sparse ones: the losses in the end, and the time."""
    seconds, losses = [], []

    def trainings() -> None:
        for name in ("padded", "packed, sparse head"):
            trainer = _trainer(text, WAYS[name], tmp_path, max_steps=-1, num_train_epochs=1)
            _train(trainer, WAYS[name])
            seconds.append(trainer.timer.seconds)
            losses.append(trainer.evaluate()["eval_loss"])

    benchmark.pedantic(trainings, rounds=1)
    size = f"{BATCH_SIZE} sentences, {text.name}"
    difference = 100 * abs(losses[0] - losses[1]) / losses[0]
    report("evaluation loss after an epoch, `tiny`, padded", size, losses[0], "nats")
    report("difference to that of packed, sparse head", size, difference, "%", 0.1, more=False)
    report("time of an epoch, `tiny`, padded / packed, sparse head", size, seconds[0] / seconds[1], "x", 3)
