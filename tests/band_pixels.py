"""Pixels of bands over an AOI: opened and read in one call."""

from revisit.pixels.raster.read_plan import ReadPlan


def read_bands(files, aoi_geometry, resolution_m=None, resampling="bilinear", bands=None, remote=None):
    """Read bands over an AOI; arguments as for `ReadPlan.open`."""
    with ReadPlan.open(files, aoi_geometry, bands, resolution_m, resampling, remote) as plan:
        return plan.read()
