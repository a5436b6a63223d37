"""The STAC API as pystac-client, which its users already have, finds it: searching, paging, every filter."""

from collections import Counter

import pystac_client
import pytest
import shapely

from revisit.footprint import footprint
from stac_world import TOKEN, world

HERE = [4.6, 50.9, 5.0, 51.1]


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with world(tmp_path_factory.mktemp("stac")) as made:
        yield made


@pytest.fixture(scope="module")
def client(there):
    return pystac_client.Client.open(there.url, headers={"Authorization": f"Bearer {TOKEN}"})


def ids(search) -> list[str]:
    return [item.id for item in search.items()]


def by_time(products) -> list[str]:
    return [one.id for one in sorted(products, key=lambda one: (one.sensing_time, one.id, one.source), reverse=True)]


def test_the_landing_page_needs_the_token_too(there):
    with pytest.raises(pystac_client.exceptions.APIError, match="token"):
        pystac_client.Client.open(there.url)


def test_collections_are_found(client):
    assert {one.id for one in client.get_collections()} == {"sentinel-2-l1c", "sentinel-2-l2a", "results"}
    assert client.get_collection("sentinel-2-l2a").title == "Sentinel-2 L2A"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("limit", [7, 100, 1000])
def test_pages_of_any_size_give_every_product_once_the_latest_first(client, there, method, limit):
    found = ids(client.search(method=method, collections=["sentinel-2-l1c", "sentinel-2-l2a"], bbox=HERE, limit=limit))
    inside = shapely.box(*HERE)
    assert found == by_time(one for one in there.products if footprint(one).intersects(inside))
    assert max(Counter(found).values()) == 1
    assert len(found) > 1000
