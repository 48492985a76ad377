"""A custom schedule: any function from the progress of training, 0 to 1, to a mask rate.

This one falls from 40 % to 15 % in three waves, each a warm restart (Loshchilov and Hutter 2017, SGDR). It is a
function of a module, and not a lambda, so that spawned workers can have it too.

    python examples/custom_schedule.py --text_file corpus.txt --model bert-base-cased --output_dir out
"""

from __future__ import annotations

from dataclasses import dataclass, field

from datasets import load_dataset
from transformers import AutoModelForMaskedLM, AutoTokenizer, HfArgumentParser, Trainer, TrainingArguments

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, cosine_schedule

WAVES = 3
wave = cosine_schedule(0.40, 0.15)


def waves(progress: float) -> float:
    """The rate: a cosine from 40 % to 15 %, restarted at each third of training."""
    return wave(WAVES * progress % 1.0) if progress < 1 else wave(1.0)


@dataclass
class Arguments:
    text_file: str = field(metadata={"help": "One text per line."})
    model: str = field(default="bert-base-cased", metadata={"help": "An encoder, by name or path."})
    max_length: int = field(default=128, metadata={"help": "The maximum number of tokens per text."})


def main() -> Trainer:
    arguments, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    texts = load_dataset("text", data_files=arguments.text_file, split="train")
    data = texts.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=arguments.max_length), batched=True
    )
    trainer = Trainer(
        AutoModelForMaskedLM.from_pretrained(arguments.model),
        training,
        train_dataset=data,
        data_collator=DataCollatorForDynamicMasking(tokenizer),
        processing_class=tokenizer,
        callbacks=[MaskRateCallback(waves)],
    )
    trainer.train()
    for entry in trainer.state.log_history:
        if "mask_rate" in entry:
            print(f"step {entry['step']}: {entry['mask_rate']:.1%} masked, loss {float(entry['loss']):.3f}")
    return trainer


if __name__ == "__main__":
    main()
