"""Pixels on disk and over HTTP: the only part of Revisit that knows GDAL.

grid      where the pixels of an array lie, and which of them are in an AOI
gdal      GDAL set up with its doors shut
opening   every band file is opened there
failure   what GDAL's errors mean
remote    COGs over HTTP without GDAL: ranges, tiff
reader    bands of a product over an AOI on one grid
resample  from one grid of a CRS to another
writer    Cloud Optimized GeoTIFFs
stored    ... read back
preview   PNGs to look at
"""
