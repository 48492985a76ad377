"""Trains on the bound of masked diffusion. `accelerate launch` runs it with the folder of a tokenizer, on 2 ranks."""

from __future__ import annotations

import json
import sys
from typing import Any

from accelerate import PartialState
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, TrainingArguments, set_seed

from benchmarks.ner.experiments.distributed import exit_all_ranks
from hf_dynmask import DataCollatorForDynamicMasking, MaskedDiffusionTrainer, MaskRateCallback, uniform_rate
from support.corpora import Numbered


def small_bert(vocabulary: int) -> BertForMaskedLM:
    set_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForMaskedLM(BertConfig(vocab_size=vocabulary, max_position_embeddings=32, **sizes, **dropout))


def trained(folder: str, batch_size: int) -> dict[str, Any]:
    """The losses of 2 epochs of 2 steps, the second of which has 1 batch instead of 2, and the sum of the weights."""
    tokenizer, rate = AutoTokenizer.from_pretrained(folder), uniform_rate(1e-3, 1.0)
    arguments = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1}
    arguments |= {"optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 0.0, "num_train_epochs": 2}
    arguments |= {"gradient_accumulation_steps": 2, "average_tokens_across_devices": True}
    arguments |= {"per_device_train_batch_size": batch_size, "per_device_eval_batch_size": batch_size}
    trainer = MaskedDiffusionTrainer(
        small_bert(len(tokenizer)),
        TrainingArguments(folder, dataloader_pin_memory=False, **arguments),
        train_dataset=Numbered(12),
        eval_dataset=Numbered(12),
        data_collator=DataCollatorForDynamicMasking(
            tokenizer, rate, seed=7, min_masked=0, mask_replace_prob=1.0, random_replace_prob=0.0, return_mask_rate=True
        ),
        callbacks=[MaskRateCallback(eval_mlm_probability=rate, audit="every_step")],
    )
    trainer.train()
    return {
        "loss": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "eval_loss": trainer.evaluate()["eval_loss"],
        "weights": sum(weight.double().abs().sum().item() for weight in trainer.model.parameters()),
    }


if __name__ == "__main__":
    result = trained(sys.argv[1], batch_size=2)
    if PartialState().is_main_process:
        print("TRAINED", json.dumps({**result, "ranks": PartialState().num_processes}))
    exit_all_ranks(0)
