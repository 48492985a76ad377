"""A masked diffusion language model: each sequence draws its own mask rate, and its loss is weighted by 1 / rate.

The loss is the bound on the likelihood that masked diffusion models train on (Sahoo et al. 2024, MDLM; Nie et al. 2025,
LLaDA), in nats per token: see `masked_diffusion_loss`. `generate` samples from the model, from masked tokens only.

    python examples/masked_diffusion.py --text_file corpus.txt --model bert-base-cased --output_dir out
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import load_dataset
from transformers import AutoModelForMaskedLM, AutoTokenizer, HfArgumentParser, TrainingArguments

from hf_dynmask import DataCollatorForDynamicMasking, MaskedDiffusionTrainer, MaskRateCallback, uniform_rate

LOWEST_RATE = 1e-3  # as LLaDA's: the variance of 1 / rate stays finite


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


def trainer_for(model: Any, tokenizer: Any, training: TrainingArguments, train: Any, test: Any) -> Any:
    """A `Trainer` on tokenized texts. Evaluation draws each text's rate once, so that losses can be compared."""
    return MaskedDiffusionTrainer(
        model,
        training,
        train_dataset=train,
        eval_dataset=test,
        data_collator=collator_for(tokenizer),
        callbacks=[MaskRateCallback(eval_mlm_probability=uniform_rate(LOWEST_RATE, 1.0))],
    )


@torch.no_grad()
def generate(
    model: Any,
    tokenizer: Any,
    length: int,
    steps: int,
    temperature: float = 1.0,
    seed: int = 0,
    low_confidence_remasking: bool = False,
) -> str:
    """A text of `length` tokens, revealed in `steps` steps.

    At time `t`, the model predicts all tokens that are still masked. Each is revealed with the probability
    `(t - s) / t`, where `s` is the next time, and stays as it is from then on (Sahoo et al. 2024, MDLM). With
    `low_confidence_remasking`, the most probable ones are revealed instead, equally many in each step (LLaDA).
    """
    generator = torch.Generator().manual_seed(seed)
    model = model.eval()
    around = tokenizer("")["input_ids"]  # such as [CLS] and [SEP], or an end of sequence only
    half = len(around) // 2
    ids = torch.tensor([[*around[:half], *[tokenizer.mask_token_id] * length, *around[half:]]])
    for step in range(steps, 0, -1):  # t = step / steps, so (t - s) / t = 1 / step
        masked = (ids == tokenizer.mask_token_id).nonzero(as_tuple=True)
        if not len(masked[0]):
            break
        logits = model(input_ids=ids.to(model.device)).logits[masked].float().cpu()
        logits[:, tokenizer.all_special_ids] = -torch.inf  # they are never masked, so the model has not learned them
        probs = (logits / temperature).softmax(-1)
        drawn = probs.multinomial(1, generator=generator)
        if low_confidence_remasking:
            revealed = probs.gather(1, drawn)[:, 0].topk(math.ceil(len(drawn) / step)).indices
        else:
            revealed = (torch.rand(len(drawn), generator=generator) < 1 / step).nonzero()[:, 0]
        rows, positions = masked
        ids[rows[revealed], positions[revealed]] = drawn[revealed, 0]
    return tokenizer.decode(ids[0], skip_special_tokens=True)


@dataclass
class Arguments:
    text_file: str = field(metadata={"help": "One text per line."})
    model: str = field(default="bert-base-cased", metadata={"help": "A masked language model, by name or path."})
    max_length: int = field(default=128, metadata={"help": "The maximum number of tokens per text."})
    sample_length: int = field(default=16, metadata={"help": "The number of tokens of a sample."})
    samples: int = field(default=5, metadata={"help": "The number of samples to print."})


def main() -> None:
    arguments, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    texts = load_dataset("text", data_files=arguments.text_file, split="train")
    data = texts.map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=arguments.max_length),
        batched=True,
        remove_columns=["text"],
    ).train_test_split(0.1, seed=training.seed)
    model = AutoModelForMaskedLM.from_pretrained(arguments.model)
    trainer = trainer_for(model, tokenizer, training, data["train"], data["test"])
    trainer.train()
    print(trainer.evaluate())
    for seed in range(arguments.samples):
        print(generate(model, tokenizer, arguments.sample_length, steps=arguments.sample_length, seed=seed))


if __name__ == "__main__":
    main()
