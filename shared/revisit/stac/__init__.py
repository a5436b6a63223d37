"""STAC Items, item search and CQL2."""
