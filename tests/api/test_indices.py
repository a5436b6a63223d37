"""/indices: the list of spectral indices, one of them, and formulas that users write."""

from urllib.parse import quote

import pytest


def test_an_index_has_formula_bands_constants_range_and_source(client):
    assert client.get("/indices/evi").json == {
        "name": "EVI",
        "title": "Enhanced Vegetation Index",
        "formula": "g * (N - R) / (N + C1 * R - C2 * B + L)",
        "formula_in_bands": "2.5 * (B08 - B04) / (B08 + 6 * B04 - 7.5 * B02 + 1)",
        "letters": {"N": "B08", "R": "B04", "B": "B02"},
        "constants": {"g": 2.5, "C1": 6.0, "C2": 7.5, "L": 1.0},
        "bands": ["B08", "B04", "B02"],
        "reference": "https://doi.org/10.1016/S0034-4257(96)00112-5",
        "meaning": "green vegetation, also where it is dense",
        "domain": [None, None],
        "application": "vegetation",
        "aliases": [],
        "common": True,
    }
    assert client.get("/indices/NDWIGAO").json["name"] == "NDMI"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NDVX", "did you mean NDVI"),
        ("EBBI", "it needs a thermal band"),
        ("bai", "BAI or BaI"),
        ("\N{SNOWMAN}" * 200, "there is no spectral index"),
    ],
)
def test_an_unknown_index_is_not_found_with_the_nearest_names_or_the_reason(client, name, says):
    answer = client.get(f"/indices/{quote(name)}")
    assert answer.status_code == 404 and says in answer.json["detail"]


def test_the_list_is_searched_by_words(client):
    everything = client.get("/indices").json["indices"]
    assert len(everything) == 249 and everything == client.get("/recipes").json["indices"]
    found = client.get("/indices?search=burn+B12").json["indices"]
    assert {one["name"] for one in found} >= {"NBR", "MIRBI"} and all("B12" in one["bands"] for one in found)
    assert client.get("/indices?search=zzz").json == {"indices": []}


def test_a_formula_is_described_or_refused_with_the_position_of_its_fault(client):
    answer = client.get(f"/indices?formula={quote('wet=(b8a-B11)/(B8A+B11)')}")
    (wet,) = answer.json["indices"]
    assert (wet["name"], wet["formula"], wet["bands"]) == (
        "wet",
        "(B8A - B11) / (B8A + B11)",
        ["B8A", "B11"],
    )
    for text, says in {
        "wet=(B8A-B11": "'(' was never closed, at character 5",
        "ndvi=B08": "the catalogue's index NDVI",
        "B08/B04": "has no name",
    }.items():
        answer = client.get(f"/indices?formula={quote(text)}")
        assert answer.status_code == 422 and says in answer.json["detail"]
