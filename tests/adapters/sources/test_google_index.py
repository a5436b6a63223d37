"""Google's index: rows of the real files, and invalid files."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from data import shared_data
from google_index_samples import (
    COLUMNS,
    NOW,
    all_unseen,
    index_csv,
    index_row,
    list_products,
    refresh_catalog,
    write_index,
)
from revisit.adapters.local.catalog import LocalCatalog
from revisit.adapters.sources.google_index import PUBLIC_BUCKET_URL, GoogleIndex
from revisit.domain.product import Product
from revisit.errors import PermanentError, TransientError
from revisit.ports.catalog import Query

# ---- real rows


@pytest.mark.parametrize(
    ("name", "rows", "level"), [("L1C_index_derived.csv", 8, "L1C"), ("L2_index_derived.csv.gz", 1000, "L2A")]
)
def test_every_real_row_is_added_once(tmp_path, name, rows, level):
    catalog, source = LocalCatalog(tmp_path), GoogleIndex(str(shared_data("google_index", name)))
    listing, new = refresh_catalog(source, catalog)
    assert (listing.rows, new, listing.rejection_count, listing.rejection_examples) == (rows, rows, 0, [])
    again, new = refresh_catalog(source, catalog)
    assert (again.rows, new) == (rows, 0)
    assert refresh_catalog(source, catalog, listing.state)[0].unchanged
    found = {product.id: product for product in catalog.search(Query(limit=2000)).products}
    opener = gzip.open if name.endswith(".gz") else open
    with opener(shared_data("google_index", name), "rt") as file:
        for cells in csv.DictReader(file):
            product = found[cells["PRODUCT_ID"]]
            assert (product.level, product.tile, product.platform) == (
                level,
                cells["MGRS_TILE"],
                cells["PRODUCT_ID"][:3],
            )
            assert product.sensing_time == datetime.fromisoformat(cells["SENSING_TIME"])
            assert product.published == datetime.fromisoformat(cells["GENERATION_TIME"])
            assert (product.cloud_cover, product.size, product.footprint) == (
                float(cells["CLOUD_COVER"]),
                None,
                None,
            )
            assert (product.south, product.north) == (float(cells["SOUTH_LAT"]), float(cells["NORTH_LAT"]))
            if product.west <= product.east:
                assert (product.west, product.east) == (float(cells["WEST_LON"]), float(cells["EAST_LON"]))
            assert product.href == PUBLIC_BUCKET_URL + cells["BASE_URL"].removeprefix(
                "gs://gcp-public-data-sentinel-2/"
            )
            _, _, datatake, baseline, orbit, *_ = product.id.split("_")
            assert (product.datatake, f"N{product.baseline}", f"R{product.relative_orbit:03d}") == (
                datatake,
                baseline,
                orbit,
            )


def test_a_package_of_many_tiles_is_one_product_per_tile(tmp_path):
    verbatim = json.loads(shared_data("google_index", "reference.json").read_text())["quoted_rows"][
        "verbatim_csv_line_L1C"
    ]
    neighbour = verbatim.replace("51RWP", "51RXP").replace("51/R/WP", "51/R/XP")
    source = write_index(tmp_path, (",".join(COLUMNS) + "\n" + verbatim + "\n" + neighbour + "\n").encode())
    asked = []

    def unseen(ids):
        asked.extend(ids.to_pylist())
        return all_unseen(ids)

    listing, (product, other) = list_products(source, unseen=unseen)
    name = "S2A_OPER_PRD_MSIL1C_PDMC_20151223T100202_R046_V20151223T023913_20151223T023913"
    assert asked == [f"{name}_T51RWP", f"{name}_T51RXP"] == [product.id, other.id]
    assert product == Product(
        id=f"{name}_T51RWP",
        source=source.spec,
        level="L1C",
        platform="S2A",
        tile="51RWP",
        datatake="20151223T023902",
        baseline="0201",
        sensing_time=datetime(2015, 12, 23, 2, 39, 13, 886000, tzinfo=UTC),
        west=122.999686349,
        south=30.253172943,
        east=124.146554592,
        north=30.7331600158,
        cloud_cover=33.0,
        relative_orbit=46,
        published=datetime(2015, 12, 23, 10, 2, 2, tzinfo=UTC),
        href=PUBLIC_BUCKET_URL
        + "tiles/51/R/WP/S2A_MSIL1C_20151223T023913_N0201_R046_T51RWP_20151223T100202.SAFE",
    )
    assert listing.rejection_count == 0


def test_a_tile_that_an_old_package_lists_twice_is_two_products(tmp_path):
    """Two granules of one tile; a row that is repeated is none, and a catalog that knows the first gets the
    second."""
    name = "S2A_OPER_PRD_MSIL1C_PDMC_20151223T100202_R046_V20151223T023913_20151223T023913"
    granules = [f"S2A_OPER_MSI_L1C_TL_{centre}_20151223T0841_A002630_T51RWP_N02.01" for centre in "AB"]
    rows = [index_row(tile="51RWP", PRODUCT_ID=name, GRANULE_ID=granules[number]) for number in (0, 0, 1)]
    source, ids = write_index(tmp_path, index_csv(*rows, index_row())), [f"{name}_T51RWP", f"{name}_T51RWP_2"]
    _, products = list_products(source)
    assert {product.id for product in products} == {*ids, index_row()["PRODUCT_ID"]}
    assert len({product.acquisition for product in products if product.tile == "51RWP"}) == 1
    _, later = list_products(
        source, unseen=lambda asked: np.array([id == ids[1] for id in asked.to_pylist()])
    )
    assert [product.id for product in later] == [ids[1]]


def test_the_real_row_without_a_quality_flag_is_accepted(tmp_path):
    real = json.loads(shared_data("google_index", "reference.json").read_text())["quoted_rows"]["row_L2A"]
    _, (product,) = list_products(
        write_index(tmp_path, index_csv({name: value or "" for name, value in real.items()}))
    )
    assert (product.id, product.size, product.cloud_cover) == (real["PRODUCT_ID"], 976842639, 84.573704)


def test_columns_are_found_by_their_names_and_text_may_be_quoted(tmp_path):
    _, usual = list_products(
        write_index(
            tmp_path / "a",
            index_csv(index_row(), index_row(1, CLOUD_COVER="", TOTAL_SIZE="", GEOMETRIC_QUALITY_FLAG="")),
        )
    )
    assert usual[1].cloud_cover is None
    assert usual[1].size is None
    quoted = io.StringIO()
    writer = csv.DictWriter(quoted, sorted(COLUMNS, reverse=True), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows([index_row(), index_row(1, CLOUD_COVER="NA", TOTAL_SIZE="", GEOMETRIC_QUALITY_FLAG="")])
    source = write_index(tmp_path / "b", b"\xef\xbb\xbf" + quoted.getvalue().encode(), "index.csv")
    listing, unusual = list_products(source)
    assert [product.id for product in unusual] == [product.id for product in usual]
    assert [(product.cloud_cover, product.size, product.published) for product in unusual] == [
        (product.cloud_cover, product.size, product.published) for product in usual
    ]
    assert listing.rejection_count == 0


def test_future_satellites_are_accepted(tmp_path):
    name = "S2D_MSIL1C_20300601T101031_N0612_R022_T32TQM_20300601T150000"
    _, (product,) = list_products(
        write_index(
            tmp_path,
            index_csv(
                index_row(
                    PRODUCT_ID=name, BASE_URL=f"gs://gcp-public-data-sentinel-2/tiles/32/T/QM/{name}.SAFE"
                )
            ),
        )
    )
    assert (product.platform, product.level, product.baseline) == ("S2D", "L1C", "0612")


# Bounds of 01KAB by its corners in UTM zone 1 south (EPSG:32701): 99,960 to 209,760 m east, made with pyproj.
@pytest.mark.parametrize(("west", "east"), [("-180.0", "180.0"), ("-179.9", "179.3"), ("179.3", "-179.8")])
def test_bounds_that_span_the_globe_become_those_of_the_tile(tmp_path, west, east):
    from pyproj import Transformer

    _, (product,) = list_products(
        write_index(
            tmp_path,
            index_csv(
                index_row(tile="01KAB", WEST_LON=west, EAST_LON=east, NORTH_LAT="-16.25", SOUTH_LAT="-17.25")
            ),
        )
    )
    to_degrees = Transformer.from_crs(32701, 4326, always_xy=True)
    north = 8_200_000 // 60 * 60
    corners = [to_degrees.transform(x, y)[0] for x in (99_960, 209_760) for y in (north, north - 109_800)]
    assert product.west == pytest.approx(min(lon for lon in corners if lon > 0), abs=0.02)
    assert product.east == pytest.approx(max(lon for lon in corners if lon < 0), abs=0.02)
    assert (product.south, product.north) == (-17.25, -16.25)


def test_a_tile_with_one_digit_is_the_same_tile(tmp_path):
    name = "S2A_MSIL2A_20240601T101031_N0510_R022_T01KAB_20240601T150000"
    base = f"gs://gcp-public-data-sentinel-2/L2/tiles/1/K/AB/{name}.SAFE"
    bounds = {"WEST_LON": "179.3", "EAST_LON": "179.9", "NORTH_LAT": "-16.25", "SOUTH_LAT": "-17.25"}
    _, (product,) = list_products(
        write_index(tmp_path, index_csv(index_row(tile="1KAB", PRODUCT_ID=name, BASE_URL=base, **bounds)))
    )
    assert (product.tile, product.west, product.east) == ("01KAB", 179.3, 179.9)


# ---- bad input


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"PRODUCT_ID": "LANDSAT_8"}, "PRODUCT_ID 'LANDSAT_8' is not the name"),
        ({"PRODUCT_ID": ""}, "PRODUCT_ID '' is not the name"),
        ({"MGRS_TILE": "32IQM"}, "MGRS_TILE '32IQM' is not a tile"),
        ({"MGRS_TILE": "33TTG"}, "is another tile than the product's name says"),
        ({"SENSING_TIME": "yesterday"}, "SENSING_TIME 'yesterday' cannot be read"),
        ({"SENSING_TIME": ""}, "SENSING_TIME '' is not an instant"),
        ({"SENSING_TIME": "2024-02-30T10:00:00Z"}, "cannot be read"),
        ({"GENERATION_TIME": "2024-06-01 1500"}, "GENERATION_TIME"),
        ({"CLOUD_COVER": "lots"}, "CLOUD_COVER 'lots' cannot be read"),
        ({"CLOUD_COVER": "101"}, "is not between 0 and 100"),
        ({"CLOUD_COVER": "nan"}, "is not between 0 and 100"),
        ({"NORTH_LAT": "91"}, "NORTH_LAT '91' is not between -90 and 90"),
        ({"WEST_LON": ""}, "WEST_LON '' is not a number of degrees"),
        ({"EAST_LON": "inf"}, "EAST_LON"),
        ({"NORTH_LAT": "44.0"}, "lies north of"),
        ({"TOTAL_SIZE": "-1"}, "TOTAL_SIZE"),
        ({"BASE_URL": "gs://other-bucket/tiles/32/T/QM/X.SAFE"}, "is not a product below"),
        (
            {"BASE_URL": "gs://gcp-public-data-sentinel-2/tiles/32/T/QM/../../../../etc"},
            "is not a product below",
        ),
        ({"BASE_URL": "file:///etc/passwd"}, "below"),
    ],
)
def test_an_invalid_row_is_rejected_and_the_others_are_read(tmp_path, cells, reason):
    listing, products = list_products(
        write_index(tmp_path, index_csv(index_row(1), index_row(0, **cells), index_row(2)))
    )
    assert [product.id for product in products] == [index_row(1)["PRODUCT_ID"], index_row(2)["PRODUCT_ID"]]
    assert (listing.rows, listing.rejection_count) == (2, 1)
    name, why = listing.rejection_examples[0]
    assert name == cells.get("PRODUCT_ID", index_row(0)["PRODUCT_ID"])
    assert reason in why


def test_invalid_lines_are_counted(tmp_path):
    lines = index_csv(*map(index_row, range(3))).splitlines(keepends=True)
    listing, products = list_products(
        write_index(
            tmp_path,
            b"".join([*lines[:2], b"half a row,\n", b"\xff\xfe,\x00" + b"," * 12 + b"\n", *lines[2:]]),
        )
    )
    assert len(products) == listing.rows == 3
    assert listing.rejection_count == 2
    assert any("2 columns instead of 14" in why for _, why in listing.rejection_examples)


def test_only_the_first_thousand_reasons_are_kept(tmp_path):
    listing, products = list_products(
        write_index(
            tmp_path, index_csv(*(index_row(number, CLOUD_COVER="x") for number in range(1500)), index_row(7))
        )
    )
    assert (len(products), listing.rows, listing.rejection_count, len(listing.rejection_examples)) == (
        1,
        1,
        1500,
        1000,
    )


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (
            [name for name in COLUMNS if name not in ("BASE_URL", "MGRS_TILE")],
            "lacks the columns MGRS_TILE, BASE_URL",
        ),
        ([*COLUMNS, "SOURCE_URL"], "unknown ones: SOURCE_URL"),
        ([*COLUMNS, "MGRS_TILE"], "names a column twice"),
        (
            [name.replace("CLOUD_COVER", "CLOUDY") for name in COLUMNS],
            "lacks the columns CLOUD_COVER and has unknown ones: CLOUDY",
        ),
    ],
)
def test_an_unknown_header_is_refused_with_its_columns(tmp_path, columns, named):
    with pytest.raises(PermanentError, match=named):
        list_products(write_index(tmp_path, index_csv(index_row(), columns=columns)))


def test_a_file_of_other_columns_is_refused_naming_what_it_lacks():
    with pytest.raises(
        PermanentError,
        match="PRODUCT_ID, DATATAKE_IDENTIFIER, GENERATION_TIME, NORTH_LAT, SOUTH_LAT, WEST_LON, EAST_LON",
    ):
        list_products(GoogleIndex(str(shared_data("google_index", "googlesat_test_1.csv"))))


def test_a_file_cut_off_keeps_what_was_read_and_is_read_again(tmp_path):
    source, catalog = (
        write_index(tmp_path / "source", index_csv(*map(index_row, range(20_000)))),
        LocalCatalog(tmp_path / "catalog"),
    )
    path = Path(source.location)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    listing = source.list_products({}, lambda ids: catalog.missing_mask(source.spec, ids), NOW)
    with pytest.raises(TransientError, match="ends in the middle"):
        for batch in listing.batches:
            catalog.add(batch)
    assert listing.state == {}
    path.write_bytes(whole)
    assert refresh_catalog(source, catalog)[0].rows == 20_000
    assert sum(entry.rows for entry in catalog.freshness()) == 20_000


@pytest.mark.parametrize(
    "harm",
    [lambda content: content[:100] + b"\x00" * 50 + content[150:], lambda content: content[:-4] + b"abcd"],
)
def test_a_garbled_file_is_refused_in_one_sentence(tmp_path, harm):
    source = write_index(tmp_path, index_csv(*map(index_row, range(3000))))
    path = Path(source.location)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises((TransientError, PermanentError), match="index"):
        list_products(source)


def test_an_index_without_rows_is_an_error(tmp_path):
    with pytest.raises(PermanentError, match="lists no product"):
        list_products(write_index(tmp_path, index_csv()))
    with pytest.raises(PermanentError, match="20 rows before"):
        list_products(write_index(tmp_path, index_csv()), {"rows": 20})
    with pytest.raises(PermanentError, match="header"):
        list_products(write_index(tmp_path, b""))
    with pytest.raises(PermanentError, match="no index file"):
        list_products(GoogleIndex(str(tmp_path / "nowhere.csv.gz")))
    with pytest.raises(PermanentError, match="cannot be read"):
        list_products(GoogleIndex(str(tmp_path)))


def test_a_catalog_that_lost_its_rows_reads_an_unchanged_index_again(tmp_path):
    source = write_index(tmp_path / "source", index_csv(index_row(), index_row(1)))
    listing, new = refresh_catalog(source, LocalCatalog(tmp_path / "one"))
    assert new == 2
    again, new = refresh_catalog(source, LocalCatalog(tmp_path / "another"), listing.state)
    assert (again.unchanged, new) == (False, 2)
