"""The folder of the demo archive, written beside its final path and renamed when complete."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from revisit.demo.acquisitions import ACQUISITIONS, EPSG, NORTH_M, SIZE, TILE, WEST_M, Acquisition
from revisit.demo.landscape import Landscape, make_landscape
from revisit.demo.safe import write_safe
from revisit.demo.scene import Scene, make_scene
from revisit.demo.stac import write_catalog, write_item
from revisit.domain.clock import format_rfc3339
from revisit.domain.product import acquisition_id
from revisit.errors import InvalidInputError, PermanentError, TransientError
from revisit.pixels.masks import CLEAR_CLASSES

GENERATOR_VERSION = 1
"""Version of the generator; raise it on a change, so that older archives are generated again."""
NOTICE = (
    "Synthetic: no satellite took these pictures. The demo invents landscape, crops and clouds, and each "
    "product holds only a crop of 9 km of its tile (see proj:shape). Formats, names, orbits and dates follow "
    "the mission's rules."
)
README = f"""# Revisit's demo archive

{NOTICE}

Twelve acquisitions of tile {TILE} from November 2021 to September 2022; as a source, use `folder:`:

- `catalog.json`, `sentinel-2-l2a/`: six of them as COGs with STAC 1.1 items;
- `safe/`: the other six as .SAFE products with JPEG 2000 bands;
- `aoi.geojson`: the farm to watch;
- `truth.json`: its clear share and NDVI on each date, from the generator's own model.

Products before 2022-01-25 have baseline 03.01 and no offset; later ones 04.00 and -1000.
On 2022-07-06 the swath ends within the AOI.
"""


def make_archive(folder: Path, seed: int = 1) -> Path:
    """Generate the demo archive unless it exists; takes about ten seconds.

    Args:
        folder: Target; replaced if it holds a demo archive of another seed or version.
        seed: The same seed gives the same pixels.

    Returns:
        The folder, which is a source as `folder:<folder>`.

    Raises:
        InvalidInputError: The folder holds something else.
        TransientError: The disk is full.
        PermanentError: The folder cannot be written.
    """
    folder = Path(folder).absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _folder_lock(folder.parent):
            if not _is_current(folder, seed):
                _rebuild(folder, seed)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TransientError(
                f"the disk is too full for the demo archive in {folder}; it needs 80 MB"
            ) from None
        raise PermanentError(
            f"the demo archive cannot be written to {folder} ({error.strerror}); choose another folder"
        ) from None
    return folder


def _is_current(folder: Path, seed: int) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        truth = msgspec.json.decode((folder / "truth.json").read_bytes())
        return bool((truth["generator"], truth["seed"]) == (GENERATOR_VERSION, seed))
    except (FileNotFoundError, NotADirectoryError, KeyError, TypeError, msgspec.DecodeError):
        raise InvalidInputError(
            f"{folder} holds something other than the demo archive; choose another folder"
        ) from None


def _rebuild(folder: Path, seed: int) -> None:
    fresh, old = (folder.with_name(f".{folder.name}.{state}") for state in ("unfinished", "old"))
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    try:
        _write_archive(fresh, seed)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    finally:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _write_archive(root: Path, seed: int) -> None:
    place = make_landscape(np.random.default_rng([seed, 0]))
    aoi = _aoi_geometry(place)
    inside = _aoi_mask(aoi)

    def add(seen: Acquisition) -> dict[str, Any]:
        scene = make_scene(place, seen, [seed, ACQUISITIONS.index(seen) + 1])
        if seen.package == "SAFE":
            write_safe(root / "safe", scene)
        else:
            write_item(root, scene)
        return _truth(scene, inside)

    with ThreadPoolExecutor(2) as pool:
        dates = list(pool.map(add, ACQUISITIONS))
    write_catalog(root, NOTICE)
    (root / "README.md").write_text(README)
    _write_json(
        root / "aoi.geojson", {"type": "Feature", "properties": {"name": "Demo farm"}, "geometry": aoi}
    )
    _write_json(
        root / "truth.json",
        {
            "generator": GENERATOR_VERSION,
            "seed": seed,
            "notice": NOTICE,
            "tile": TILE,
            "aoi": "aoi.geojson",
            "dates": dates,
        },
    )


def _truth(scene: Scene, aoi_mask: NDArray[np.bool_]) -> dict[str, Any]:
    """The expected values of the AOI on a date: NDVI of the stored pixels, and NDVI of the ground without
    weather."""
    seen, offset = scene.acquisition, scene.acquisition.offset
    classes = scene.layers["SCL"].repeat(2, 0).repeat(2, 1)
    red, nir = (scene.layers[band].astype(np.float64) for band in ("B04", "B08"))
    valid = aoi_mask & (classes != 0)
    clear = valid & np.isin(classes, CLEAR_CLASSES)
    ndvi = (nir - red)[clear] / (nir + red + 2 * offset)[clear]
    return {
        "acquisition": acquisition_id(seen.platform, f"{seen.datatake:%Y%m%dT%H%M%S}", TILE),
        "product": seen.name,
        "datetime": format_rfc3339(seen.sensing_time),
        "package": seen.package,
        "baseline": seen.baseline,
        "boa_add_offset": offset,
        "cloud_cover": round(scene.cloud_cover, 6),
        "aoi_pixels": int(aoi_mask.sum()),
        "valid_pixels": int(valid.sum()),
        "clear_pixels": int(clear.sum()),
        "clear_fraction": float(clear.sum() / valid.sum()),
        "NDVI": {"count": ndvi.size} | ({"mean": float(ndvi.mean())} if ndvi.size else {}),
        "ground_NDVI": float(scene.ground_ndvi[aoi_mask].mean()),
    }


def _aoi_geometry(landscape: Landscape) -> dict[str, Any]:
    """Outline of the farm, without the roads around it, lon/lat degrees."""
    import shapely
    from pyproj import Transformer

    rows, columns = np.nonzero(landscape.aoi_block)
    middles = shapely.multipoints(np.column_stack([WEST_M + columns * 10 + 5, NORTH_M - rows * 10 - 5]))
    outline = shapely.concave_hull(middles, ratio=0.05).buffer(-12).simplify(25)
    to_degrees = Transformer.from_crs(EPSG, 4326, always_xy=True)
    ring = [
        [round(degrees, 6) for degrees in to_degrees.transform(*point)]
        for point in shapely.orient_polygons(outline).exterior.coords
    ]
    return {"type": "Polygon", "coordinates": [ring]}


def _aoi_mask(aoi: dict[str, Any]) -> NDArray[np.bool_]:
    """Mask of the 10 m pixels whose centre is in the AOI; the AOI's edges are straight in lon/lat."""
    import shapely
    from pyproj import Transformer

    down, right = np.mgrid[0:SIZE, 0:SIZE] * 10 + 5
    lon, lat = Transformer.from_crs(EPSG, 4326, always_xy=True).transform(WEST_M + right, NORTH_M - down)
    return np.asarray(shapely.contains_xy(shapely.polygons(aoi["coordinates"][0]), lon, lat))


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time write to a folder; others wait."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write_json(path: Path, document: Any) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
