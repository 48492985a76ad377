"""Every public name says what it takes, gives and refuses, and shows itself in a doctest."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from typing import Any

import pytest

import hf_dynmask
from hf_dynmask import on_device, strategies

NO_FUNCTIONS = ("strategies", "on_device", "MaskAuditError")
PUBLIC: dict[str, Any] = {
    **{name: getattr(hf_dynmask, name) for name in hf_dynmask.__all__ if name not in NO_FUNCTIONS},
    **{f"strategies.{name}": getattr(strategies, name) for name in strategies.__all__ if name != "STRATEGIES"},
    "on_device.mask_tokens": on_device.mask_tokens,
}


@pytest.mark.parametrize("name", PUBLIC)
def test_it_says_what_it_takes(name) -> None:
    parameters = inspect.signature(PUBLIC[name]).parameters
    text = inspect.getdoc(PUBLIC[name]) or ""
    unsaid = [each for each in parameters if f"\n    {each}: " not in text and f"`{each}" not in text]
    assert text
    assert not unsaid


@pytest.mark.parametrize("name", PUBLIC)
def test_it_shows_itself(name) -> None:
    found = doctest.DocTestFinder(recurse=False).find(PUBLIC[name], name)
    assert any(test.examples for test in found)


@pytest.mark.parametrize("name", PUBLIC)
def test_it_says_what_it_refuses(name) -> None:
    source, text = inspect.getsource(PUBLIC[name]), inspect.getdoc(PUBLIC[name]) or ""
    checks = any(word in source for word in ("raise ", "checked_", "resolve_strategy(", "_interval("))
    assert not checks or "Raises:" in text or "ValueError" in text


def test_names_at_the_top() -> None:
    assert {"Strategy", "mask_tokens", "on_device"} <= set(hf_dynmask.__all__) <= set(dir(hf_dynmask))
    assert hf_dynmask.Strategy is strategies.Strategy
    assert hf_dynmask.on_device is on_device


def test_an_import_is_cheap() -> None:
    program = """
import sys
import hf_dynmask
heavy = {"accelerate", "numpy", "torch", "transformers"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from hf_dynmask import DataCollatorForDynamicMasking
late = {f"hf_dynmask.{name}" for name in ("on_device", "masking.torch_backend", "core.draws_torch", "trainer.callback")}
assert not late & set(sys.modules), late & set(sys.modules)
assert not {"transformers", "accelerate"} & set(sys.modules)
assert callable(hf_dynmask.on_device.mask_tokens)
assert callable(hf_dynmask.on_device.device_plan)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
