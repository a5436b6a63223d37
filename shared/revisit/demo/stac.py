"""Writer of COGs with STAC 1.1 Items in a static catalog, with the asset names of Earth Search."""

from pathlib import Path
from typing import Any

import msgspec

from revisit.demo.acquisitions import ACQUISITIONS, EPSG, TILE
from revisit.demo.scene import Scene, band_grid, footprint
from revisit.domain.bands import BANDS
from revisit.domain.clock import format_rfc3339
from revisit.pixels.masks import CLASSES
from revisit.pixels.raster.write_cog import MEDIA_TYPE, write_cog

COLLECTION = "sentinel-2-l2a"
_SCHEMAS = "https://stac-extensions.github.io"
EXTENSIONS = [
    f"{_SCHEMAS}/{name}/schema.json"
    for name in (
        "classification/v2.0.0",
        "eo/v2.0.0",
        "grid/v1.1.0",
        "mgrs/v1.0.0",
        "processing/v1.2.0",
        "projection/v2.0.0",
        "raster/v1.1.0",
        "sat/v1.0.0",
        "view/v1.0.0",
    )
]


def write_item(root: Path, scene: Scene) -> None:
    """Write one scene below the root of the catalog."""
    folder = root / COLLECTION / scene.acquisition.name
    folder.mkdir(parents=True)
    assets = {}
    for band, layer in scene.layers.items():
        write_cog(
            folder / f"{band}.tif",
            layer,
            band_grid(band),
            0,
            [band],
            overview_resampling="nearest" if band == "SCL" else "average",
        )
        assets[BANDS[band].earth_search or BANDS[band].common_name] = _asset(band, scene)
    _write_json(folder / f"{scene.acquisition.name}.json", _item(scene, assets))


def write_catalog(root: Path, notice: str) -> None:
    """Write the catalog and the collection of the items."""
    items = [seen.name for seen in ACQUISITIONS if seen.package == "COG"]
    rings = [footprint(seen) for seen in ACQUISITIONS if seen.package == "COG"]
    bounds = [pick(point[axis] for ring in rings for point in ring) for pick in (min, max) for axis in (0, 1)]
    times = [format_rfc3339(seen.sensing_time) for seen in ACQUISITIONS if seen.package == "COG"]
    _write_json(
        root / "catalog.json",
        {
            "type": "Catalog",
            "stac_version": "1.1.0",
            "id": "revisit-demo",
            "title": "Revisit demo",
            "description": notice,
            "links": [_link("root", "./catalog.json"), _link("child", f"./{COLLECTION}/collection.json")],
        },
    )
    _write_json(
        root / COLLECTION / "collection.json",
        {
            "type": "Collection",
            "stac_version": "1.1.0",
            "id": COLLECTION,
            "title": "Sentinel-2 L2A, synthetic",
            "description": notice,
            "license": "CC0-1.0",
            "extent": {"spatial": {"bbox": [bounds]}, "temporal": {"interval": [[min(times), max(times)]]}},
            "links": [
                _link("root", "../catalog.json"),
                _link("parent", "../catalog.json"),
                *(_link("item", f"./{name}/{name}.json", "application/geo+json") for name in items),
            ],
        },
    )


def _item(scene: Scene, assets: dict[str, Any]) -> dict[str, Any]:
    seen, ring = scene.acquisition, footprint(scene.acquisition)
    zenith, azimuth = seen.sun_angles
    box = [min(x for x, _ in ring), min(y for _, y in ring), max(x for x, _ in ring), max(y for _, y in ring)]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": EXTENSIONS,
        "id": seen.name,
        "collection": COLLECTION,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": box,
        "properties": {
            "datetime": format_rfc3339(seen.sensing_time),
            "created": format_rfc3339(seen.generated),
            "description": "Synthetic pixels.",
            "platform": f"sentinel-2{seen.platform[2].lower()}",
            "constellation": "sentinel-2",
            "instruments": ["msi"],
            "eo:cloud_cover": round(scene.cloud_cover, 6),
            "grid:code": f"MGRS-{TILE}",
            "mgrs:utm_zone": int(TILE[:2]),
            "mgrs:latitude_band": TILE[2],
            "mgrs:grid_square": TILE[3:],
            "proj:code": f"EPSG:{EPSG}",
            "sat:relative_orbit": seen.relative_orbit,
            "sat:absolute_orbit": seen.absolute_orbit,
            "sat:orbit_state": "descending",
            "processing:level": "L2A",
            "view:sun_azimuth": round(azimuth, 3),
            "view:sun_elevation": round(90 - zenith, 3),
            "s2:product_uri": f"{seen.name}.SAFE",
            "s2:processing_baseline": f"{seen.baseline[:2]}.{seen.baseline[2:]}",
            "s2:generation_time": format_rfc3339(seen.generated),
            "s2:product_type": "S2MSI2A",
            "s2:datatake_id": f"G{seen.platform}_{seen.datatake:%Y%m%dT%H%M%S}_{seen.absolute_orbit:06d}"
            f"_N{seen.baseline[:2]}.{seen.baseline[2:]}",
            "s2:nodata_pixel_percentage": round(scene.class_percent[0], 6),
        },
        "links": [
            _link("root", "../../catalog.json"),
            _link("parent", "../collection.json"),
            _link("collection", "../collection.json"),
        ],
        "assets": assets,
    }


def _asset(band: str, scene: Scene) -> dict[str, Any]:
    known, place = BANDS[band], band_grid(band)
    made: dict[str, Any] = {
        "href": f"./{band}.tif",
        "type": MEDIA_TYPE,
        "title": band,
        "roles": ["data", "reflectance"],
        "gsd": known.resolution_m,
        "proj:shape": list(place.shape),
        "proj:transform": list(place.transform),
    }
    if known.wavelength_nm is None:
        return made | {
            "roles": ["data"],
            "raster:bands": [{"data_type": "uint8", "nodata": 0, "spatial_resolution": known.resolution_m}],
            "classification:classes": [
                {"value": value, "name": text.replace(",", "").replace(" ", "_"), "description": text}
                for value, text in CLASSES.items()
            ],
        }
    return made | {
        "bands": [
            {
                "name": band,
                "eo:common_name": known.common_name,
                "eo:center_wavelength": known.wavelength_nm / 1000,
            }
        ],
        "raster:bands": [
            {
                "data_type": "uint16",
                "nodata": 0,
                "spatial_resolution": known.resolution_m,
                "scale": 0.0001,
                "offset": scene.acquisition.offset / 10_000,
            }
        ],
    }


def _link(rel: str, href: str, kind: str = "application/json") -> dict[str, str]:
    return {"rel": rel, "href": href, "type": kind}


def _write_json(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
