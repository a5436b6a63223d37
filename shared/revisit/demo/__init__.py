"""A synthetic archive to try Revisit on: one area, one season, real formats, invented pixels."""

from revisit.demo.archive import make_archive

__all__ = ["make_archive"]
