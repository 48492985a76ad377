"""The examples in the docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest
from transformers import masking_utils

import hf_dynmask

MODULES = [
    module.name
    for module in pkgutil.walk_packages(hf_dynmask.__path__, "hf_dynmask.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name, wordpiece, with_sentinels) -> None:
    if name.endswith("packed_attention") and not hasattr(masking_utils, "create_bidirectional_mask"):
        pytest.skip("transformers 5 or later")
    given = {"tokenizer": wordpiece, "t5_tokenizer": with_sentinels}
    results = doctest.testmod(importlib.import_module(name), extraglobs=given)
    assert not results.failed


def test_there_are_examples() -> None:
    found = [test for name in MODULES for test in doctest.DocTestFinder().find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in found) >= 7
