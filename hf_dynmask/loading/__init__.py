"""Which batch of its epoch a batch is: the loaders whose batches know their position."""
