"""Spectral indices: one value for each pixel, computed from the reflectance of some bands.

Names follow the Awesome Spectral Indices catalogue.
"""

from revisit.pixels.indices.blocks import compute_masked, reflectance
from revisit.pixels.indices.index import Index, index, names, resolve

__all__ = ["Index", "compute_masked", "index", "names", "reflectance", "resolve"]
