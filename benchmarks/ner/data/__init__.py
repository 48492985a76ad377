"""Where sentences come from, how they are read and checked, and how they become what a model reads."""
