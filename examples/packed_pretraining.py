"""Continued pre-training without work on padding, and with logits at labeled tokens only.

Several texts share a row, and no token attends to another text. The losses are those of padded batches with all logits,
and short texts train several times as fast. Needs transformers 5.

    python examples/packed_pretraining.py --text_file corpus.txt --model bert-base-cased --output_dir out
"""

from __future__ import annotations

from dataclasses import dataclass, field

from datasets import load_dataset
from transformers import AutoModelForMaskedLM, AutoTokenizer, HfArgumentParser, Trainer, TrainingArguments

from hf_dynmask import (
    ArrowRows,
    DataCollatorForDynamicMasking,
    MaskRateCallback,
    packed_attention,
    sparse_prediction,
)


@dataclass
class Arguments:
    text_file: str = field(metadata={"help": "One text per line."})
    model: str = field(default="bert-base-cased", metadata={"help": "An encoder, by name or path."})
    max_length: int = field(default=128, metadata={"help": "The maximum number of tokens per text."})
    rate: float = field(default=0.30, metadata={"help": "The mask rate, also of evaluation."})


def main() -> Trainer:
    arguments, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForMaskedLM.from_pretrained(arguments.model)
    texts = load_dataset("text", data_files=arguments.text_file, split="train")
    data = texts.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=arguments.max_length),
        batched=True,
        remove_columns="text",
    ).train_test_split(0.1, seed=training.seed)
    trainer = Trainer(
        model,
        training,
        train_dataset=ArrowRows(data["train"]),
        eval_dataset=ArrowRows(data["test"]),
        data_collator=DataCollatorForDynamicMasking(tokenizer, arguments.rate, packing=packed_attention(model)),
        processing_class=tokenizer,
        callbacks=[MaskRateCallback(eval_mlm_probability=arguments.rate)],
    )
    with sparse_prediction(model):
        trainer.train()
    trainer.save_model()
    print(trainer.evaluate())
    return trainer


if __name__ == "__main__":
    main()
