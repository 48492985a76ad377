"""Benchmarks the speed of collators, ours and the stock one, with pytest-benchmark: `tox -e bench`."""
