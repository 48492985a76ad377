"""Ragged arrays, counter-based draws, shared memory, checks of arguments: the basis of all other folders."""
