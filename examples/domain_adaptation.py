"""Adapts a masked language model to the text of a domain, and scores held-out text before and after.

Two tenths of the texts are held out. One is for validation during training: choose settings by its loss. The other is
for the scores, so choose nothing by these. They are pseudo-log-likelihoods in nats per token; `held_out.csv` in the
output folder has the scores of each text. docs/tutorial.md explains this program.

    python examples/domain_adaptation.py --text_file corpus.txt --model bert-base-uncased --output_dir out
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForMaskedLM, AutoTokenizer, HfArgumentParser, Trainer, TrainingArguments

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    MaskRateCallback,
    linear_schedule,
    pseudo_log_likelihood,
    sparse_prediction,
)

FEWEST = 10  # texts, so that each part has one


@dataclass
class Arguments:
    text_file: str = field(metadata={"help": "One text per line."})
    model: str = field(default="bert-base-uncased", metadata={"help": "A masked language model, by name or path."})
    max_length: int = field(default=128, metadata={"help": "The maximum number of tokens per text."})
    first_rate: float = field(default=0.30, metadata={"help": "The mask rate at the beginning."})
    last_rate: float = field(default=0.15, metadata={"help": "The mask rate at the end, and of evaluation."})
    split_seed: int = field(default=0, metadata={"help": "Which texts are held out, whatever the seed of training."})


def split(text_file: str, seed: int) -> Mapping[str, Dataset]:
    """The texts to train on, to validate with and to score. No text is in two of them: repeated lines count once."""
    lines = Path(text_file).read_text(encoding="utf-8").splitlines()
    texts = Dataset.from_dict({"text": [line for line in dict.fromkeys(lines) if line.strip()]})
    if len(texts) < FEWEST:
        raise SystemExit(f"`text_file` must have at least {FEWEST} different texts, but has {len(texts)}. Add some.")
    parts = texts.train_test_split(0.2, seed=seed)
    held_out = parts["test"].train_test_split(0.5, seed=seed)
    return {"train": parts["train"], "validation": held_out["train"], "test": held_out["test"]}


def main() -> Trainer:
    arguments, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    if not Path(arguments.text_file).is_file():
        raise SystemExit(f"`text_file` must be a file, but there is none at {arguments.text_file!r}. Check the path.")
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForMaskedLM.from_pretrained(arguments.model)
    data = {
        name: texts.map(lambda rows: tokenizer(rows["text"], truncation=True, max_length=arguments.max_length))
        for name, texts in split(arguments.text_file, arguments.split_seed).items()
    }
    schedule = linear_schedule(arguments.first_rate, arguments.last_rate)
    trainer = Trainer(
        model,
        training,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        data_collator=DataCollatorForDynamicMasking(tokenizer, seed=training.seed),
        processing_class=tokenizer,
        callbacks=[MaskRateCallback(schedule, eval_mlm_probability=arguments.last_rate)],
    )
    print(f"scoring {len(data['test'])} held-out texts, before training and after it ...", flush=True)
    before = pseudo_log_likelihood(model, tokenizer, data["test"])
    with sparse_prediction(model):  # less work, the same losses
        trainer.train()
    trainer.save_model()
    after = pseudo_log_likelihood(model, tokenizer, data["test"])
    means = {"before": before.scores / before.num_tokens.clip(1), "after": after.scores / after.num_tokens.clip(1)}
    Dataset.from_dict({"text": data["test"]["text"], **means}).to_csv(Path(training.output_dir, "held_out.csv"))
    print(f"pseudo-perplexity: {before.pseudo_perplexity:.1f} before, {after.pseudo_perplexity:.1f} after")
    print(f"{(means['after'] > means['before']).mean():.1%} of {len(before.scores)} held-out texts are more likely")
    return trainer


if __name__ == "__main__":
    main()
