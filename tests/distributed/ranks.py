"""Run by `accelerate launch`: where each rank's collators put their masks, printed by the first rank as JSON."""

import json
import sys

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from transformers import AutoTokenizer, DataCollatorForLanguageModeling, set_seed

from benchmarks.ner.launch import leave
from hf_dynmask import DataCollatorForDynamicMasking

BATCHES, ROWS, LENGTH = 6, 4, 64


def _masked(collator, rank: int) -> list[list[bool]]:
    """The masked places of each batch; ranks have other examples of the same shape, and the same global seed."""
    set_seed(0)
    generator = torch.Generator().manual_seed(rank)
    ids = torch.randint(5, 45, (BATCHES, ROWS, LENGTH), generator=generator)
    return [(collator([{"input_ids": row} for row in batch])["labels"] != -100).flatten().tolist() for batch in ids]


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
if state.is_main_process:
    print("RANKS", json.dumps(seen))
leave(0)
