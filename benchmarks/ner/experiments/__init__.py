"""Defines, launches and stores experiments: cells, grids, launches and result files."""
