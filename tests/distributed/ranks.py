"""Run by `accelerate launch`: where each rank's collators put their masks, and the weights of adaptive masks.

The first rank prints those of all as JSON.
"""

import json
import sys

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from transformers import AutoTokenizer, DataCollatorForLanguageModeling, set_seed

from benchmarks.ner.experiments.distributed import exit_all_ranks
from hf_dynmask import DataCollatorForDynamicMasking

BATCHES, ROWS, LENGTH = 6, 4, 64


def _masked(collator, rank: int) -> list[list[bool]]:
    """The masked places of each batch; ranks have other examples of the same shape, and the same global seed."""
    set_seed(0)
    generator = torch.Generator().manual_seed(rank)
    ids = torch.randint(5, 45, (BATCHES, ROWS, LENGTH), generator=generator)
    return [(collator([{"input_ids": row} for row in batch])["labels"] != -100).flatten().tolist() for batch in ids]


def _weights(tokenizer, rank: int) -> tuple[dict, list[float]]:
    """The state and the weights of ids after an epoch in which each rank noted other losses."""
    losses = DataCollatorForDynamicMasking(tokenizer, strategy="adaptive").losses
    losses.start_epoch(0)
    generator = torch.Generator().manual_seed(rank)
    for _ in range(3):
        logits = torch.randn(ROWS, LENGTH, len(tokenizer), generator=generator, requires_grad=True)
        losses.compute_loss({"logits": logits}, torch.randint(5, 45, (ROWS, LENGTH), generator=generator))
        losses.synchronize()
    losses.start_epoch(1)
    return losses.state_dict(), losses._token_weights(len(tokenizer)).tolist()


state = PartialState(cpu=True)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
announced = DataCollatorForDynamicMasking(tokenizer, seed=0)
announced.set_epoch(0)
collators = {
    "stock": DataCollatorForLanguageModeling(tokenizer),
    "epoch unknown": DataCollatorForDynamicMasking(tokenizer),
    "epoch known": announced,
}
seen = {name: gather_object([_masked(collator, state.process_index)]) for name, collator in collators.items()}
seen["adaptive"] = gather_object([_weights(tokenizer, state.process_index)])
if state.is_main_process:
    print("RANKS", json.dumps(seen))
exit_all_ranks(0)
