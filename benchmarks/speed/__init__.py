"""How fast collators are: pytest-benchmark files, with the stock collator beside ours. Run by `tox -e bench`."""
