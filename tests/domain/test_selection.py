"""Passes over an AOI: the version, parts and tiles that are chosen, against areas by shapely."""

from collections import Counter, defaultdict
from datetime import timedelta

import pytest
import shapely
from shapely.geometry import box, mapping

from catalog_samples import real_products
from figures import figure
from products import product
from revisit.domain.footprint import product_footprint
from revisit.domain.product import Product
from revisit.domain.selection import keeps_tiles_apart, select_passes
from revisit.geo.mgrs_tile import Tile

FIELD = box(9.3, 45.3, 9.32, 45.32)
"""Well within 32TNR."""


def seen(tile: str = "32TNR", within=None, baseline: str = "0510", hours: int = 5, day: int = 1, **changes):
    """A product whose footprint is its tile's, cut to `within`."""
    shape = Tile.parse(tile).footprint
    shape = shape if within is None else shape.intersection(within)
    west, south, east, north = shape.bounds
    made = product(day, tile=tile)
    level = changes.get("level", "L2A")
    fields = {
        "id": f"S2A_MSI{level}_{made.datatake}_N{baseline}_R065_T{tile}_{made.datatake[:9]}{hours:02d}0000",
        "baseline": baseline,
        "published": made.sensing_time + timedelta(hours=hours),
        "footprint": mapping(shape),
        **dict(zip(("west", "south", "east", "north"), (west, south, east, north), strict=True)),
    }
    return product(day, tile=tile, **fields | changes)


def ids(selection) -> list[tuple[str, str | None, int]]:
    """Tile, baseline and hour of publication of the products in order."""
    return [(one.tile, one.baseline, (one.published - one.sensing_time).seconds // 3600) for one in selection]


def the_pass(*products: Product, over=FIELD, **options):
    """The only selection of these products, whatever their order."""
    [one] = select_passes(products, over, **options)
    assert select_passes(products[::-1], over, **options) == [one]
    return one


@pytest.mark.parametrize("interim", ["9999", "9901", "0000", None])
def test_a_numbered_baseline_is_above_an_interim_one_of_any_age(interim):
    numbered, other = seen(baseline="0208", hours=1), seen(hours=9, id="interim")
    other = product(1, id="interim", baseline=interim, published=other.published)
    assert numbered.rank > other.rank
    assert the_pass(numbered, other).products == (numbered,)
    assert the_pass(other).products == (other,)


def test_the_newest_of_redelivered_products_is_taken_and_an_older_baseline_of_any_age_is_not():
    old, new = seen(hours=5), seen(hours=8)
    late = seen(baseline="0301", hours=20)
    assert the_pass(old, new, late).products == (new,)


def test_an_l2a_is_taken_before_an_l1c_of_any_baseline_and_the_requested_level_before_both():
    bottom, top = seen(baseline="0208"), seen(baseline="0510", hours=4, level="L1C")
    assert the_pass(bottom, top).products == (bottom,)
    assert the_pass(bottom, top, level="L1C").products == (top,)
    assert the_pass(top).products == (top,)
    assert select_passes([top], FIELD, level="L2A") == []


def test_parts_that_complete_one_another_are_kept_and_the_one_that_covers_most_is_first():
    north, south = box(8, 45.313, 11, 46.5), box(8, 44, 11, 45.315)
    upper, lower = seen(within=north, hours=5), seen(within=south, hours=6)
    again = seen(within=south, hours=9)
    one = the_pass(upper, lower)
    assert one.products == (lower, upper)
    assert one.coverage == pytest.approx(1)
    assert the_pass(upper, lower, again).products == (again, upper)
    assert the_pass(upper).coverage == pytest.approx(0.007 / 0.02)


def test_a_part_beside_an_older_product_of_the_whole_is_not_read():
    whole, half = seen(hours=5), seen(within=box(8, 44, 11, 45.31), hours=9)
    assert the_pass(whole, half).products == (whole,)


def test_a_version_that_covers_clearly_less_is_not_taken_and_versions_are_not_mixed():
    old, half = seen(baseline="0214"), seen(baseline="0500", within=box(8, 44, 11, 45.315))
    most = seen(baseline="0500", within=box(8, 44, 11, 45.3199), hours=6)
    assert the_pass(old, half).products == (old,)
    assert the_pass(old, half, most).products == (most,)
    interim = seen(baseline="9999")
    assert the_pass(interim, half).products == (half,)


def test_products_of_bounds_alone_are_parts_where_their_bounds_differ():
    bounds = {"footprint": None}
    upper = seen(within=box(8, 45.2, 11, 46.5), **bounds)
    lower = seen(within=box(8, 44, 11, 45.315), hours=9, **bounds)
    again = seen(within=box(8, 45.2, 11, 46.5), hours=7, **bounds)
    assert the_pass(upper, lower, again).products == (again, lower)


def test_a_field_in_several_tiles_is_one_pass_of_the_tile_that_holds_it():
    # By the squares' corners: 32TNR begins at 8.9997 E, 32TMR ends at 10 000 m beyond zone 32's middle, 9 E.
    both = box(9.02, 45.3, 9.04, 45.32)
    inner, outer = seen("32TMR"), seen("32TNR")
    one = the_pass(outer, inner, over=both)
    assert (one.products, one.pass_id, one.tiles) == ((inner,), inner.pass_id, ("32TMR", "32TNR"))
    across = box(8.98, 45.3, 9.08, 45.32)
    assert the_pass(outer, inner, over=across).products == (inner,)
    assert [one.product.tile for one in select_passes([outer, inner], both, per_tile=True)] == [
        "32TMR",
        "32TNR",
    ]
    assert {one.pass_id for one in select_passes([outer, inner], both, per_tile=True)} == {""}


def test_tiles_follow_while_they_add_area_up_to_the_union_also_across_zones():
    tiles = ["32TLR", "31TGL", "32TMR", "32TLQ", "31TGK"]
    over = box(5.9, 44.9, 8.3, 45.3)
    found = [seen(tile) for tile in tiles]
    one = the_pass(*found, over=over)
    union = shapely.union_all([product_footprint(known) for known in found]).intersection(over)
    assert one.coverage == pytest.approx(union.area / over.area, abs=1e-6)
    shares = {tile: Tile.parse(tile).footprint.intersection(over).area for tile in tiles}
    assert one.product.tile == max(shares, key=lambda tile: shares[tile])
    assert one.pass_id == one.product.pass_id


def test_parts_of_the_first_tile_are_read_before_other_tiles_and_of_the_same_level_only():
    over = box(8.9, 45.3, 9.3, 45.32)
    upper, lower = (
        seen(within=box(8, 45.31, 11, 47), hours=5),
        seen(within=box(8, 44, 11, 45.311), hours=6),
    )
    beside, other_level = seen("32TMR"), seen("32TMR", level="L1C")
    assert the_pass(upper, lower, beside, over=over).products == (lower, upper, beside)
    assert the_pass(upper, lower, other_level, over=over).products == (lower, upper)


def test_the_same_product_of_other_sources_is_an_alternate():
    here, there = seen(source="folder:/a"), seen(source="stac:https://b.example#s2")
    renamed = seen(source="stac:https://c.example#s2", id="S2A_32TNR_20240601_0_L2A")
    older = seen(source="stac:https://d.example#s2", baseline="0301")
    one = the_pass(there, here, renamed, older)
    assert (one.products, one.alternates) == ((here,), (there, renamed))


def test_split_acquisitions_of_the_real_catalogue_are_kept_at_the_coverage_of_their_union():
    tile, versions = Tile.parse("31UFS").footprint, Counter[tuple[str, str, str | None]]()
    of_level = defaultdict(list)
    for one in real_products():
        of_level[one.pass_id, one.level].append(one)
        versions[one.pass_id, one.level, one.baseline] += 1
    split = 0
    for pass_id, level in sorted({key[:2] for key, count in versions.items() if count > 1}):
        [kept] = select_passes(of_level[pass_id, level], tile, level=level)
        version = [one for one in of_level[pass_id, level] if one.baseline == kept.product.baseline]
        shapes = [product_footprint(one).intersection(tile) for one in version]
        union = shapely.union_all(shapes).area / tile.area
        is_split = max(shape.area for shape in shapes) / tile.area < union - 0.005
        assert kept.coverage == pytest.approx(union, abs=1e-4)
        assert len(kept.parts) == is_split
        split += is_split
    figure("split acquisitions of the real catalogue at their union's coverage", f"{split} of {split}")
    assert split == 6


@pytest.mark.parametrize(
    ("aoi", "resolution_m", "is_apart"),
    [
        (box(8.6, 45.3, 9.3, 45.7), None, False),  # 55 x 45 km
        (box(8.6, 44.7, 9.5, 45.7), None, True),  # 70 x 111 km
        (box(8.6, 44.7, 9.5, 45.7), 20.0, False),
        (box(-180, 45.3, -179.7, 45.7).union(box(179.7, 45.3, 180, 45.7)), None, False),  # 47 x 45 km
        (box(9.1, 45.15, 10.3, 45.95), None, False),  # 94 x 89 km, all of it in 32TNR
    ],
)
def test_tiles_are_kept_apart_where_one_grid_over_several_would_be_too_large(aoi, resolution_m, is_apart):
    assert keeps_tiles_apart(aoi, ("32TMR", "32TNR", "32TMQ"), resolution_m) is is_apart
