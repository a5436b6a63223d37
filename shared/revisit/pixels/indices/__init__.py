"""Spectral indices: one value for each pixel, computed from the reflectance of some bands.

Names follow the Awesome Spectral Indices catalogue.
"""

from revisit.pixels.indices.awesome_indices import CATALOGUE_VERSION
from revisit.pixels.indices.blocks import compute_masked, reflectance
from revisit.pixels.indices.index import Index, find_indices, index, names, resolve

__all__ = [
    "CATALOGUE_VERSION",
    "Index",
    "compute_masked",
    "find_indices",
    "index",
    "names",
    "reflectance",
    "resolve",
]
