"""How large the rasters may be that are read; `read_estimate` refuses orders by the same numbers."""

MAX_PIXELS = 12_000**2
"""Pixels of one band, and of one job's grid. A Sentinel-2 band has at most 10,980 x 10,980."""
MAX_BLOCK_BYTES = 64 * 2**20
"""Bytes of one decoded tile or strip: GDAL decodes a block whole."""
MAX_DECODED_BYTES = 2 * 10**9
"""Bytes of pixels that one read may hold at once, source and result."""
