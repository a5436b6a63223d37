"""Spectral indices: one value a pixel from the reflectance of some bands, under the names of the Awesome
Spectral Indices catalogue."""

from revisit.pixels.indices.blocks import compute_masked, reflectance
from revisit.pixels.indices.index import Index, index, names, resolve

__all__ = ["Index", "compute_masked", "index", "names", "reflectance", "resolve"]
