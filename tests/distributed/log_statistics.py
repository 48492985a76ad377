"""Run by `accelerate launch`: trainings that log statistics, and a recount of what the models of both ranks received.

The first rank prints, for each training, what it logged, the recount, and the steps whose log leaves counts out.
"""

import json
import sys

from accelerate import PartialState
from accelerate.utils import gather_object
from support.corpora import Numbered, Stream
from support.recount import AnyBatch, Recount, statistics
from transformers import AutoTokenizer, Trainer, TrainingArguments

from benchmarks.ner.experiments.distributed import exit_all_ranks
from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback

NAMES = ("step", "masked_fraction", "num_labels", "padding_fraction")


def _trained(folder: str, train, logging_steps: int, **options) -> tuple[list, list]:
    collator = DataCollatorForDynamicMasking(AutoTokenizer.from_pretrained(folder), pad_to_multiple_of=32)
    arguments = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no"}
    trainer = Trainer(
        AnyBatch(),
        TrainingArguments(folder, logging_steps=logging_steps, per_device_train_batch_size=3, **arguments, **options),
        train_dataset=train,
        data_collator=collator,
        callbacks=[MaskRateCallback(0.3, log_statistics=True)],
    )
    recount = Recount(trainer)
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    recounts = gather_object([recount])
    logged = [{name: entry[name] for name in NAMES} for entry in logs if "num_labels" in entry]
    return logged, statistics(recounts, [entry["step"] for entry in logs])


folder = sys.argv[1]
dispatched = {"accelerator_config": {"dispatch_batches": True}}
results = {
    # 4 steps an epoch; with accumulation over 2 batches, the last of them has 1
    "sharded": (
        *_trained(folder, Numbered(40), 2, num_train_epochs=2, gradient_accumulation_steps=2, dataloader_num_workers=1),
        [],
    ),
    # 4 steps of 6 examples an epoch; the last step has 3 of them, which accelerate completes with 1 of the first step
    "dispatched": (*_trained(folder, Stream(21), 1, max_steps=8, **dispatched), [4, 8]),
}
if PartialState().is_main_process:
    print("STATISTICS", json.dumps(results))
exit_all_ranks(0)
