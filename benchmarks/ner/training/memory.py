"""Peak memory of a training."""

from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import torch
from accelerate.utils import gather_object


class PeakMemory:
    """Measures the peak memory in this context: the memory of the device on CUDA, otherwise that of the process."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.peak_bytes = 0

    def __enter__(self) -> "PeakMemory":
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self.measure = _reset_resident_peak()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        on_cuda = self.device.type == "cuda"
        self.peak_bytes = torch.cuda.max_memory_allocated(self.device) if on_cuda else _resident_peak(self.measure)

    def summary(self) -> dict[str, Any]:
        """Returns `peak_bytes_total` and `peak_bytes_max` over ranks, and the `measure`; a collective call."""
        ranks = gather_object([self.peak_bytes])
        measure = "cuda allocated" if self.device.type == "cuda" else self.measure
        return {"peak_bytes_total": sum(ranks), "peak_bytes_max": max(ranks), "measure": measure}


def _reset_resident_peak() -> str:
    """Resets the peak memory of this process on Linux; elsewhere, the memory at the end is measured instead."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return "resident at the end"
    return "resident peak"


def _resident_peak(measure: str) -> int:
    if measure == "resident at the end":
        return psutil.Process().memory_info().rss
    status = Path("/proc/self/status").read_text()
    (peak,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak.split()[1]) * 1024
