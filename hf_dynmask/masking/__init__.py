"""The pure functions: mask = f(seed, example, pattern, rate, strategy)."""
