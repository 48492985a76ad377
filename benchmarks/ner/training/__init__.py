"""Pre-trains and fine-tunes one arm, and measures the quality, speed and memory of both stages."""
