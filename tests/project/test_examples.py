"""The examples do what they say, on a tiny model and a text made here."""

from __future__ import annotations

import csv
import functools
import itertools
import json
import math
import re
import shlex
import shutil
import sys
import warnings
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from support.tokenizers_zoo import ZOO
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForTokenClassification,
    ElectraForPreTraining,
    TrainingArguments,
    masking_utils,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    linear_schedule,
    pseudo_log_likelihood,
    replaced_token_batch,
)
from hf_dynmask.cli.main import main as hf_dynmask_command
from hf_dynmask.cli.toy_tokenizer import toy_tokenizer

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import accelerate_loop
import chinese_words
import continued_pretraining
import custom_schedule
import custom_strategy
import domain_adaptation
import masked_diffusion
import ner_fine_tuning
import packed_pretraining
import replaced_token_detection
import score_sentences
import streaming

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "to", "house"]


def _tiny_bert(size: int) -> BertForMaskedLM:
    set_seed(0)
    return BertForMaskedLM(
        BertConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=32,
        )
    )  # fmt: skip


def _texts() -> list[str]:
    """Each text goes round the words from another one on, so that any word tells the others."""
    return [" ".join(WORDS[(start + i) % len(WORDS)] for i in range(12)) for start in range(len(WORDS))] * 12


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_diffusion_bound_falls(wordpiece, tmp_path, accumulation) -> None:
    data = Dataset.from_list([dict(wordpiece(text)) | {"text": text} for text in _texts()])
    training = TrainingArguments(
        str(tmp_path),
        num_train_epochs=8,
        learning_rate=5e-3,
        gradient_accumulation_steps=accumulation,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
    )
    trainer = masked_diffusion.trainer_for(_tiny_bert(len(wordpiece)), wordpiece, training, data, data)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after, again = (trainer.evaluate()["eval_loss"] for _ in range(2))
    assert after < 0.65 * before
    assert after == again


@pytest.mark.parametrize("low_confidence_remasking", [False, True])
@pytest.mark.parametrize("steps", [1, 4, 12])
def test_diffusion_samples_reveal_every_token(wordpiece, steps, low_confidence_remasking) -> None:
    model = _tiny_bert(len(wordpiece))
    options = {"length": 12, "steps": steps, "low_confidence_remasking": low_confidence_remasking}
    texts = [masked_diffusion.generate(model, wordpiece, seed=seed, **options) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    for text in texts:
        assert not set(wordpiece.all_special_tokens) & set(text.split())
        assert len(text.replace(" ##", " ").split()) <= 12


def test_diffusion_samples_follow_the_model(wordpiece) -> None:
    """A model that always predicts the same word, whatever is shown."""
    model = _tiny_bert(len(wordpiece))
    with torch.no_grad():
        model.cls.predictions.bias[wordpiece.convert_tokens_to_ids("cat")] = 50.0
    assert masked_diffusion.generate(model, wordpiece, length=5, steps=3) == "cat cat cat cat cat"


@pytest.mark.parametrize("name", ["bert_cased", "roberta", "modernbert", "deberta_v3"])
def test_diffusion_samples_start_from_nothing_but_masks(name) -> None:
    """Also where the tokenizer puts a token between two mask tokens of a text."""
    tokenizer, seen = ZOO[name](), []
    model = _tiny_bert(len(tokenizer))
    model.register_forward_pre_hook(lambda *args: seen.append(args[2]["input_ids"].tolist()), with_kwargs=True)
    masked_diffusion.generate(model, tokenizer, length=5, steps=2)
    first, last = tokenizer("")["input_ids"]
    assert seen[0] == [[first, *[tokenizer.mask_token_id] * 5, last]]


@pytest.fixture
def run(wordpiece, tmp_path, monkeypatch):
    """Runs an example on a tiny model, `model`, and a text, `corpus.txt`."""
    _tiny_bert(len(wordpiece)).save_pretrained(tmp_path / "model")
    wordpiece.save_pretrained(tmp_path / "model")
    (tmp_path / "corpus.txt").write_text("\n".join(_texts()))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(example, *arguments: object):
        monkeypatch.setattr(sys, "argv", [example.__name__, *map(str, arguments)])
        return example.main()

    return run


MODEL = ("--model", "model")
OUT = (*MODEL, "--output_dir", "out")
TRAINER = (*OUT, "--use_cpu", "--report_to", "none", "--disable_tqdm", "true", "--learning_rate", 5e-3)


def _rates(trainer) -> list[float]:
    return [entry["mask_rate"] for entry in trainer.state.log_history if "mask_rate" in entry]


def test_the_diffusion_example_runs_from_a_text_file(run, capsys) -> None:
    run(masked_diffusion, "--text_file", "corpus.txt", *TRAINER, "--max_steps", 2)
    *_, metrics, first, _, _, _, last = capsys.readouterr().out.splitlines()
    assert "eval_loss" in metrics
    assert first != last


def test_continued_pretraining_learns_at_a_falling_rate(run) -> None:
    options = ("--num_train_epochs", 8, "--eval_strategy", "epoch", "--logging_steps", 1)
    trainer = run(continued_pretraining, "--text_file", "corpus.txt", *TRAINER, *options)
    steps = trainer.state.max_steps
    assert _rates(trainer) == pytest.approx([0.30 - 0.15 * step / steps for step in range(steps)])
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert losses[-1] < 0.7 * math.log(len(trainer.processing_class))  # that of a guess
    assert losses[-2] == losses[-1], "the last epoch's evaluation and the one after it have the same masks"
    assert Path("out/model.safetensors").exists()


@pytest.mark.skipif(not hasattr(masking_utils, "create_bidirectional_mask"), reason="needs transformers 5")
def test_packed_pretraining_learns_what_padded_pretraining_learns(run, monkeypatch) -> None:
    options = ("--num_train_epochs", 8, "--eval_strategy", "epoch", "--text_file", "corpus.txt", *TRAINER)
    packed = run(packed_pretraining, *options)
    losses = [entry["eval_loss"] for entry in packed.state.log_history if "eval_loss" in entry]
    assert losses[-1] < 0.7 * math.log(len(packed.processing_class))  # that of a guess
    monkeypatch.setattr(packed_pretraining, "packed_attention", lambda model: None)
    padded = run(packed_pretraining, *options)
    expected = [entry["eval_loss"] for entry in padded.state.log_history if "eval_loss" in entry]
    assert losses[0] == pytest.approx(expected[0], rel=0.05)  # dropout differs


def test_a_discriminator_learns_to_detect_replaced_tokens(run, wordpiece) -> None:
    texts = [" ".join(WORDS[: 4 + i % 8]) for i in range(8)]  # a token tells its position
    Path("corpus.txt").write_text("\n".join(texts * 16))
    sizes = ("--tokenizer", "model", "--num_layers", 1, "--heads", 1, "--max_length", 32, "--rate", 0.3)
    options = ("--num_train_epochs", 4, "--eval_strategy", "epoch", "--save_strategy", "epoch", *TRAINER[len(MODEL) :])
    trainer = run(replaced_token_detection, "--text_file", "corpus.txt", *sizes, *options)
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert losses[-2] == losses[-1], "the last epoch's evaluation and the one after it have the same samples"
    assert trainer.model.epoch == 3
    assert get_last_checkpoint("out") is not None
    discriminator = ElectraForPreTraining.from_pretrained("out").eval()
    batch = trainer.data_collator([wordpiece(text) for text in texts], epoch=0)
    replaced = replaced_token_batch(batch, torch.zeros(*batch["labels"].shape, len(wordpiece)), epoch=0)
    with torch.no_grad():
        assert trainer.model.generator(**batch).loss < 0.7 * math.log(len(wordpiece))  # that of a guess
        scores = discriminator(**replaced).logits
    assert scores[replaced["labels"] == 1].mean() > scores[replaced["labels"] == 0].mean() + 1


def test_a_loop_of_ones_own_learns_at_a_falling_rate(run, wordpiece, monkeypatch) -> None:
    rates = []

    class Noting(DataCollatorForDynamicMasking):
        def _collate(self, examples, return_tensors, rate, pattern):
            rates.append(rate)
            return super()._collate(examples, return_tensors, rate, pattern)

    monkeypatch.setattr(accelerate_loop, "DataCollatorForDynamicMasking", Noting)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    options = ("--epochs", 6, "--accumulation", 2, "--learning_rate", 5e-3)
    losses = run(accelerate_loop, "--text_file", "corpus.txt", *OUT, *options)
    assert losses[-1] < 0.7 * math.log(len(wordpiece))
    training = [rate for rate in rates if rate != 0.15]  # 118 texts, 8 batches, 4 steps an epoch
    schedule = linear_schedule(0.30, 0.15)
    assert training == pytest.approx([schedule(step / 24) for step in range(24) for _ in range(2)])
    assert Path("out/model.safetensors").exists()


def test_a_stream_is_trained_on_at_a_falling_rate(run) -> None:
    source = ("--dataset", "text", "--data_files", "corpus.txt")
    trainer = run(streaming, *source, *TRAINER, "--max_steps", 20, "--logging_steps", 1)
    rates = _rates(trainer)
    assert rates[0] == 0.30
    assert rates[10] == pytest.approx(0.225)
    assert rates == sorted(rates, reverse=True)
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0]


def test_numbers_are_masked_four_times_as_often(run, tmp_path, capsys) -> None:
    text = "the cat sat on 1969 mats , and the dog ran to 31 ."
    tokenizer = toy_tokenizer([text])
    tokenizer.save_pretrained(tmp_path / "numbers")
    counts = custom_strategy.masked_words(tokenizer, text, 4_000)
    numbers, words = counts["1969"] + counts["31"], counts["cat"] + counts["dog"]
    assert 3.3 < numbers / words < 4.7
    assert 0.13 < counts.total() / (4_000 * len(tokenizer.tokenize(text))) < 0.17
    run(custom_strategy, "--model", "numbers", "--text", text, "--epochs", 50)
    assert capsys.readouterr().out.splitlines()[0].split()[1] in ("1969", "31", "the")  # which stands there twice


def test_waves_of_a_rate(run, capsys) -> None:
    options = ("--max_steps", 12, "--logging_steps", 1)
    trainer = run(custom_schedule, "--text_file", "corpus.txt", *TRAINER, *options)
    assert _rates(trainer)[::4] == [0.40, 0.40, 0.40]
    assert _rates(trainer)[2::4] == pytest.approx([0.275] * 3)
    assert custom_schedule.waves(1.0) == 0.15
    assert "step 1: 40.0% masked, loss " in capsys.readouterr().out


def test_entities_are_learned_from_masked_sentences_and_scored_on_whole_ones(run, wordpiece, monkeypatch) -> None:
    seen = []
    forward = BertForTokenClassification.forward

    @functools.wraps(forward)  # `Trainer` keeps the columns that it names
    def noting(self, input_ids=None, **rest):
        seen.append((self.training, bool((input_ids == wordpiece.mask_token_id).any())))
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(BertForTokenClassification, "forward", noting)
    names = {"cat": "B-PER", "dog": "B-PER", "house": "B-LOC"}
    rows = [{"tokens": text.split(), "ner_tags": [names.get(word, "O") for word in text.split()]} for text in _texts()]
    for name in ("train.jsonl", "dev.jsonl"):
        Path(name).write_text("\n".join(map(json.dumps, rows)))
    files = ("--train_file", "train.jsonl", "--validation_file", "dev.jsonl")
    trainer = run(ner_fine_tuning, *files, *TRAINER, "--num_train_epochs", 4, "--remove_unused_columns", "true")
    assert trainer.evaluate()["eval_f1"] > 0.95
    assert {masked for training, masked in seen if training} == {True}
    assert {masked for training, masked in seen if not training} == {False}


def test_chinese_words_are_masked_whole(chinese) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba's, on Python 3.12 and newer
        import jieba

        words = jieba.lcut(chinese_words.TEXT)
    assert max(map(len, words)) == 2
    shown = chinese_words.masked_texts(chinese, chinese_words.TEXT, jieba.lcut, epochs=50)
    for line in shown:
        assert len(line) == len(chinese_words.TEXT)
        place = 0
        for word in words:
            piece = line[place : place + len(word)]
            assert piece in (word, "_" * len(word))
            place += len(word)
    assert len(set(shown)) == 50


def test_real_sentences_score_above_shuffled_ones(run, wordpiece, monkeypatch, capsys) -> None:
    following = torch.arange(len(wordpiece))
    following[wordpiece.convert_tokens_to_ids(WORDS)] = torch.tensor(
        wordpiece.convert_tokens_to_ids([*WORDS[1:], WORDS[0]])
    )

    class Successor(BertForMaskedLM):
        """Knows the order of the words: predicts each from the one before it."""

        def forward(self, input_ids, attention_mask=None):
            known = following.to(input_ids.device)[input_ids.roll(1, 1)]
            logits = 9.0 * torch.nn.functional.one_hot(known, len(wordpiece))
            return {"logits": logits}

    model = Successor(_tiny_bert(len(wordpiece)).config)
    monkeypatch.setattr(score_sentences.AutoModelForMaskedLM, "from_pretrained", lambda name: model)
    arguments = (*MODEL, "--text_file", "corpus.txt", "--max_sentences", len(WORDS), "--batch_size", 16)
    for options in ((), ("--within_word",)):
        assert run(score_sentences, *arguments, *options) == 1.0
        lines = capsys.readouterr().out.splitlines()
        certain, unknown = (math.log(math.exp(9) + len(wordpiece) - 1) - known for known in (9, 0))
        mean = -(11 * certain + unknown) / 12  # nothing tells the first of the twelve words
        assert all(line.startswith(f"{mean:7.2f} (shuffled: -") for line in lines[:-2])
        assert lines[0].endswith(f"  {_texts()[0]}")
        assert lines[-1] == "100.0% of 11 sentences score above their shuffled words"


def test_shuffled_words_have_another_order() -> None:
    sentences = ["a b", "a a b", "a b c"] * 20
    found = score_sentences.shuffled(sentences, 1)
    assert found == score_sentences.shuffled(sentences, 1) != score_sentences.shuffled(sentences, 2)
    for sentence, other in zip(sentences, found, strict=True):
        assert other != sentence
        assert sorted(other.split()) == sorted(sentence.split())
    assert score_sentences.shuffled(["a", "a a", ""], 1) == ["a", "a a", ""]


def test_long_sentences_are_truncated_and_scored_on_an_accelerator(run, monkeypatch) -> None:
    devices, lengths, move, forward = [], set(), BertForMaskedLM.to, BertForMaskedLM.forward

    def to(self, device):
        devices.append(device)
        return move(self, "cpu")

    @functools.wraps(forward)
    def noting(self, input_ids=None, **rest):
        lengths.add(input_ids.shape[1])
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(BertForMaskedLM, "to", to)
    monkeypatch.setattr(BertForMaskedLM, "forward", noting)
    Path("long.txt").write_text(" ".join(WORDS * 4))
    run(score_sentences, *MODEL, "--text_file", "long.txt", "--max_length", 8)
    assert devices == [torch.device("cuda")]
    assert lengths == {8}


def _distinct_texts() -> list[str]:
    """Parts of the round of words, each another one."""
    return [" ".join((WORDS * 3)[start : start + length]) for start in range(len(WORDS)) for length in range(6, 18)]


def test_held_out_text_becomes_more_likely(run, wordpiece, capsys) -> None:
    Path("corpus.txt").write_text("\n".join(_distinct_texts()))
    options = ("--num_train_epochs", 8, "--eval_strategy", "epoch", "--logging_steps", 1)
    trainer = run(domain_adaptation, "--text_file", "corpus.txt", *TRAINER, *options)
    steps = trainer.state.max_steps
    assert _rates(trainer) == pytest.approx([0.30 - 0.15 * step / steps for step in range(steps)])
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert losses[-1] < 0.7 * math.log(len(wordpiece))  # that of a guess

    rows = list(csv.DictReader(Path("out/held_out.csv").read_text(encoding="utf-8").splitlines()))
    texts = [row["text"] for row in rows]
    result = pseudo_log_likelihood(BertForMaskedLM.from_pretrained("out"), wordpiece, texts)
    assert [float(row["after"]) for row in rows] == pytest.approx(list(result.scores / result.num_tokens), abs=1e-4)
    share = sum(float(row["after"]) > float(row["before"]) for row in rows) / len(rows)
    *_, perplexities, shares = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"pseudo-perplexity: (\d+\.\d) before, {result.pseudo_perplexity:.1f} after", perplexities)
    assert float(perplexities.split()[1]) > 2 * result.pseudo_perplexity
    assert shares == f"{share:.1%} of {len(rows)} held-out texts are more likely"


def test_no_text_is_trained_on_and_held_out(tmp_path) -> None:
    file = tmp_path / "corpus.txt"
    file.write_text("\n".join(["", *_distinct_texts(), " ", *_distinct_texts()]))

    def texts(seed: int) -> list[list[str]]:
        return [list(part["text"]) for part in domain_adaptation.split(str(file), seed).values()]

    assert sorted(itertools.chain.from_iterable(texts(0))) == sorted(_distinct_texts())
    assert [len(part) for part in texts(0)] == [105, 13, 14]
    assert texts(0) == texts(0) != texts(1)


def test_too_little_text_to_hold_some_out_is_refused(run) -> None:
    Path("corpus.txt").write_text("one\ntwo\n")
    with pytest.raises(SystemExit, match="`text_file` must have at least 10 different texts, but has 2"):
        run(domain_adaptation, "--text_file", "corpus.txt", *TRAINER)
    with pytest.raises(SystemExit, match=r"there is none at 'absent\.txt'"):
        run(domain_adaptation, "--text_file", "absent.txt", *TRAINER)


def _tutorial_commands(program: str) -> list[list[str]]:
    """The words of each command of the tutorial that runs this program, after its name."""
    tutorial = (Path(__file__).parents[2] / "docs/tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", tutorial, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    return [shlex.split(line)[len(program.split()) :] for line in lines if line.startswith(program + " ")]


@pytest.fixture
def files_of_the_tutorial(run) -> None:
    """A model and texts, small ones, under the names that the tutorial uses."""
    for name in ("bert-base-uncased", "news"):
        shutil.copytree("model", name)
    Path("tweets.txt").write_text("\n".join(_distinct_texts()))


def test_training_in_the_tutorial_runs_as_written(run, files_of_the_tutorial) -> None:
    commands = _tutorial_commands("python examples/domain_adaptation.py")
    for words in commands:
        trainer = run(domain_adaptation, *words, "--max_steps", 2, "--use_cpu", "--disable_tqdm", "true")
        assert [entry["step"] for entry in trainer.state.log_history if "eval_loss" in entry] == [0, 1, 2]
        assert Path("out/held_out.csv").exists()
        assert list(Path("out").rglob("events.out.tfevents.*"))
        shutil.rmtree("out")
    assert commands


def test_previews_in_the_tutorial_run_as_written(files_of_the_tutorial, capsys) -> None:
    commands = _tutorial_commands("hf-dynmask preview")
    for words in commands:
        hf_dynmask_command(["preview", *words])
        shown = capsys.readouterr().out
        assert shown.startswith("Tokenizer: bert-base-uncased.\n")
        assert shown.count("\n epoch ") == 3, "one table for each text"
    assert commands
