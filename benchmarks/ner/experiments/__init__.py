"""What a run is and how it is started: cells, grids, launches, and the results that they leave on disk."""
