"""The STAC API under stac-api-validator, stac-pydantic, readers of GeoParquet, and requests like QGIS's."""

import asyncio
import csv
import io
import json
from datetime import timedelta
from itertools import pairwise
from statistics import fmean, median
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests
import rustac
import shapely
from stac_api_validator.validations import QueryConfig, validate_api
from stac_pydantic.api import Collection, Collections, Conformance, Item, ItemCollection, LandingPage

from figures import figure
from products import FIELD
from revisit.api.stac.landing_page import CONFORMS_TO
from revisit.domain.footprint import product_footprint
from stac_deployment import TOKEN, serve_stac
from stac_schemas import serve_schemas_offline
from tenant_samples import make_deployment

HERE = "4.6,50.9,5.0,51.1"
JUDGED = [
    "core",
    "browseable",
    "collections",
    "features",
    "item-search",
    "filter",
    "item-search#fields",
    "features#fields",
    "item-search#sort",
    "features#sort",
]
SAYS_COLLECTIONS_AS_A_TEXT = '"collections": "sentinel-2-l2a"}'
"""What the validator sends in a body when it judges sorting, where STAC API has a list."""


@pytest.fixture(scope="module")
def stac_deployment(tmp_path_factory):
    with serve_stac(tmp_path_factory.mktemp("stac")) as made:
        yield made


@pytest.fixture(scope="module")
def get(stac_deployment):
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        yield lambda path, **parameters: session.get(
            stac_deployment.url + path, params=parameters, timeout=60
        )


@pytest.fixture(scope="module")
def post(stac_deployment):
    return lambda path, body: requests.post(
        stac_deployment.url + path, json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
    )


def test_the_validator_of_stac_apis_finds_no_error_but_its_own(stac_deployment, monkeypatch):
    serve_schemas_offline(monkeypatch)
    nothing = QueryConfig(*[None] * len(QueryConfig.__dataclass_fields__))
    _, errors = validate_api(
        stac_deployment.url,
        JUDGED,
        "sentinel-2-l2a",
        json.dumps(FIELD),
        TOKEN,
        None,
        "properties.eo:cloud_cover",
        True,
        nothing,
        None,
        None,
        open_assets_urls=False,
    )
    found = [str(error) for error in errors]
    ours = [error for error in found if SAYS_COLLECTIONS_AS_A_TEXT not in error]
    figure(
        "stac: stac-api-validator",
        f"{len(JUDGED)} conformance classes, {len(ours)} errors, "
        f"and {len(found) - len(ours)} over what it sends wrongly itself",
    )
    assert not ours
    assert {name for name in JUDGED if name.startswith("item-search") or name == "core"} <= {
        url.rpartition("/")[2] for url in CONFORMS_TO
    }


def test_everything_is_what_stac_pydantic_takes_for_stac(get, stac_deployment):
    LandingPage.model_validate(get("").json())
    Conformance.model_validate(get("/conformance").json())
    collections = Collections.model_validate(get("/collections").json()).collections
    for one in collections:
        Collection.model_validate(get(f"/collections/{one.id}").json())
        items = get(f"/collections/{one.id}/items", limit=50)
        assert items.headers["Content-Type"] == "application/geo+json"
        for item in ItemCollection.model_validate(items.json()).features:
            assert item.collection == one.id
    Item.model_validate(get(f"/collections/results/items/{stac_deployment.jobs[0]}").json())


def test_it_answers_as_qgis_asks(get, post):
    """What QGIS 3.40 and later sends (QgsStacController): the landing page, the collections, a search with a
    body, and the link next as it stands."""
    links = {(link["rel"], link.get("method", "GET")): link["href"] for link in get("").json()["links"]}
    assert {"self", "root", "data", "conformance", "search"} <= {rel for rel, _ in links}
    assert (
        len(
            requests.get(
                links["data", "GET"], headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
            ).json()["collections"]
        )
        == 3
    )
    asked = {
        "collections": ["sentinel-2-l1c", "sentinel-2-l2a"],
        "bbox": [4.6, 50.9, 5.0, 51.1],
        "datetime": "2019-01-01T00:00:00Z/2019-12-31T23:59:59Z",
        "limit": 100,
    }
    first = post("/search", asked).json()
    [onward] = [link for link in first["links"] if link["rel"] == "next"]
    second = post("/search", onward["body"]).json()
    times = [item["properties"]["datetime"] for item in first["features"] + second["features"]]
    assert len(times) == 200 and times == sorted(times, reverse=True)
    assert all(text[:4] == "2019" for text in times)
    assert (first["numberReturned"], "numberMatched" in first) == (100, False)


@pytest.mark.parametrize(
    "asked",
    [
        "limit=0",
        "limit=-1",
        "limit=x",
        "bbox=1,2,3",
        "bbox=1,2,3,nan",
        "bbox=1,50,2,40",
        "bbox=0,0,1,1&intersects={}",
        "intersects={",
        "datetime=yesterday",
        "datetime=../..",
        "datetime=2020-01-02T00:00:00Z/2020-01-01T00:00:00Z",
        "filter=mission",
        "filter=nonsense = 1",
        "filter='",
        "filter=id = 1",
        "filter=eo:cloud_cover = 'x'",
        "filter=((((((((((((((((((((a",
        "filter=a&filter-lang=sql",
        "sortby=geometry",
        "sortby=nothing",
        "coverage=50",
        "coverage=101&bbox=0,0,1,1",
        "newest=maybe",
        "tiles=99XYZ",
        "collections=other",
        "token=x",
        "sortby=id&token=[1]",
        "format=csv",
        "filter=id IN ('a') OR sen2cor(1) = 2",
        "limit=1&limit=2",
    ],
)
def test_an_invalid_search_is_answered_400_with_a_sentence(get, asked):
    answer = get(f"/search?{asked}")
    assert answer.status_code == 400, asked
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 20


def test_what_is_not_there_is_404(get):
    for path in (
        "/collections/x",
        "/collections/x/items",
        "/collections/x/queryables",
        "/collections/sentinel-2-l2a/items/x",
        "/collections/results/items/x",
    ):
        assert get(path).status_code == 404, path


def test_results_are_their_owners_alone_and_products_are_everybodys(tmp_path):
    made = make_deployment(tmp_path / "data")
    job = made.path_values["results"]
    for who, visible in (("ann", [job]), ("bob", []), ("boss", [])):
        headers = {"Authorization": f"Bearer {who}"}
        found = [
            [item["id"] for item in answer.json["features"]]
            for answer in (
                made.client.get("/stac/search?collections=results", headers=headers),
                made.client.post("/stac/search", json={"ids": [job]}, headers=headers),
                made.client.get("/stac/collections/results/items", headers=headers),
            )
        ]
        assert found == [visible] * 3
        assert made.client.get(f"/stac/collections/results/items/{job}", headers=headers).status_code == (
            200 if visible else 404
        )
        assert made.client.get(
            f"/stac/collections/results/items/{job}/files", headers=headers
        ).status_code == (200 if visible else 404)
        assert made.client.get("/stac/search/statistics?collections=results", headers=headers).json[
            "count"
        ] == len(visible)
        assert (
            len(made.client.get("/stac/search?collections=sentinel-2-l2a", headers=headers).json["features"])
            == 2
        )


# -------------------------------------------------------------------------------------------------------
# numbers and files


def test_statistics_are_those_of_what_a_search_finds(get, post, stac_deployment):
    box = shapely.box(4.6, 50.9, 5.0, 51.1)
    inside = [
        one
        for one in stac_deployment.products
        if product_footprint(one).intersects(box) and one.level == "L2A" and one.sensing_time.year == 2018
    ]
    document = get(
        "/search/statistics",
        bbox=HERE,
        collections="sentinel-2-l2a",
        datetime="2018-01-01T00:00:00Z/2018-12-31T23:59:59Z",
    ).json()
    assert (
        document
        == post(
            "/search/statistics",
            {
                "bbox": [4.6, 50.9, 5.0, 51.1],
                "collections": ["sentinel-2-l2a"],
                "datetime": "2018-01-01T00:00:00Z/2018-12-31T23:59:59Z",
            },
        ).json()
    )
    assert (document["count"], document["complete"], document["size"]) == (len(inside), True, None)
    assert document["cloud_cover"] == {
        "mean": pytest.approx(fmean(one.cloud_cover for one in inside), rel=1e-8),
        "known": len(inside),
    }
    march = [one.cloud_cover for one in inside if one.sensing_time.month == 3]
    assert document["months"][2] == {
        "month": "2018-03",
        "count": len(march),
        "cloud_cover": pytest.approx(fmean(march), rel=1e-8),
    }
    assert sum(document["platforms"].values()) == len(inside)
    seen = sorted(
        {
            (one.platform, one.datatake): one.sensing_time
            for one in sorted(inside, key=lambda one: one.sensing_time, reverse=True)
        }.values()
    )
    gaps = [later - earlier for earlier, later in pairwise(seen)]
    assert document["revisit"]["median_days"] == pytest.approx(
        median(gap / timedelta(days=1) for gap in gaps), rel=1e-8
    )
    assert document["revisit"]["longest_days"] == pytest.approx(max(gaps) / timedelta(days=1), rel=1e-8)
    nothing = get("/search/statistics", bbox="0,0,1,1").json()
    assert (nothing["count"], nothing["size"], nothing["months"], nothing["revisit"]["median_days"]) == (
        0,
        0,
        [],
        None,
    )


def test_coverage_is_that_of_the_requested_area(get, stac_deployment):
    wide = "3.5,50.5,5.5,51.5"
    shares = {
        one.id: shapely.box(3.5, 50.5, 5.5, 51.5).intersection(product_footprint(one)).area / 2
        for one in stac_deployment.products
    }
    found = {
        item["id"]
        for item in get(
            "/search",
            bbox=wide,
            coverage=30,
            limit=1000,
            datetime="2019-01-01T00:00:00Z/..",
            collections="sentinel-2-l1c",
        ).json()["features"]
    }
    about = {
        one.id for one in stac_deployment.products if one.level == "L1C" and one.sensing_time.year >= 2019
    }
    # Degrees are not square kilometres, to a few in a thousand over one degree of latitude.
    assert {id for id in about if shares[id] > 0.31} <= found <= {id for id in about if shares[id] > 0.29}
    assert 0 < len(found) < len(about)


def test_a_csv_has_a_row_for_each_item(get):
    found = get(
        "/search", bbox=HERE, datetime="2019-01-01T00:00:00Z/2019-03-31T00:00:00Z", limit=1000
    ).json()["features"]
    rows = list(
        csv.DictReader(
            io.StringIO(
                get(
                    "/search/export",
                    format="csv",
                    bbox=HERE,
                    datetime="2019-01-01T00:00:00Z/2019-03-31T00:00:00Z",
                ).text
            )
        )
    )
    assert [row["id"] for row in rows] == [item["id"] for item in found]
    assert [row["eo:cloud_cover"] and float(row["eo:cloud_cover"]) for row in rows] == [
        item["properties"].get("eo:cloud_cover", "") for item in found
    ]
    assert [[float(row[side]) for side in ("west", "south", "east", "north")] for row in rows] == [
        item["bbox"] for item in found
    ]


def test_a_row_of_a_result_says_what_it_was_made_of_beside_its_statistics(get, stac_deployment):
    text = get("/search/export", format="csv", collections="results", ids=stac_deployment.jobs[0]).text
    (row,) = csv.DictReader(io.StringIO(text))
    assert {name: row[f"revisit:{name}"] for name in ("state", "level", "mask", "tiles", "baselines")} == {
        "state": "done",
        "level": "L2A",
        "mask": "SCL",
        "tiles": row["revisit:acquisition"].rpartition("_T")[2],
        "baselines": row["revisit:product"].split("_N")[1][:4],
    }
    shares = [float(row[f"revisit:{name}"]) for name in ("coverage", "clear_fraction", "clear_of_aoi")]
    assert shares == pytest.approx([0.9, 60 / 90, 0.6])
    assert (row["NDVI_count"], row["NDVI_mean"]) == ("60", "0.5")


def test_geoparquet_is_read_back_by_others_as_the_items_that_it_is_of(get, tmp_path):
    asked = {"datetime": "2019-01-01T00:00:00Z/2019-03-31T00:00:00Z", "bbox": HERE}
    items = get("/search/export", format="geojson", **asked).json()["features"]
    file = tmp_path / "found.parquet"
    file.write_bytes(get("/search/export", format="parquet", **asked).content)
    rows = pq.read_table(file)
    document = json.loads(rows.schema.metadata[b"geo"])
    assert (document["version"], document["columns"]["geometry"]["encoding"]) == ("1.1.0", "WKB")
    shapes = shapely.from_wkb(rows["geometry"].to_pylist())
    assert [
        shapely.equals_exact(shape, shapely.geometry.shape(item["geometry"]))
        for shape, item in zip(shapes, items, strict=True)
    ] == [True] * len(items)

    async def by_rustac() -> dict[str, Any]:
        return await rustac.read(str(file))

    read = asyncio.run(by_rustac())
    assert [item["id"] for item in read["features"]] == [item["id"] for item in items]
    for mine, theirs in zip(items, read["features"], strict=True):
        assert theirs["properties"].get("eo:cloud_cover") == mine["properties"].get("eo:cloud_cover")
        assert theirs["properties"]["datetime"][:19] == mine["properties"]["datetime"][:19]
        assert theirs["assets"]["product"]["href"] == mine["assets"]["product"]["href"]
        assert theirs["geometry"]["coordinates"] == mine["geometry"]["coordinates"]
