"""How much is masked: schedules, which are functions of training progress, and distributions."""
