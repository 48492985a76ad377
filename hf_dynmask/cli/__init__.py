"""The command `hf-dynmask`, which shows masks and schedules."""
