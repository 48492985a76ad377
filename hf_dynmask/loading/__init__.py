"""Which batch of its epoch is this: `DataLoader`s whose batches know their position."""
