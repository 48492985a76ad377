"""The meaning of token ids: which are special, and where words begin."""
