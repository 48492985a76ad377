"""Trainer's events turned into plans for its loaders, and the audit of the masks that its model receives."""
