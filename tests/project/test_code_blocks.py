"""The code blocks of the README and the documentation are run, and do what the text around them says."""

from __future__ import annotations

import re
import shlex
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM, DataCollatorForLanguageModeling, TrainingArguments, masking_utils

import hf_dynmask
from hf_dynmask import DataCollatorForDynamicMasking, linear_schedule
from hf_dynmask.batching.packing import Packing
from hf_dynmask.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks/README.md",
]
NOT_RUN = {
    "bash": "commands that install things, or run for long: continuous integration runs the README's",
    "yaml": "a grid: the tests of the sweep read such",
}
RUN = {"python", "console", "diff"}


class Block(NamedTuple):
    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    return [
        Block(*each) for each in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    ]


@pytest.fixture
def names(with_sentinels, tmp_path, monkeypatch) -> dict[str, Any]:
    """What blocks take for granted."""
    monkeypatch.chdir(tmp_path)
    composer = SimpleNamespace(Callback=object, Trainer=SimpleNamespace)  # itself, it needs another torch
    monkeypatch.setitem(sys.modules, "composer", composer)
    if not hasattr(masking_utils, "create_bidirectional_mask"):  # transformers 4, whose models cannot be packed
        monkeypatch.setattr(hf_dynmask, "packed_attention", lambda model: Packing(one_row=False), raising=False)
    tokenizer = with_sentinels
    data = Dataset.from_list([dict(tokenizer("the cat sat on a mat and the dog ran to the house"))] * 1_340)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    arguments = {"output_dir": "out", "report_to": "none", "disable_tqdm": True, "max_steps": 2}
    return {
        "tokenizer": tokenizer,
        "model": BertForMaskedLM(config),
        "dataset": data.select(range(10)),
        "train": data,
        "validation": data.select(range(8)),
        "args": TrainingArguments(**arguments, dataloader_pin_memory=False),
    }


def run(text: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(text, "<block>", "exec"), names)
    return names


def after(diff: str) -> str:
    """A diff's lines once it is applied."""
    return "\n".join(line[2:] for line in diff.splitlines() if not line.startswith("-"))


def test_every_block_is_run_or_known_not_to_be() -> None:
    languages = {block.language for page in PAGES for block in blocks_of(page)}
    assert languages == RUN | set(NOT_RUN)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.language == "python" for b in blocks_of(page))], ids=str
)
def test_python_runs_from_top_to_bottom(page, names) -> None:
    blocks = [block.text for block in blocks_of(page) if block.language == "python"]
    for block in blocks:
        run(block, names)
    assert len(blocks) == page.read_text("utf-8").count("```python")


@pytest.mark.filterwarnings("ignore:.*pin_memory")
def test_the_readmes_first_lines_anneal_the_rate_and_evaluate_on_one_mask(names) -> None:
    (diff,) = (block.text for block in blocks_of(ROOT / "README.md") if block.language == "diff")
    trainer = run(after(diff), names)["trainer"]
    (entry,) = (entry for entry in trainer.state.log_history if "mask_rate" in entry)
    steps = trainer.state.max_steps
    assert entry["step"] == 500
    assert entry["mask_rate"] == pytest.approx(linear_schedule(0.30, 0.15)(499 / steps))
    assert trainer.evaluate()["eval_loss"] == trainer.evaluate()["eval_loss"]


@pytest.mark.filterwarnings('ignore:`strategy="adaptive"` follows')
def test_the_guide_trains_with_adaptive_masks(names) -> None:
    for block in blocks_of(ROOT / "docs/guide.md"):
        if "compute_loss_func" in block.text:
            run("from hf_dynmask import DataCollatorForDynamicMasking\n" + block.text, names)
    trainer, collator = names["trainer"], names["collator"]
    trainer.train()
    assert collator.losses is not None
    assert trainer.state.global_step == 2


def test_the_readmes_command_prints_what_it_shows(capsys) -> None:
    (shown,) = (block.text for block in blocks_of(ROOT / "README.md") if block.language == "console")
    command, output = shown.split("\n", 1)
    assert command.startswith("$ hf-dynmask ")
    main(shlex.split(command)[2:])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == output.splitlines()


SCRIPT = """
from transformers import Trainer
from transformers import DataCollatorForLanguageModeling

def main(tokenizer, data_args, model, training_args, train_dataset):
    data_collator = DataCollatorForLanguageModeling(
        tokenizer=tokenizer,
        mlm_probability=data_args.mlm_probability,
        pad_to_multiple_of=None,
    )
    return Trainer(
        model=model,
        args=training_args,
        train_dataset=train_dataset,
        eval_dataset=train_dataset,
        processing_class=tokenizer,
        data_collator=data_collator,
    )
"""


def test_the_changes_to_run_mlm(names) -> None:
    (diff,) = (block.text for block in blocks_of(ROOT / "docs/guide.md") if block.language == "diff")
    script = SCRIPT
    for before, lines in re.findall(r"^-(.*)\n((?:\+.*\n)+)", diff, re.MULTILINE):
        assert script.count(f"\n{before}\n") == 1
        script = script.replace(before, "\n".join(line[1:] for line in lines.splitlines()))

    class Arguments:
        mlm_probability = 0.2

    names["args"].logging_steps = 1
    trainer = run(script, {})["main"](names["tokenizer"], Arguments, names["model"], names["args"], names["train"])
    trainer.train()
    assert isinstance(trainer.data_collator, DataCollatorForDynamicMasking)
    rates = [entry["mask_rate"] for entry in trainer.state.log_history if "mask_rate" in entry]
    assert rates == pytest.approx([0.30, 0.25])


def test_the_callback_for_composer_sets_epoch_and_rate(names) -> None:
    for block in blocks_of(ROOT / "docs/migration.md"):
        run(block.text, names)
    collator = names["collator"]
    loader = DataLoader([dict(names["tokenizer"]("the cat sat on a mat"))] * 8, batch_size=2, collate_fn=collator)
    assert (names["trainer"].callbacks, names["callback"].total_steps) == ([names["callback"]], 3 * 42)
    callback = names["StartEpoch"](collator, total_steps=6)
    collator.return_mask_rate = True
    for epoch in range(2):  # which end after three of the four batches, as with `train_subset_num_batches`
        now = SimpleNamespace(epoch=epoch, batch=3 * epoch)
        callback.epoch_start(SimpleNamespace(dataloader=loader, timestamp=now), logger=None)
        rates = [float(batch["mask_rate"][0]) for batch in islice(loader, 3)]
        assert rates == pytest.approx([0.30 - 0.15 * (3 * epoch + step) / 6 for step in range(3)])


def test_the_guide_lists_what_the_stock_collator_has_and_ours_has_not(with_sentinels) -> None:
    guide = (ROOT / "docs/guide.md").read_text("utf-8")
    listed = guide.split("### Differences from `DataCollatorForLanguageModeling`")[1].split("\n## ")[0]
    stock, ours = DataCollatorForLanguageModeling(with_sentinels), DataCollatorForDynamicMasking(with_sentinels)
    public = {name for name in dir(stock) if not name.startswith("_")}
    assert {"torch_call", "torch_mask_tokens", "generator"} <= public
    assert {name for name in public if not hasattr(ours, name) and f"`{name}`" not in listed} == set()
