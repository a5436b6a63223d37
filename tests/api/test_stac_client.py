"""The STAC API as pystac-client, which its users already have, finds it: searching, paging, every filter."""

import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pystac_client
import pytest
import requests
import shapely

from data import shared_data
from products import NOW, add_to_catalog, product
from revisit.adapters.sources import open_source
from revisit.api import create_app
from revisit.domain.bands import BandFile, SourceFile
from revisit.domain.footprint import product_footprint
from revisit.domain.selection import select_best_products
from revisit.errors import TransientError
from stac_deployment import TOKEN, serve_stac

HERE = [4.6, 50.9, 5.0, 51.1]


@pytest.fixture(scope="module")
def stac_deployment(tmp_path_factory):
    with serve_stac(tmp_path_factory.mktemp("stac")) as made:
        yield made


@pytest.fixture(scope="module")
def client(stac_deployment):
    return pystac_client.Client.open(stac_deployment.url, headers={"Authorization": f"Bearer {TOKEN}"})


def ids(search) -> list[str]:
    return [item["id"] for item in search.items_as_dicts()]


def by_time(products) -> list[str]:
    return [
        one.id
        for one in sorted(products, key=lambda one: (one.sensing_time, one.id, one.source), reverse=True)
    ]


def test_the_landing_page_needs_the_token_too(stac_deployment):
    with pytest.raises(pystac_client.exceptions.APIError, match="token"):
        pystac_client.Client.open(stac_deployment.url)


def test_collections_are_found(client):
    assert {one.id for one in client.get_collections()} == {"sentinel-2-l1c", "sentinel-2-l2a", "results"}
    assert client.get_collection("sentinel-2-l2a").title == "Sentinel-2 L2A"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("limit", "year"), [(7, "2019"), (1000, "2015/..")])
def test_pages_of_any_size_give_every_product_once_the_latest_first(
    client, stac_deployment, method, limit, year
):
    since = datetime(int(year[:4]), 1, 1, tzinfo=UTC)
    until = since.replace(month=4) if year == "2019" else datetime(2030, 1, 1, tzinfo=UTC)
    found = ids(
        client.search(
            method=method,
            collections=["sentinel-2-l1c", "sentinel-2-l2a"],
            bbox=HERE,
            limit=limit,
            datetime=[since, until],
        )
    )
    inside = shapely.box(*HERE)
    assert found == by_time(
        one
        for one in stac_deployment.products
        if since <= one.sensing_time <= until and product_footprint(one).intersects(inside)
    )
    assert max(Counter(found).values()) == 1
    assert len(found) > limit


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


MIDDLE = datetime(2019, 7, 1, tzinfo=UTC)
CLOUDY = {"op": ">", "args": [{"property": "eo:cloud_cover"}, 40]}
FILTERS = {
    "eo:cloud_cover < 10 AND platform = 'sentinel-2a'": lambda one: (
        one.cloud_cover is not None and one.cloud_cover < 10 and one.platform == "S2A"
    ),
    "grid:code = 'MGRS-32TNR'": lambda one: one.tile == "32TNR",
    "s2:mgrs_tile LIKE '31%'": lambda one: one.tile[:2] == "31",
    "sat:relative_orbit IN (8, 51) AND NOT s2:processing_baseline >= '05.00'": lambda one: (
        one.relative_orbit in (8, 51) and one.baseline < "0500"
    ),
    "s2:processing_baseline IN ('02.07', '05.00')": lambda one: one.baseline in ("0207", "0500"),
    "eo:cloud_cover IS NULL": lambda one: one.cloud_cover is None,
    "eo:cloud_cover BETWEEN 20 AND 30 OR eo:cloud_cover = 100": lambda one: (
        one.cloud_cover is not None and (20 <= one.cloud_cover <= 30 or one.cloud_cover == 100)
    ),
    "datetime >= TIMESTAMP('2019-07-01T00:00:00Z')": lambda one: one.sensing_time >= MIDDLE,
    (
        "T_DURING(datetime, INTERVAL('2019-07-01T00:00:00Z', '..')) AND published < DATE('2021-01-01')"
    ): lambda one: one.sensing_time > MIDDLE and one.published < datetime(2021, 1, 1, tzinfo=UTC),
    "collection = 'sentinel-2-l1c' AND platform LIKE '%b'": lambda one: (
        one.level == "L1C" and one.platform == "S2B"
    ),
    "revisit:acquisition = 'S2B_20180327T105019_T31UFS'": lambda one: (
        one.acquisition == "S2B_20180327T105019_T31UFS"
    ),
    "S_INTERSECTS(geometry, POINT(9.31 45.31))": lambda one: product_footprint(one).intersects(
        shapely.Point(9.31, 45.31)
    ),
    "NOT S_INTERSECTS(geometry, BBOX(4, 50, 6, 52))": lambda one: (
        not product_footprint(one).intersects(shapely.box(4, 50, 6, 52))
    ),
    "S_WITHIN(geometry, POLYGON((4 50, 6.2 50, 6.2 52, 4 52, 4 50)))": lambda one: product_footprint(
        one
    ).within(shapely.Polygon([(4, 50), (6.2, 50), (6.2, 52), (4, 52)])),
    "id LIKE 'S2A\\_MSIL1C\\_2019%'": lambda one: one.id.startswith("S2A_MSIL1C_2019"),
}
"""CQL2 text -> what it means, in Python over the products themselves."""


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_in_text_finds_what_it_means(client, stac_deployment, text):
    found = ids(
        client.search(
            collections=["sentinel-2-l1c", "sentinel-2-l2a"], filter=text, filter_lang="cql2-text", limit=1000
        )
    )
    expected = by_time(one for one in stac_deployment.products if FILTERS[text](one))
    assert found == expected
    assert expected


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_filter_in_json_finds_what_it_means(client, stac_deployment, method):
    options = (
        {"filter": CLOUDY, "filter_lang": "cql2-json"}
        if method == "POST"
        else {"filter": "eo:cloud_cover > 40"}
    )
    found = ids(client.search(method=method, collections=["sentinel-2-l2a"], limit=1000, **options))
    assert found == by_time(
        one
        for one in stac_deployment.products
        if one.level == "L2A" and one.cloud_cover is not None and one.cloud_cover > 40
    )


def test_ids_and_periods_and_shapes_find_what_they_name(client, stac_deployment):
    some = [stac_deployment.products[5], stac_deployment.products[900], stac_deployment.products[-1]]
    assert ids(
        client.search(ids=[one.id for one in some], collections=["sentinel-2-l1c", "sentinel-2-l2a"])
    ) == by_time(some)
    period = "2019-07-01T00:00:00Z/2019-12-31T23:59:59Z"
    found = ids(client.search(datetime=period, collections=["sentinel-2-l1c"], limit=1000))
    assert found == by_time(
        one
        for one in stac_deployment.products
        if one.level == "L1C" and MIDDLE <= one.sensing_time < datetime(2020, 1, 1, tzinfo=UTC)
    )
    assert ids(client.search(datetime=f"../{iso(MIDDLE)}", limit=1000)) == by_time(
        one for one in stac_deployment.products if one.sensing_time <= MIDDLE
    )
    here = {"type": "LineString", "coordinates": [[9.31, 45.31], [9.311, 45.311]]}
    assert set(ids(client.search(intersects=here))) == {
        one.id for one in stac_deployment.products[-3:]
    } | set(stac_deployment.jobs)
    line, point, box = (
        {**here, "type": "MultiPoint"},
        {"type": "Point", "coordinates": [9.31, 45.31]},
        [9.3, 45.3, 0, 9.32, 45.32, 100],
    )
    assert (
        len(ids(client.search(intersects=line)))
        == len(ids(client.search(intersects=point)))
        == len(ids(client.search(bbox=box)))
        == 3 + len(stac_deployment.jobs)
    )


def test_across_the_antimeridian_nothing_is_found_that_lies_on_the_other_side_of_the_earth(
    client, stac_deployment
):
    assert ids(client.search(bbox=[179, -20, -179, 10])) == []
    around = ids(client.search(bbox=[170, 40, 6, 60], collections=["sentinel-2-l2a"], limit=1000))
    assert len(around) == sum(one.level == "L2A" and one.tile == "31UFS" for one in stac_deployment.products)


def test_only_the_newest_of_each_acquisition_is_found_on_request(client, stac_deployment):
    everything = [one for one in stac_deployment.products if one.tile == "31UFS"]
    for collections, level in ((["sentinel-2-l2a"], "L2A"), (["sentinel-2-l1c", "sentinel-2-l2a"], None)):
        page = client.search(
            method="GET", collections=collections, filter="s2:mgrs_tile = '31UFS'", limit=300
        )
        page._parameters["newest"] = "true"
        assert ids(page) == by_time(
            select_best_products(one for one in everything if level in (None, one.level))
        )
    assert len(select_best_products(everything)) < len(everything) / 2


def test_results_are_found_by_their_owner_only(client, stac_deployment):
    found = list(client.search(collections=["results"]).items())
    assert sorted(item.id for item in found) == sorted(stac_deployment.jobs)
    assert ids(client.search(filter="revisit:clear_fraction > 0.5")) == stac_deployment.jobs[:1]
    assert ids(client.search(filter="revisit:state = 'skipped'")) == stac_deployment.jobs[:0:-1]
    assert (
        client.get_collection("results").get_item(stac_deployment.jobs[0]).properties["revisit:state"]
        == "done"
    )


@pytest.mark.parametrize(
    "sortby",
    [
        "+properties.eo:cloud_cover",
        "-properties.eo:cloud_cover,+id",
        "+datetime",
        "-properties.datetime",
        "+published",
        "-s2:mgrs_tile",
    ],
)
def test_items_are_sorted_through_all_pages(client, stac_deployment, sortby):
    fields = {
        "properties.eo:cloud_cover": lambda one: one.cloud_cover,
        "id": lambda one: one.id,
        "datetime": lambda one: one.sensing_time,
        "properties.datetime": lambda one: one.sensing_time,
        "published": lambda one: one.published,
        "s2:mgrs_tile": lambda one: one.tile,
    }
    expected = sorted(stac_deployment.products, key=lambda one: (one.sensing_time, one.id), reverse=True)
    if sortby == "+datetime":
        expected.reverse()
    for key in reversed(sortby.split(",")):
        of = fields[key[1:]]
        known = [one for one in expected if of(one) is not None]
        expected = sorted(known, key=of, reverse=key[0] == "-") + [one for one in expected if of(one) is None]
    found = ids(client.search(collections=["sentinel-2-l1c", "sentinel-2-l2a"], sortby=sortby, limit=1000))
    assert found == [one.id for one in expected]


def test_fields_leave_out_what_is_not_wanted_and_nothing_where_nothing_is_said(client):
    whole = [
        next(client.search(method=method, limit=1, collections=["sentinel-2-l2a"]).pages_as_dicts())[
            "features"
        ][0]
        for method in ("GET", "POST")
    ]
    assert whole[0] == whole[1]
    assert {
        "title",
        "eo:cloud_cover",
        "grid:code",
        "proj:code",
        "s2:mgrs_tile",
        "revisit:acquisition",
    } <= set(whole[0]["properties"])
    page = next(client.search(fields="id,properties.datetime,-links", limit=1).pages_as_dicts())
    [item] = page["features"]
    assert set(item) == {"type", "stac_version", "id", "collection", "properties"}
    assert set(item["properties"]) == {"datetime"}
    page = next(
        client.search(
            method="POST", fields={"exclude": ["assets", "properties.title"]}, limit=1
        ).pages_as_dicts()
    )
    [item] = page["features"]
    assert "assets" not in item and "title" not in item["properties"] and "datetime" in item["properties"]


def test_what_was_added_between_two_pages_moves_none_of_them(tmp_path):
    with serve_stac(tmp_path) as made:
        client = pystac_client.Client.open(made.url, headers={"Authorization": f"Bearer {TOKEN}"})
        pages = client.search(bbox=HERE, limit=1000).pages_as_dicts()
        before = [item["id"] for item in next(pages)["features"]]
        add_to_catalog(made.backend, product(20, tile="31UFS", west=4.0, south=50.0, east=6.0, north=52.0))
        after = [item["id"] for page in pages for item in page["features"]]
        inside = shapely.box(*HERE)
        assert before + after == by_time(
            one for one in made.products if product_footprint(one).intersects(inside)
        )


# ------------------------------------------------------------------------------------------------------------
# files


def test_an_item_has_its_bands_and_the_files_that_lie_here_are_handed_out(stac_deployment, client, tmp_path):
    real = shared_data("safe", "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE")
    shutil.copytree(real, tmp_path / "archive" / real.name)
    for table in (
        open_source(f"folder:{tmp_path / 'archive'}")
        .list_products({}, lambda ids: np.ones(len(ids), bool), NOW)
        .batches
    ):
        stac_deployment.backend.catalog().add(table)
    item = client.get_collection("sentinel-2-l1c").get_item(real.stem)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    band = item.assets["B01"]
    assert (
        band.media_type,
        band.extra_fields["proj:code"],
        band.extra_fields["proj:shape"],
        band.extra_fields["gsd"],
    ) == ("image/jp2", "EPSG:32631", [1830, 1830], 60)
    assert band.extra_fields["bands"] == [
        {"name": "B01", "eo:common_name": "coastal", "eo:center_wavelength": 0.4427}
    ]
    [pixels] = real.rglob("*_B01.jp2")
    assert requests.get(band.href, headers=headers, timeout=30).content == pixels.read_bytes()
    part = requests.get(band.href, headers={**headers, "Range": "bytes=10-19"}, timeout=30)
    assert (part.status_code, part.content) == (206, pixels.read_bytes()[10:20])
    listed = requests.get(item.assets["product"].href, headers=headers, timeout=30).json()
    assert {file["path"] for file in listed["files"]} == {
        str(path.relative_to(real)) for path in real.rglob("*") if path.is_file()
    }
    assert next(file for file in listed["files"] if file["path"].endswith("_B01.jp2")) == {
        "path": str(pixels.relative_to(real)),
        "href": band.href,
        "size": pixels.stat().st_size,
        "checksum": None,
    }
    for path in ("../../data/revisit.db", "%2e%2e/secret", "MTD_MSIL1C.xml/../x"):
        assert (
            requests.get(f"{item.assets['product'].href}/{path}", headers=headers, timeout=30).status_code
            == 404
        )


def test_bands_of_googles_bucket_are_named_by_https_and_by_gs(stac_deployment):
    made = product(
        9, source="google-index:https://storage.googleapis.com/gcp-public-data-sentinel-2/L2/index.csv.gz"
    )
    folder = f"https://storage.googleapis.com/gcp-public-data-sentinel-2/L2/tiles/32/T/NR/{made.id}.SAFE"
    add_to_catalog(stac_deployment.backend, replace(made, href=folder))
    client = stac_deployment.app.test_client()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    [found] = client.get(f"/stac/search?ids={made.id}", headers=headers, base_url="http://localhost").json[
        "features"
    ]
    assert found["assets"]["product"]["href"] == folder
    assert found["assets"]["product"]["alternate"] == {
        "gs": {"href": folder.replace("https://storage.googleapis.com/", "gs://")}
    }

    class Bucket:
        def files(self, _):
            return [
                SourceFile(
                    "GRANULE/x/IMG_DATA/T_B02.jp2",
                    f"{folder}/GRANULE/x/IMG_DATA/T_B02.jp2",
                    5,
                    "md5:" + "0" * 32,
                ),
                SourceFile("x-ql.jpg", f"{folder}/x-ql.jpg"),
            ]

        def bands(self, _):
            return {
                "B02": BandFile("B02", f"{folder}/GRANULE/x/IMG_DATA/T_B02.jp2", "JP2OpenJPEG", offset=-0.1)
            }

    item = (
        create_app(replace(stac_deployment.backend, source=lambda _: Bucket()))
        .test_client()
        .get(f"/stac/collections/sentinel-2-l2a/items/{made.id}")
        .json
    )
    assert (
        item["assets"]["B02"]["alternate"]["gs"]["href"]
        == f"gs://gcp-public-data-sentinel-2/L2/tiles/32/T/NR/{made.id}.SAFE/GRANULE/x/IMG_DATA/T_B02.jp2"
    )
    assert item["assets"]["B02"]["raster:bands"][0]["offset"] == -0.1
    assert item["assets"]["thumbnail"] == {
        "href": f"{folder}/x-ql.jpg",
        "type": "image/jpeg",
        "title": "Quicklook",
        "roles": ["thumbnail"],
    }


def test_an_item_is_shown_without_bands_where_its_source_does_not_answer(stac_deployment):
    class Away:
        def files(self, _):
            raise TransientError("it is away")

    one = stac_deployment.products[0]
    app = create_app(replace(stac_deployment.backend, source=lambda _: Away()))
    answer = app.test_client().get(f"/stac/collections/sentinel-2-{one.level.lower()}/items/{one.id}")
    assert (answer.status_code, set(answer.json["assets"])) == (200, {"product"})
    assert (
        app.test_client()
        .get(f"/stac/collections/sentinel-2-{one.level.lower()}/items/{one.id}/files")
        .status_code
        == 503
    )
