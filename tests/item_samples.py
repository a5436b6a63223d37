"""Static STAC items with synthetic pixels, for tests that know every value by hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.transform import from_origin

from revisit.domain.aoi import AOI

EPSG, TILE, EASTING, NORTHING = 32735, "35MNM", 600_000, 9_100_020
STATED = {"nodata": 0, "scale": 0.0001, "offset": -0.1}
"""What raster:bands says of a band at baseline 04.00 and later."""


def field(value: int, size: int = 60, dtype: str = "uint16") -> NDArray[Any]:
    """A square band of one value; 60 pixels of 10 m are the 600 m of `write_item`."""
    return np.full((size, size), value, dtype)


def ring(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A rectangle in metres of the UTM zone, as lon/lat geometry."""
    to_lonlat = Transformer.from_crs(EPSG, 4326, always_xy=True).transform
    corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
    return {"type": "Polygon", "coordinates": [[list(to_lonlat(*corner)) for corner in corners]]}


def inner_aoi() -> AOI:
    """400 m x 400 m inside of every item here: 1,600 pixel centres of 10 m."""
    inner = ring(EASTING + 101, NORTHING - 499, EASTING + 499, NORTHING - 101)
    return AOI.parse(json.dumps(inner).encode())


def write_item(
    root: Path,
    id: str,
    bands: Mapping[str, NDArray[Any]],
    stated: Mapping[str, Mapping[str, Any]] | None = None,
    tags: Mapping[str, tuple[float, float]] | None = None,
    **properties: Any,
) -> Path:
    """Write an item and a GeoTIFF for each band, 600 m x 600 m.

    Args:
        root: Folder of the source.
        id: Name of the item and of its folder.
        bands: By band name; the pixel size follows from the shape.
        stated: What raster:bands says, by band name; `STATED` for reflectance bands where None.
        tags: Scale and offset in the file's own metadata, by band name.
        properties: Added to those of the item; "__" stands for ":".
    """
    folder = root / id
    folder.mkdir(parents=True)
    assets = {}
    for band, pixels in bands.items():
        step = 600 / pixels.shape[0]
        profile = {
            "driver": "GTiff",
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "count": 1,
            "dtype": pixels.dtype,
            "crs": f"EPSG:{EPSG}",
            "transform": from_origin(EASTING, NORTHING, step, step),
        }
        with rasterio.open(folder / f"{band}.tif", "w", **profile) as out:
            out.write(pixels, 1)
            if tags and band in tags:
                out.scales, out.offsets = (tags[band][0],), (tags[band][1],)
        said = {"nodata": 0} if band == "SCL" else dict(STATED if stated is None else stated.get(band, {}))
        assets[band] = {
            "href": f"./{band}.tif",
            "type": "image/tiff; application=geotiff",
            "bands": [{"name": band}],
            **({"raster:bands": [said]} if said else {}),
        }
    outline = ring(EASTING, NORTHING - 600, EASTING + 600, NORTHING)
    lons, lats = zip(*outline["coordinates"][0], strict=True)
    path = folder / f"{id}.json"
    path.write_text(
        json.dumps(
            {
                "type": "Feature",
                "stac_version": "1.1.0",
                "id": id,
                "collection": "sentinel-2-l2a",
                "geometry": outline,
                "bbox": [min(lons), min(lats), max(lons), max(lats)],
                "links": [],
                "assets": assets,
                "properties": {
                    "datetime": "2025-06-01T08:00:00Z",
                    "platform": "sentinel-2a",
                    "constellation": "sentinel-2",
                    "grid:code": f"MGRS-{TILE}",
                    "processing:level": "L2",
                    **{key.replace("__", ":"): value for key, value in properties.items()},
                },
            }
        )
    )
    return path
