"""/passes and /recipes: what is expected, as JSON and as a calendar that a library reads back."""

from datetime import UTC, datetime, timedelta

import icalendar
import pytest

from products import FIELD, add_to_catalog, product

SENSED = datetime(2024, 6, 25, 10, 16, tzinfo=UTC)


@pytest.fixture
def backend(backend):
    add_to_catalog(
        backend,
        *(product(day, relative_orbit=65) for day in (5, 15, 25)),
        product(25, "L1C", relative_orbit=65),
        product(28, relative_orbit=22, tile="33TUL", west=11, east=12),
    )
    return backend


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, how: client.get("/passes?tile=T32TNR&days=20" + how),
        lambda client, how: client.post("/passes?" + how.removeprefix("&"), json={"aoi": FIELD, "days": 20}),
    ],
)
def test_passes_over_a_tile_or_an_aoi_are_returned_as_json_and_as_a_calendar(client, ask):
    document = ask(client, "").json["passes"]
    assert document == [
        {
            "expected": f"2024-07-{day:02d}T10:16:00Z",
            "platform": "S2A",
            "relative_orbit": 65,
            "tiles": ["32TNR"],
            "learnt_from": 3,
            "last": "2024-06-25T10:16:00Z",
        }
        for day in (5, 15)
    ]
    answer = ask(client, "&format=ics")
    assert answer.content_type == "text/calendar; charset=utf-8"
    entries = icalendar.Calendar.from_ical(answer.data).walk("VEVENT")
    assert [entry.decoded("dtstart") for entry in entries] == [
        SENSED + timedelta(days=10),
        SENSED + timedelta(days=20),
    ]
    assert len({entry["uid"] for entry in entries}) == 2 and "Sentinel-2A over 32TNR" in entries[0]["summary"]
    assert ask(client, "&format=ics").data == answer.data, "the same entries keep their ids"


def test_a_client_that_accepts_calendars_only_gets_one(client):
    assert client.get("/passes?tile=32TNR", headers={"Accept": "text/calendar"}).content_type.startswith(
        "text/calendar"
    )
    assert client.get("/passes?tile=32TNR", headers={"Accept": "*/*"}).is_json


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "give an AOI or a tile"),
        ("tile=32TZZ", "32TZZ"),
        ("tile=32TNR&days=91", "days is a whole number from 1 to 90"),
        ("tile=32TNR&format=xml", "choose json or ics"),
    ],
)
def test_an_invalid_request_is_rejected_in_a_sentence(client, query, says):
    answer = client.get(f"/passes?{query}")
    assert answer.status_code == 422 and says in answer.json["detail"]


def test_recipes_are_the_tables_of_bands_and_indices(client):
    document = client.get("/recipes").json
    ndvi = next(one for one in document["indices"] if one["name"] == "NDVI")
    assert (ndvi["formula"], ndvi["letters"], ndvi["bands"]) == (
        "(N - R) / (N + R)",
        {"N": "B08", "R": "B04"},
        ["B08", "B04"],
    )
    assert next(one for one in document["indices"] if one["name"] == "EVI")["constants"] == {
        "g": 2.5,
        "C1": 6.0,
        "C2": 7.5,
        "L": 1.0,
    }
    assert [one["name"] for one in document["bands"]] == [
        "B01",
        "B02",
        "B03",
        "B04",
        "B05",
        "B06",
        "B07",
        "B08",
        "B8A",
        "B09",
        "B10",
        "B11",
        "B12",
    ]
    assert {"name": "B08", "title": "Near infrared", "wavelength_nm": 832.8, "resolution_m": 10} in document[
        "bands"
    ]
