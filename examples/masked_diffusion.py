"""A masked diffusion language model: each sequence draws its own mask rate, and its loss is weighted by 1 / rate.

The bound on the likelihood that masked diffusion models train on (Sahoo et al. 2024, MDLM; Nie et al. 2025, LLaDA) is

    E over t ~ U(0, 1) of  1 / t * sum over masked tokens of  -log p(token | masked text)

The rate travels with the batch: `return_mask_rate=True` adds it, the model returns it with its outputs, and
`compute_loss_func` reads it.

    python examples/masked_diffusion.py --text_file corpus.txt --model bert-base-cased --output_dir out
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from datasets import load_dataset
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, BertForMaskedLM, HfArgumentParser, Trainer, TrainingArguments

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, uniform_rate

LOWEST_RATE = 1e-3  # as LLaDA's: 1 / rate stays finite


class BertForMaskedDiffusion(BertForMaskedLM):
    """BERT whose outputs carry each sequence's mask rate and length. `Trainer` keeps what `forward` names."""

    def forward(self, input_ids=None, attention_mask=None, labels=None, mask_rate=None):
        outputs = super().forward(input_ids=input_ids, attention_mask=attention_mask)
        outputs["mask_rate"], outputs["length"] = mask_rate, attention_mask.sum(1)
        return outputs


def diffusion_loss(
    outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None, gradient_accumulation_steps: int = 1
) -> torch.Tensor:
    """The bound, in nats a token: the loss of the masked tokens over `rate * length`, averaged over sequences.

    [CLS] and [SEP] count as tokens, though they are never masked. `Trainer` leaves it to `compute_loss_func` to average
    over the batches that one step accumulates.
    """
    losses = cross_entropy(outputs["logits"].transpose(1, 2).float(), labels, reduction="none")
    loss = (losses.sum(1) / (outputs["mask_rate"] * outputs["length"])).mean()
    return loss / gradient_accumulation_steps if torch.is_grad_enabled() else loss


def collator_for(tokenizer: Any, seed: int | None = None) -> DataCollatorForDynamicMasking:
    """Every masked token becomes [MASK]; the rates of a batch are spread evenly, for less noise in the loss."""
    return DataCollatorForDynamicMasking(
        tokenizer,
        mlm_probability=uniform_rate(LOWEST_RATE, 1.0, low_discrepancy=True),
        min_masked=0,  # a token that is masked for sure would count 1 / rate times
        mask_replace_prob=1.0,
        random_replace_prob=0.0,
        return_mask_rate=True,
        seed=seed,
    )


def trainer_for(model: Any, tokenizer: Any, training: TrainingArguments, train: Any, test: Any) -> Trainer:
    """A `Trainer` on tokenized texts. Evaluation draws each text's rate once, so that losses can be compared."""
    training.average_tokens_across_devices = False  # the loss is no sum over a number of labels
    return Trainer(
        model,
        training,
        train_dataset=train,
        eval_dataset=test,
        data_collator=collator_for(tokenizer),
        compute_loss_func=partial(diffusion_loss, gradient_accumulation_steps=training.gradient_accumulation_steps),
        callbacks=[MaskRateCallback(eval_mlm_probability=uniform_rate(LOWEST_RATE, 1.0))],
    )


@dataclass
class Arguments:
    text_file: str = field(metadata={"help": "One text per line."})
    model: str = field(default="bert-base-cased", metadata={"help": "A BERT, by name or path."})
    max_length: int = field(default=128, metadata={"help": "The maximum number of tokens per text."})


def main() -> None:
    arguments, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    texts = load_dataset("text", data_files=arguments.text_file, split="train")
    data = texts.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=arguments.max_length), batched=True
    ).train_test_split(0.1, seed=training.seed)
    model = BertForMaskedDiffusion.from_pretrained(arguments.model)
    trainer = trainer_for(model, tokenizer, training, data["train"], data["test"])
    trainer.train()
    print(trainer.evaluate())


if __name__ == "__main__":
    main()
