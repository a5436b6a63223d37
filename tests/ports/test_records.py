"""Records are kept whole and found by their indexed fields."""

import pytest

from revisit.domain.alert import Alert
from revisit.domain.delivery import Delivery
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription
from revisit.ports.record_types import COLLECTION_NAMES, KINDS, KINDS_BY_NAME
from revisit.ports.system_records import CatalogCursor, SourceState
from samples import NOON, SQUARE_AOI, alert, delivery, subscription


def put(backend, *records):
    backend.records.transact(lambda transaction: [transaction.put(record) for record in records])


def test_a_record_is_read_back_as_it_was_written(backend):
    wish = subscription(name="Étang de Berre", min_clear=12.5, tiles=("31TFJ", "31TFH"), backfill=NOON)
    put(
        backend,
        wish,
        alert(),
        delivery(),
        SourceState("folder:/ä b", {"etag": "x", "n": [1, 2]}),
        CatalogCursor(cursor=7),
    )
    assert backend.records.get(Subscription, "sub_1") == wish
    assert backend.records.get(Alert, alert().id) == alert()
    assert backend.records.get(Delivery, "delivery_1") == delivery()
    assert backend.records.get(SourceState, "folder:/ä b").listing == {"etag": "x", "n": [1, 2]}
    assert backend.records.get(CatalogCursor, "catalog") == CatalogCursor(cursor=7)


def test_what_was_never_written_is_none(backend):
    assert backend.records.get(Subscription, "sub_1") is None
    assert backend.records.find(Subscription, state="active") == []


def test_kinds_do_not_share_ids(backend):
    put(backend, delivery("same"), subscription("same"))
    assert isinstance(backend.records.get(Delivery, "same"), Delivery)
    assert isinstance(backend.records.get(Subscription, "same"), Subscription)


def test_records_outlive_the_process_that_wrote_them(backend_factory):
    put(backend_factory.open(), subscription())
    assert backend_factory.open().records.get(Subscription, "sub_1") == subscription()


def test_find_takes_records_whose_fields_equal_all_values(backend):
    put(
        backend,
        delivery("d1", state="due", host="a.org"),
        delivery("d2", state="failed", host="a.org"),
        delivery("d3", state="due", host="b.org", subscription="sub_2"),
    )
    found = backend.records.find
    assert [record.id for record in found(Delivery, state="due")] == ["d1", "d3"]
    assert [record.id for record in found(Delivery, state="due", host="a.org")] == ["d1"]
    assert [record.id for record in found(Delivery, state="due", subscription="sub_2", alert="alert_1")] == [
        "d3"
    ]
    assert found(Delivery, state="failed", host="b.org") == []


def test_find_takes_records_whose_tuple_contains_the_value(backend):
    put(
        backend,
        subscription("sub_1", tiles=("32TNR", "32TPR")),
        subscription("sub_2", tiles=("32TPR",)),
        subscription("sub_3", tiles=()),
    )
    assert [wish.id for wish in backend.records.find(Subscription, tiles="32TPR")] == ["sub_1", "sub_2"]
    assert [wish.id for wish in backend.records.find(Subscription, tiles="32TNR", state="active")] == [
        "sub_1"
    ]
    assert backend.records.find(Subscription, tiles="32T") == []


def test_find_without_fields_takes_all_of_a_kind(backend):
    put(backend, delivery("d2"), delivery("d1"), subscription())
    assert [record.id for record in backend.records.find(Delivery)] == ["d1", "d2"]


def test_find_goes_page_by_page(backend):
    put(
        backend,
        *(delivery(f"d{number:03d}", state="due" if number % 2 else "failed") for number in range(25)),
    )
    seen, after = [], ""
    while page := backend.records.find(Delivery, after=after, limit=5, state="due"):
        seen += [record.id for record in page]
        after = seen[-1]
    assert seen == [f"d{number:03d}" for number in range(1, 25, 2)]


def test_a_changed_record_is_found_by_its_new_values_only(backend):
    put(backend, subscription(tiles=("32TNR", "32TPR")))
    put(backend, subscription(tiles=("32TPR", "33TUL"), state="paused"))
    assert (
        backend.records.find(Subscription, tiles="32TNR")
        == backend.records.find(Subscription, state="active")
        == []
    )
    for tile in ("32TPR", "33TUL"):
        assert len(backend.records.find(Subscription, tiles=tile, state="paused")) == 1


def test_a_deleted_record_is_gone_and_found_by_nothing(backend):
    put(backend, subscription())
    backend.records.transact(lambda transaction: transaction.delete(Subscription, "sub_1"))
    backend.records.transact(lambda transaction: transaction.delete(Subscription, "never there"))
    assert backend.records.get(Subscription, "sub_1") is None
    assert backend.records.find(Subscription, tiles="32TNR") == backend.records.find(Subscription) == []


@pytest.mark.parametrize("value", ["'); DROP TABLE record; --", "%", "_", "", "ü\u0000x"])
def test_a_value_is_only_ever_a_value(backend, value):
    put(backend, subscription(owner="me"), subscription("sub_2", owner=value or "none"))
    assert [wish.id for wish in backend.records.find(Subscription, owner=value)] == (
        ["sub_2"] if value else []
    )
    assert len(backend.records.find(Subscription)) == 2


def test_a_find_by_a_field_that_is_not_indexed_is_refused(backend):
    with pytest.raises(ValueError, match="not found by name"):
        backend.records.find(Subscription, name="Lake")


def test_a_record_of_100_kb_is_kept_whole(backend):
    ring = [[10 + number * 1e-5, 45.0] for number in range(5000)]
    order = Order(
        "order_1",
        {**SQUARE_AOI, "coordinates": [ring]},
        Recipe(indices=("NDVI",)),
        NOON,
        jobs=tuple(f"job_{n}" for n in range(500)),
    )
    put(backend, order)
    assert backend.records.get(Order, "order_1") == order


def test_counting_agrees_with_finding(backend):
    put(
        backend,
        *(
            delivery(f"d{number}", state="due" if number < 3 else "failed", host="a.org")
            for number in range(5)
        ),
    )
    assert backend.records.count(Delivery) == 5
    assert backend.records.count(Delivery, state="due") == 3
    assert backend.records.count(Delivery, state="failed", host="a.org") == 2
    assert backend.records.count(Subscription) == 0


def test_stored_names_do_not_depend_on_the_names_of_classes():
    assert set(COLLECTION_NAMES) == set(KINDS) and len(KINDS_BY_NAME) == len(KINDS)
    assert set(KINDS_BY_NAME) == STORED_NAMES


STORED_NAMES = {
    "subscription",
    "order",
    "job",
    "alert",
    "delivery",
    "receiver",
    "product",
    "productcopy",
    "sourcestate",
    "announced",
    "deadletter",
    "answered",
    "apikey",
    "usage",
    "audit",
}
"""Collections of data that exists. A new kind adds one; none is ever renamed."""
