"""The collators: examples in, batch out."""
