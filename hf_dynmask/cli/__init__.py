"""The command `hf-dynmask`: masks and schedules, to be looked at."""
