"""Helpers of the harness's tests."""
