"""Continued pre-training with `Trainer`: masks whole words, at a rate that falls during training.

The rates, 30 % at the beginning and 15 % at the end, are those of Ankner et al. 2024, "Dynamic masking rate schedules
for MLM pretraining". The logs contain `mask_rate`, as does TensorBoard with `--report_to tensorboard`.

    python examples/continued_pretraining.py --text_file corpus.txt --model bert-base-cased --output_dir out
"""

from __future__ import annotations

from dataclasses import dataclass, field

from datasets import load_dataset
from transformers import AutoModelForMaskedLM, AutoTokenizer, HfArgumentParser, Trainer, TrainingArguments

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, linear_schedule


@dataclass
class Arguments:
    text_file: str = field(metadata={"help": "One text per line."})
    model: str = field(default="bert-base-cased", metadata={"help": "An encoder, by name or path."})
    max_length: int = field(default=128, metadata={"help": "The maximum number of tokens per text."})
    first_rate: float = field(default=0.30, metadata={"help": "The mask rate at the beginning."})
    last_rate: float = field(default=0.15, metadata={"help": "The mask rate at the end, and of evaluation."})


def main() -> Trainer:
    arguments, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    texts = load_dataset("text", data_files=arguments.text_file, split="train")
    data = texts.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=arguments.max_length), batched=True
    ).train_test_split(0.1, seed=training.seed)
    schedule = linear_schedule(arguments.first_rate, arguments.last_rate)
    trainer = Trainer(
        AutoModelForMaskedLM.from_pretrained(arguments.model),
        training,
        train_dataset=data["train"],
        eval_dataset=data["test"],
        data_collator=DataCollatorForDynamicMasking(tokenizer, strategy="whole_word"),
        processing_class=tokenizer,
        callbacks=[MaskRateCallback(schedule, eval_mlm_probability=arguments.last_rate)],
    )
    trainer.train()
    trainer.save_model()
    print(trainer.evaluate())
    return trainer


if __name__ == "__main__":
    main()
