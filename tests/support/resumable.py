"""Marks of tests that resume a training: older versions of transformers and accelerate do so otherwise."""

import accelerate
import pytest
import transformers
from packaging.version import Version

transformers_version = Version(transformers.__version__)
accelerate_version = Version(accelerate.__version__)

in_order = pytest.mark.skipif(
    transformers_version < Version("5.17") and Version("1.7") <= accelerate_version < Version("1.15"),
    reason="accelerate 1.7 to 1.14 and transformers before 5.17 go on in the order of the first epoch",
)
with_other_processes = pytest.mark.skipif(
    transformers_version < Version("5.18"),
    reason="transformers before 5.18 cannot load a checkpoint into two CPU processes, and kept its batch size",
)
streams_in_later_passes = pytest.mark.skipif(
    transformers_version < Version("4.57"), reason="Trainer counts a stream's passes as one, and ends there"
)
