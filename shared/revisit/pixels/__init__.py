"""Rasters, spectral indices, masks and statistics."""
