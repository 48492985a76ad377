"""Examples to flat arrays, flat arrays to a batch; no randomness."""
