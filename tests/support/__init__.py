"""Helpers of the tests of the harness; no test module imports another."""
