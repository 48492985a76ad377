"""Many batches through one collator and two persistent workers, as a program of its own: `soak.py TOKENIZER BATCHES`.

Prints as JSON what is resident, in bytes, of the program and its workers along the way, and what is left of the loader
once it is gone. After Ctrl-C it leaves as Python does.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch
from torch.utils.data import DataLoader
from transformers import AutoTokenizer

from hf_dynmask import DataCollatorForDynamicMasking, linear_schedule
from support.corpora import Numbered

EPOCH = 1000  # batches


def processes() -> set[psutil.Process]:
    """Those that this one has started, and their own: a fork server starts the workers."""
    return set(psutil.Process().children(recursive=True))


def resident() -> int:
    return sum(process.memory_info().rss for process in (psutil.Process(), *processes()))


def shared_memory_segments() -> list[str]:
    """Those named after this process or its workers."""
    folder = Path("/dev/shm")
    return [path.name for path in folder.glob(f"torch_{os.getpid()}_*")] if folder.is_dir() else []


def open_files() -> int:
    return psutil.Process().num_fds()


def batches(tokenizer, epochs: int) -> Iterator[int]:
    """What is resident after each epoch."""
    collator = DataCollatorForDynamicMasking(tokenizer, linear_schedule(0.3, 0.1), strategy="whole_word")
    loader = DataLoader(
        Numbered(40),
        batch_size=4,
        sampler=[i % 40 for i in range(4 * EPOCH)],
        num_workers=2,
        collate_fn=collator,
        persistent_workers=True,
    )
    for epoch in range(epochs):
        collator.start_epoch(loader, epoch, total_steps=epochs * EPOCH)
        for batch in loader:
            assert (batch["labels"] != -100).any()
        gc.collect()
        print("EPOCH", epoch, file=sys.stderr, flush=True)
        yield resident()


def main(tokenizer: str, number: int) -> None:
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer)
    DataCollatorForDynamicMasking(tokenizer)  # multiprocessing opens the pool that all collators share, and keeps it
    process = multiprocessing.Process(target=gc.collect)  # so it does with a fork server, where that is how they start
    process.start()
    process.join()
    process.close()
    before, kept = open_files(), processes()
    along = list(batches(tokenizer, number // EPOCH))
    gc.collect()
    deadline = time.monotonic() + 20
    while open_files() > before and time.monotonic() < deadline:  # queues close their files from threads of their own
        time.sleep(0.1)
    left = {
        "files": open_files() - before,
        "processes": len(processes() - kept),
        "segments": shared_memory_segments(),
    }
    print(json.dumps({"resident": along, "left": left}))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    main(sys.argv[1], int(sys.argv[2]))
