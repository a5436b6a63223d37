"""Revisit watches places on Earth through Sentinel-2."""

__version__ = "0.1.0"
