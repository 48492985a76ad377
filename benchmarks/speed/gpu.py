"""Measures training steps on a GPU: `python -m benchmarks.speed.gpu --output benchmarks/speed/gpu_result.json`.

It trains ModernBERT-shaped models in bfloat16 on random text from disk, padded and packed, with the stock collator and
with this package's, without workers and with 2. It then compares FlashAttention's losses with those of padded batches,
and masking on the device with a copy of the same bytes. All of it takes under 8 minutes. `python -m benchmarks.readme`
writes the figures to benchmarks/README.md.
"""

import argparse
import datetime
import importlib.util
import itertools
import json
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import torch
import transformers
from datasets import Dataset
from transformers import DataCollatorForLanguageModeling, ModernBertConfig, ModernBertForMaskedLM, TrainingArguments

from benchmarks.ner.training.speed import StepTimer, speed_summary
from benchmarks.ner.training.trainer import TimedTrainer
from benchmarks.speed import batches, on_device
from benchmarks.speed.table import Figure
from hf_dynmask import (
    ArrowRows,
    DataCollatorForDynamicMasking,
    MaskRateCallback,
    packed_attention,
    sparse_prediction,
)

RESULT = Path(__file__).parent / "gpu_result.json"
SIZES = {  # hidden units, layers, heads, feed-forward units
    "tiny": (32, 2, 2, 64),
    "17M": (256, 7, 4, 384),
    "150M": (768, 22, 12, 1152),
}
ATTENTION = {True: "flash_attention_2", False: "sdpa"}
WORKERS = (0, 2)


class Way(NamedTuple):
    """A way to train."""

    ours: bool = True
    packed: bool = False


WAYS = {"stock, padded": Way(ours=False), "padded": Way(), "packed, sparse head": Way(packed=True)}


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        data = _on_disk(arguments.batch_size * arguments.steps, arguments.length, folder)
        figures = [figure for size in arguments.sizes for figure in _step_figures(size, data, arguments, folder)]
    figures += [*_flash_figures(arguments), *_masking_figures(arguments)]
    result = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "versions": {each.__name__: each.__version__ for each in (torch, transformers)},
        "figures": [figure._asdict() for figure in figures],
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for figure in figures:
        print(f"{figure.measure:60} {figure.size:12} {figure.value:12.4g} {figure.unit}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="where to write the figures, as JSON")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["17M", "150M"])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--length", type=int, default=512, help="the longest sequence, in tokens")
    return parser.parse_args()


def _on_disk(rows: int, length: int, folder: str) -> Dataset:
    examples = batches.list_examples(batches.lengths_of(rows, length))
    Dataset.from_list([{"input_ids": example["input_ids"]} for example in examples]).save_to_disk(f"{folder}/data")
    return datasets.load_from_disk(f"{folder}/data")


def _model(size: str, attention: str = "sdpa") -> ModernBertForMaskedLM:
    torch.manual_seed(0)
    hidden, layers, heads, feed_forward = SIZES[size]
    config = ModernBertConfig(
        vocab_size=batches.VOCABULARY_SIZE,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        pad_token_id=batches.PAD,
        cls_token_id=batches.CLS,
        sep_token_id=batches.SEP,
        bos_token_id=batches.CLS,
        eos_token_id=batches.SEP,
    )
    config._attn_implementation = attention
    return ModernBertForMaskedLM(config)


def _step_figures(size: str, data: Dataset, arguments: argparse.Namespace, folder: str) -> Iterator[Figure]:
    shape = f"{arguments.batch_size} x {arguments.length}"
    for (name, way), workers in itertools.product(WAYS.items(), WORKERS):
        measure = f"training, {size}, {name}, {workers} workers"
        try:
            summary = _summary(size, way, workers, data, arguments, folder)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            yield Figure(f"{measure}: out of memory", shape, float("nan"), "")
            continue
        yield Figure(measure, shape, summary["tokens_per_second"], "tokens/s")
        yield Figure(f"{measure}, time of a step", shape, 1000 * summary["step_time_median"], "ms", more=False)
        yield Figure(f"{measure}, waiting for data", shape, 100 * summary["data_wait_share"], "%", more=False)


def _summary(
    size: str, way: Way, workers: int, data: Dataset, arguments: argparse.Namespace, folder: str
) -> dict[str, Any]:
    """The speed of a training: see `speed_summary`."""
    model, tokenizer = _model(size), batches.tokenizer()
    timer = StepTimer(warmup_steps=max(arguments.steps // 6, 1))
    if way.ours:
        packing = packed_attention(model) if way.packed else None
        collator: Any = DataCollatorForDynamicMasking(tokenizer, packing=packing)
    else:
        collator = DataCollatorForLanguageModeling(tokenizer)
    trainer = TimedTrainer(
        model,
        TrainingArguments(
            folder,
            per_device_train_batch_size=arguments.batch_size,
            max_steps=arguments.steps,
            bf16=torch.cuda.is_available(),
            use_cpu=not torch.cuda.is_available(),
            dataloader_num_workers=workers,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=ArrowRows(data) if way.ours else data,
        data_collator=collator,
        callbacks=[timer, *([MaskRateCallback()] if way.ours else [])],
        count=batches.token_counts,
    )
    with sparse_prediction(model) if way.packed else nullcontext():
        trainer.train()
    summary = speed_summary(timer.steps, None)
    assert summary is not None
    return summary


def _flash_figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    """The difference of losses between packed FlashAttention and padded SDPA, in bfloat16."""
    if not torch.cuda.is_available() or importlib.util.find_spec("flash_attn") is None:
        return
    examples = batches.list_examples(batches.lengths_of(16, arguments.length))
    losses = []
    for packed in (False, True):
        model: Any = _model("17M", ATTENTION[packed])
        model = model.to("cuda", torch.bfloat16).eval()
        packing = packed_attention(model) if packed else None
        batch = DataCollatorForDynamicMasking(batches.tokenizer(), packing=packing, seed=0)(examples, epoch=0)
        with torch.no_grad():
            losses.append(model(**batch.to("cuda")).loss.item())
    difference = 100 * abs(losses[1] - losses[0]) / losses[0]
    yield Figure("loss, FlashAttention packed / SDPA padded, difference", "17M", difference, "%", 1, more=False)


def _masking_figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plan = on_device.device_plan(batches.tokenizer(), device)
    steps = on_device.masking_steps(on_device.random_batch(arguments.length).to(device), plan)
    medians = on_device.medians_of(steps, arguments.steps, device)
    for name in ("eager", "compiled"):
        yield Figure(f"masking on the device, {name} / a copy", "2^20 tokens", medians[name] / medians["copy"], "x")


def markdown() -> str:
    """The committed figures, or that there are none."""
    if not RESULT.exists():
        return "Not run: no GPU was available.\n"
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    rows = [(each["measure"], each["size"], f"{each['value']:,.4g} {each['unit']}") for each in result["figures"]]
    lines = [("measure", "batch", "figure"), ("---", "---", "---:"), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"Measured on {result['date']} on {result['device']}.\n\n{table}\n"


if __name__ == "__main__":
    main()
