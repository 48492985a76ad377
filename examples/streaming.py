"""Training on a stream that is never stored, such as a corpus on the hub: `datasets` reads it as `Trainer` asks for it.

A stream has no length, so that training is counted in steps. Under a schedule, a stream is read by one worker at most,
or by several whose shares are equally long: others are refused, because a batch's step would not be known.

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
    dataset: str = field(metadata={"help": "By name, with a column `text`; or `text` for files of one's own."})
    config: str | None = field(default=None, metadata={"help": "Of the dataset, if it has several."})
    data_files: str | None = field(default=None, metadata={"help": "Files, if they are not the dataset's own."})
    model: str = field(default="bert-base-cased", metadata={"help": "An encoder, by name or path."})
    max_length: int = field(default=128, metadata={"help": "Tokens a text."})


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
