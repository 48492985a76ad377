"""Loads and validates sentences, and encodes them as model inputs."""
