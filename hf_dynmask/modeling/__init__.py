"""The computations of a model on masked tokens: logits at labels only, and attention within packed sequences."""
