"""Measurements of the library. They are not part of the installed package."""
