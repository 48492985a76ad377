"""Fine-tuning for named entity recognition with masked inputs: new masks in each epoch, none in evaluation.

The model has to infer a masked word from its context (word dropout; Iyyer et al. 2015). Files are JSON lines or
Parquet. Each sentence has a list of `tokens` and a list of `ner_tags` in IOB2.

    python examples/ner_fine_tuning.py --train_file train.jsonl --validation_file dev.jsonl --model bert-base-cased \
        --output_dir out
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from datasets import load_dataset
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
)

from hf_dynmask import DataCollatorWithTokenDropout, MaskRateCallback


@dataclass
class Arguments:
    train_file: str = field(metadata={"help": "The sentences to train on."})
    validation_file: str = field(metadata={"help": "The sentences to evaluate on."})
    model: str = field(default="bert-base-cased", metadata={"help": "An encoder with a fast tokenizer."})
    mask_rate: float = field(default=0.15, metadata={"help": "The fraction of masked tokens, in training."})


def encoded(row: Mapping[str, Any], tokenizer: Any, ids: Mapping[str, int]) -> dict[str, Any]:
    """A sentence's token ids, and the tag of each word at its first token; -100, for no tag, elsewhere."""
    encoding = tokenizer(row["tokens"], is_split_into_words=True, truncation=True)
    words = encoding.word_ids()
    first = [word is not None and word not in words[:index] for index, word in enumerate(words)]
    labels = [ids[row["ner_tags"][word]] if is_first else -100 for word, is_first in zip(words, first, strict=True)]
    return {**encoding, "labels": labels}


def scored(prediction: Any, names: list[str]) -> dict[str, float]:
    """Strict F1 over entities."""
    gold, guessed = prediction.label_ids, prediction.predictions.argmax(-1)
    tags = [
        [[names[tag] for tag in row[known]] for row, known in zip(rows, gold != -100, strict=True)]
        for rows in (gold, guessed)
    ]
    return {"f1": f1_score(*tags, mode="strict", scheme=IOB2, zero_division=0)}


def main() -> Trainer:
    arguments, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    files = {"train": arguments.train_file, "validation": arguments.validation_file}
    data = load_dataset("parquet" if arguments.train_file.endswith(".parquet") else "json", data_files=files)
    names = sorted({tag for split in data.values() for tags in split["ner_tags"] for tag in tags})
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    data = data.map(partial(encoded, tokenizer=tokenizer, ids={name: tag for tag, name in enumerate(names)}))
    inner = DataCollatorForTokenClassification(tokenizer)
    trainer = Trainer(
        AutoModelForTokenClassification.from_pretrained(arguments.model, num_labels=len(names)),
        training,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        data_collator=DataCollatorWithTokenDropout(inner, arguments.mask_rate, strategy="whole_word"),
        compute_metrics=partial(scored, names=names),
        callbacks=[MaskRateCallback()],  # evaluation is without masks
    )
    trainer.train()
    print(trainer.evaluate())
    return trainer


if __name__ == "__main__":
    main()
