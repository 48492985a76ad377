"""A custom training loop with accelerate: `start_epoch` sets the epoch and the mask rate of each pass.

accelerate launch examples/accelerate_loop.py --text_file corpus.txt --model bert-base-cased --output_dir out
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from datasets import load_dataset
from torch.utils.data import DataLoader
from transformers import AutoModelForMaskedLM, AutoTokenizer, HfArgumentParser

from hf_dynmask import DataCollatorForDynamicMasking, linear_schedule


@dataclass
class Arguments:
    text_file: str = field(metadata={"help": "One text per line."})
    output_dir: str = field(metadata={"help": "The folder for the model."})
    model: str = field(default="bert-base-cased", metadata={"help": "An encoder, by name or path."})
    max_length: int = field(default=128, metadata={"help": "The maximum number of tokens per text."})
    epochs: int = field(default=3, metadata={"help": "The number of passes over the texts."})
    batch_size: int = field(default=16, metadata={"help": "The number of texts per batch, in each process."})
    accumulation: int = field(default=1, metadata={"help": "The number of batches per optimizer step."})
    learning_rate: float = field(default=5e-5, metadata={"help": "The constant learning rate of AdamW."})
    seed: int = field(default=0, metadata={"help": "The seed of the order, the dropout and the masks."})


def main() -> list[float]:
    """Trains, and returns the mean loss of each evaluation, one per epoch."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    set_seed(arguments.seed)
    accelerator = Accelerator(gradient_accumulation_steps=arguments.accumulation)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    texts = load_dataset("text", data_files=arguments.text_file, split="train")
    data = texts.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=arguments.max_length),
        batched=True,
        remove_columns="text",
    ).train_test_split(0.1, seed=arguments.seed)

    collator = DataCollatorForDynamicMasking(tokenizer, linear_schedule(0.30, 0.15), seed=arguments.seed)
    train = DataLoader(data["train"], arguments.batch_size, shuffle=True, collate_fn=collator)
    test = DataLoader(data["test"], arguments.batch_size, collate_fn=collator.for_evaluation(0.15))
    model = AutoModelForMaskedLM.from_pretrained(arguments.model)
    optimizer = torch.optim.AdamW(model.parameters(), arguments.learning_rate)
    model, optimizer, train, test = accelerator.prepare(model, optimizer, train, test)

    steps_an_epoch = -(-len(train) // arguments.accumulation)  # the last step may have fewer batches
    losses = []
    for epoch in range(arguments.epochs):
        collator.start_epoch(train, epoch, arguments.epochs * steps_an_epoch, arguments.accumulation)
        model.train()
        for batch in train:
            with accelerator.accumulate(model):
                accelerator.backward(model(**batch).loss)
                optimizer.step()
                optimizer.zero_grad()
        losses.append(evaluated(accelerator, model, test))
        accelerator.print(f"epoch {epoch}: evaluation loss {losses[-1]:.4f}")
    accelerator.unwrap_model(model).save_pretrained(arguments.output_dir, is_main_process=accelerator.is_main_process)
    return losses


def evaluated(accelerator: Accelerator, model: Any, loader: DataLoader) -> float:
    """The mean loss of batches whose masks are the same each time."""
    model.eval()
    with torch.no_grad():
        losses = [accelerator.gather_for_metrics(model(**batch).loss.repeat(1)) for batch in loader]
    return float(torch.cat(losses).mean())


if __name__ == "__main__":
    main()
