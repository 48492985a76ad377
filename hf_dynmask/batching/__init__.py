"""Converts examples to flat arrays and flat arrays to a batch, without randomness."""
