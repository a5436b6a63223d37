"""Reads per page: the cost of a list follows the page, not the history."""

from functools import partial

import pytest

from products import FIELD, NOW, product
from revisit.adapters.local import records
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.domain.alert import Alert
from revisit.domain.aoi import AOI
from revisit.domain.delivery import Delivery
from revisit.domain.job import Cover, Job
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.services.subscriptions.create import create_subscription

NDVI = Recipe(indices=("NDVI",))
SEEN = product(1)


@pytest.fixture
def backend(tmp_path):
    return local_backend(tmp_path / "data", (), lambda: NOW)


@pytest.fixture
def reads(monkeypatch):
    """Records read from the store, one entry each."""
    read, decode = [], records._decode_record

    def counting(body, kind):
        read.append(kind)
        return decode(body, kind)

    monkeypatch.setattr(records, "_decode_record", counting)
    return read


def put(backend, batch) -> None:
    batch = list(batch)
    for start in range(0, len(batch), 500):
        part = batch[start : start + 500]
        backend.commit(partial(_put, part=part), completes_event=False)


def _put(commit, part) -> None:
    for record in part:
        commit.put(record)


def alerts(subscription: str, count: int):
    return (
        Alert(
            f"alert_{subscription}_{number}",
            subscription,
            number,
            "job_1",
            SEEN.acquisition,
            SEEN.id,
            SEEN.sensing_time,
            NOW,
            Cover(1, 1, 1),
            {},
        )
        for number in range(1, count + 1)
    )


def test_page_1_of_10_and_of_10_000_alerts_reads_the_same(backend, reads):
    client, counts = create_app(backend).test_client(), []
    for count in (10, 10_000):
        id = create_subscription(backend, AOI.parse(FIELD), f"log of {count}", NDVI).id
        put(backend, alerts(id, count))
        reads.clear()
        listed = client.get(f"/subscriptions/{id}/alerts?limit=10").json
        assert [alert["number"] for alert in listed["alerts"]] == list(range(1, 11))
        counts.append(len(reads))
    assert counts == [11, 11], "ten alerts and their subscription"


@pytest.mark.parametrize("path", ["/orders?limit=10", "/jobs?limit=10"])
def test_a_page_of_orders_reads_the_same_however_many_there_are(backend, reads, path):
    client, counts = create_app(backend).test_client(), []
    for first, last in ((0, 20), (20, 2_000)):
        put(
            backend,
            (
                Order(f"order_{number}", FIELD, NDVI, NOW, jobs=("job_x",), failed_jobs=0)
                for number in range(first, last)
            ),
        )
        reads.clear()
        assert len(next(iter(client.get(path).json.values()))) == 10
        counts.append(len(reads))
    assert counts[0] == counts[1] <= 12


def test_a_page_of_deliveries_and_of_results_reads_the_same_however_many_there_are(backend, reads):
    client = create_app(backend).test_client()
    for path, make in (
        (
            "deliveries",
            lambda of, number: Delivery(f"delivery_{of}_{number}", "alert_1", of, "channel", "log", NOW, NOW),
        ),
        (
            "results",
            lambda of, number: Job(f"job_{of}_{number}", SEEN, FIELD, NDVI, NOW, subscription=of),
        ),
    ):
        counts = []
        for count in (20, 2_000):
            id = create_subscription(backend, AOI.parse(FIELD), f"{path} of {count}", NDVI).id
            put(backend, (make(id, number) for number in range(count)))
            reads.clear()
            assert (
                len(
                    client.get(f"/subscriptions/{id}/{path}?limit=10").json[
                        path if path != "results" else "jobs"
                    ]
                )
                == 10
            )
            counts.append(len(reads))
        assert counts[0] == counts[1] <= 12, path
