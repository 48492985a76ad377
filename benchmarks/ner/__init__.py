"""Measures named entity recognition after static or dynamic masked language model pre-training."""
