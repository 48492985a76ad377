"""Training on a stream that is never stored, such as a corpus on the hub: `datasets` reads it during training.

A stream has no length, so the length of training is a number of steps. Under a schedule, a stream needs at most one
worker, or workers whose shares are equally long. Others raise an error, because the step of a batch is unknown.

    python examples/streaming.py --dataset HuggingFaceFW/fineweb --config sample-10BT --model bert-base-cased \
        --output_dir out --max_steps 10000
    python examples/streaming.py --dataset text --data_files corpus.txt --output_dir out --max_steps 1000
"""

from __future__ import annotations

from dataclasses import dataclass, field

from datasets import load_dataset
from transformers import AutoModelForMaskedLM, AutoTokenizer, HfArgumentParser, Trainer, TrainingArguments

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, cosine_schedule


@dataclass
class Arguments:
    dataset: str = field(metadata={"help": "A dataset with a column `text`, by name; or `text` for local files."})
    config: str | None = field(default=None, metadata={"help": "The configuration of the dataset, if it has several."})
    data_files: str | None = field(default=None, metadata={"help": "The local files."})
    model: str = field(default="bert-base-cased", metadata={"help": "An encoder, by name or path."})
    max_length: int = field(default=128, metadata={"help": "The maximum number of tokens per text."})


def main() -> Trainer:
    arguments, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    texts = load_dataset(
        arguments.dataset, arguments.config, data_files=arguments.data_files, split="train", streaming=True
    )
    stream = texts.shuffle(seed=training.seed, buffer_size=1_000).map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=arguments.max_length),
        batched=True,
        remove_columns=list(next(iter(texts))),
    )
    trainer = Trainer(
        AutoModelForMaskedLM.from_pretrained(arguments.model),
        training,
        train_dataset=stream,
        data_collator=DataCollatorForDynamicMasking(tokenizer, strategy="span"),
        processing_class=tokenizer,
        callbacks=[MaskRateCallback(cosine_schedule(0.30, 0.15))],
    )
    trainer.train()
    trainer.save_model()
    return trainer


if __name__ == "__main__":
    main()
