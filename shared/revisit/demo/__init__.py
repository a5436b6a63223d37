"""A small archive of synthetic Sentinel-2 products to try Revisit on: one place, a season, real formats,
invented pixels."""

from revisit.demo.archive import make_archive

__all__ = ["make_archive"]
