"""The check of reflectances on real pixels: right products pass, an offset subtracted twice does not."""

import json

import numpy as np
import pytest
import rasterio

from data import shared_data
from revisit.domain.bands import BandFile
from revisit.errors import PermanentError
from revisit.pixels.plausibility import judge_radiometry


def archive_products():
    """Bands on one 10 m grid, and SCL, of each real product with a land class."""
    root = shared_data("archive")
    for path in sorted(root.rglob("*L2A*.json")):
        item = json.loads(path.read_text())
        dn, files, scl = {}, {}, None
        for key, asset in item.get("assets", {}).items():
            name = (asset.get("bands") or [{}])[0].get("name", key)
            if name not in ("B02", "B03", "B04", "B08", "SCL"):
                continue
            with rasterio.open(path.parent / asset["href"], driver="GTiff") as file:
                pixels = file.read(1)
            if name == "SCL":
                scl = pixels
            else:
                stated = asset["raster:bands"][0]
                dn[name] = pixels
                files[name] = BandFile(name, "", "GTiff", stated["scale"], stated["offset"])
        if dn:
            shape = next(iter(dn.values())).shape
            if scl is not None and scl.shape != shape:
                scl = scl.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]]
            yield item["id"], files, dn, np.ones(shape, bool), scl


def test_real_products_are_plausible_and_with_their_offset_subtracted_twice_or_not_at_all_are_not():
    refused, noted, with_land = 0, 0, 0
    for id, files, dn, inside, scl in archive_products():
        judged = judge_radiometry(files, dn, inside, scl)
        assert judged.files == files, id
        assert not [note for note in judged.notes if "haze" not in note], id
        if scl is None or np.isin(scl, (4, 5)).sum() < 20 or any(file.offset for file in files.values()):
            continue
        with_land += 1
        twice = {
            band: BandFile(band, "", "GTiff", file.scale, file.offset - 0.1) for band, file in files.items()
        }
        try:
            judge_radiometry(twice, dn, inside, scl)
        except PermanentError as reason:
            assert "below -0.02" in str(reason)
            refused += 1
        never = {
            band: BandFile(band, "", "GTiff", file.scale, file.offset + 0.1) for band, file in files.items()
        }
        noted += "an offset that is not subtracted" in str(judge_radiometry(never, dn, inside, scl).notes)
    assert (refused, noted, with_land) == (5, 5, 6)  # the sixth is a desert in haze


def test_bright_clouds_are_noted_and_refuse_a_product_with_a_classification_only():
    dn = {"B02": np.full((10, 10), 17_000, np.uint16)}
    files, inside = {"B02": BandFile("B02", "", "GTiff")}, np.ones((10, 10), bool)
    (note,) = judge_radiometry(files, dn, inside, None).notes
    assert "B02 has a reflectance above 1.5 in 100.0%" in note
    with pytest.raises(PermanentError, match="above 1.5"):
        judge_radiometry(files, dn, inside, np.full((10, 10), 5, np.uint8))
    assert judge_radiometry(files, dn, inside, np.full((10, 10), 9, np.uint8)).notes == ()


def test_vegetation_that_is_too_bright_is_a_note():
    dn = {"B04": np.full((10, 10), 1_300, np.uint16)}
    files, inside = {"B04": BandFile("B04", "", "GTiff")}, np.ones((10, 10), bool)
    (note,) = judge_radiometry(files, dn, inside, np.full((10, 10), 4, np.uint8)).notes
    assert "an offset that is not subtracted" in note
    assert judge_radiometry(files, dn, inside, np.full((10, 10), 5, np.uint8)).notes == ()
