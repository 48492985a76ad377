"""What token ids mean: which are special, and where words begin."""
