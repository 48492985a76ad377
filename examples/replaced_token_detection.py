"""Replaced-token detection (ELECTRA, Clark et al. 2020) from scratch: a small generator and the model to train.

The generator, a masked language model, predicts the masked tokens. Tokens sampled from its predictions replace them,
and the discriminator tells for each token whether it was replaced, so it learns from all tokens of a text. The loss is

    loss of the generator + 50 * loss of the discriminator

The samples are as reproducible as the masks: they follow from the logits, the seed, the text and the epoch. The two
models do not share their embeddings here, so that `Trainer` can save them in one file.

    python examples/replaced_token_detection.py --text_file corpus.txt --output_dir out
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import load_dataset
from transformers import (
    AutoTokenizer,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    HfArgumentParser,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, replaced_token_batch, sparse_prediction


class GeneratorAndDiscriminator(torch.nn.Module):
    """Both models and their loss."""

    def __init__(self, generator: ElectraForMaskedLM, discriminator: ElectraForPreTraining, seed: int) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.seed, self.epoch = seed, 0

    def forward(self, input_ids, attention_mask=None, labels=None):
        batch = {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
        generated = self.generator(**batch)
        epoch = self.epoch if self.training else 0
        replaced = replaced_token_batch(batch, generated.logits, seed=self.seed, epoch=epoch)
        detected = self.discriminator(**replaced)
        return {"loss": generated.loss + 50 * detected.loss, "logits": detected.logits, "replaced": replaced["labels"]}


class SampleNewTokens(TrainerCallback):
    """Samples other tokens in each epoch."""

    def on_epoch_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        model.epoch = int(state.epoch)


@dataclass
class Arguments:
    text_file: str = field(metadata={"help": "One text per line."})
    tokenizer: str = field(default="google/electra-small-discriminator", metadata={"help": "By name or path."})
    max_length: int = field(default=128, metadata={"help": "The maximum number of tokens per text."})
    rate: float = field(default=0.15, metadata={"help": "The mask rate, also of evaluation."})
    num_layers: int = field(default=12, metadata={"help": "The layers of each model."})
    heads: int = field(default=4, metadata={"help": "The attention heads of the discriminator, 64 dimensions each."})
    generator_heads: int = field(default=1, metadata={"help": "The attention heads of the generator."})


def config_for(tokenizer: Any, arguments: Arguments, heads: int) -> ElectraConfig:
    return ElectraConfig(
        vocab_size=len(tokenizer),
        embedding_size=64,
        hidden_size=64 * heads,
        num_hidden_layers=arguments.num_layers,
        num_attention_heads=heads,
        intermediate_size=256 * heads,
        max_position_embeddings=arguments.max_length,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )


def main() -> Trainer:
    arguments, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    texts = load_dataset("text", data_files=arguments.text_file, split="train")
    data = texts.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=arguments.max_length), batched=True
    ).train_test_split(0.1, seed=training.seed)
    torch.manual_seed(training.seed)
    generator = ElectraForMaskedLM(config_for(tokenizer, arguments, arguments.generator_heads))
    discriminator = ElectraForPreTraining(config_for(tokenizer, arguments, arguments.heads))
    trainer = Trainer(
        GeneratorAndDiscriminator(generator, discriminator, training.seed),
        training,
        train_dataset=data["train"],
        eval_dataset=data["test"],
        data_collator=DataCollatorForDynamicMasking(tokenizer),
        processing_class=tokenizer,
        callbacks=[MaskRateCallback(arguments.rate, eval_mlm_probability=arguments.rate), SampleNewTokens()],
    )
    with sparse_prediction(generator):
        trainer.train()
    discriminator.save_pretrained(training.output_dir)
    tokenizer.save_pretrained(training.output_dir)
    print(trainer.evaluate())
    return trainer


if __name__ == "__main__":
    main()
