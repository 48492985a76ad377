"""Trainer's events and loaders, turned into what batches are asked for, and the audit of what the model is given."""
