"""Ragged arrays, counter-based draws, shared memory, checks of arguments: what everything else rests on."""
