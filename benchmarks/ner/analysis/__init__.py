"""Compares arms over several seeds: pairs of runs, confidence intervals, and verdicts."""
