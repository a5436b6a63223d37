"""Reads and writes rasters: the only package that uses GDAL.

band_reader    the interface of an open band
open_band      opens a band file, after checking its address and header
remote_cog     COGs over HTTP without GDAL, on http_ranges and tiff_header
read_plan      bands of a product over an AOI on one grid
mosaic         several products over an AOI as one, on aligned_band
resample       from one grid to another in the same CRS; reproject between two CRSs
grid           which pixels are inside an AOI
write_cog      writes Cloud Optimized GeoTIFFs; read_cog reads them back
preview        writes PNG previews
jp2            writes JPEG 2000, for the demo
gdal           GDAL's configuration; errors classifies what it raises
"""
