"""Measurements of the library, outside the installed package."""
