"""Reports a folder of results in a terminal, as Markdown and as HTML: `python -m benchmarks.ner.report DIR`."""
