"""What a model computes on a batch of masked tokens: logits at labels only, and attention within packed sequences."""
