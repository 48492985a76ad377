"""Measures masking on the device of the batch: `python -m benchmarks.speed.on_device`.

The reference is a copy of the same bytes. The minimum is two copies, because masking reads ids and writes masked ids
and labels. The functions run in turn, so that the load of the machine affects all of them equally.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from transformers import PreTrainedTokenizerFast

from benchmarks.speed import batches
from hf_dynmask import DataCollatorForDynamicMasking
from hf_dynmask.on_device import DevicePlan, device_plan, mask_tokens

TOKENS = 1 << 20
Step = Callable[[], tuple[torch.Tensor, ...]]


def main() -> None:
    arguments = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = batches.tokenizer()
    plan = device_plan(tokenizer, device)
    input_ids = random_batch(arguments.length).to(device)
    steps = masking_steps(input_ids, plan)
    expected = _collated(tokenizer, input_ids)
    for name, step in steps.items():  # the first call also compiles
        if name != "copy" and not all(map(torch.equal, (part.cpu() for part in step()), expected)):
            raise SystemExit(f"{name}: the masks differ from those of the collator.")
    print(f"{_named(device)}, torch {torch.__version__}: median of {arguments.repeats}, {TOKENS:,} tokens, ms")
    medians = medians_of(steps, arguments.repeats, device)
    for name, median in medians.items():
        print(f"{name:>10} {1000 * median:9.3f} {median / medians['copy']:8.1f} copies")
    print("the masks are equal to those of the collator, bit by bit")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=512, help="tokens per sequence, a divisor of 2**20")
    parser.add_argument("--repeats", type=int, default=20)
    return parser.parse_args()


def random_batch(length: int) -> torch.Tensor:
    """Returns int64 `[batch, length]`, with up to a tenth of each sequence as padding."""
    generator = torch.Generator().manual_seed(0)
    shape = TOKENS // length, length
    input_ids = torch.randint(len(batches.SPECIAL), batches.VOCABULARY_SIZE, shape, generator=generator)
    lengths = torch.randint(length - length // 10, length + 1, (shape[0], 1), generator=generator)
    return input_ids.masked_fill(torch.arange(length) >= lengths, batches.PAD)


def masking_steps(input_ids: torch.Tensor, plan: DevicePlan) -> dict[str, Step]:
    compiled = torch.compile(mask_tokens, fullgraph=True)
    epoch = torch.zeros((), dtype=torch.int64, device=input_ids.device)
    return {
        "copy": lambda: (input_ids.clone(),),
        "eager": lambda: mask_tokens(input_ids, plan, epoch=epoch),
        "compiled": lambda: compiled(input_ids, plan, epoch=epoch),
    }


def _collated(tokenizer: PreTrainedTokenizerFast, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    collator = DataCollatorForDynamicMasking(tokenizer)
    collator.set_epoch(0)
    batch = collator(list(input_ids.cpu().numpy()))
    return batch["input_ids"], batch["labels"]


def medians_of(steps: dict[str, Step], repeats: int, device: torch.device) -> dict[str, float]:
    """Returns seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            seconds[name].append(_timed(step, device))
    return {name: statistics.median(times) for name, times in seconds.items()}


def _timed(step: Step, device: torch.device) -> float:
    if device.type != "cuda":
        begin = time.perf_counter()
        step()
        return time.perf_counter() - begin
    begins, ends = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    begins.record()
    step()
    ends.record()
    torch.cuda.synchronize(device)
    return begins.elapsed_time(ends) / 1000


def _named(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
