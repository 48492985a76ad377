"""How much is masked: schedules of training progress, and distributions."""
