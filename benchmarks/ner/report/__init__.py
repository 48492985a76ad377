"""What a folder of results says, for a terminal, as Markdown and as one page: `python -m benchmarks.ner.report DIR`."""
