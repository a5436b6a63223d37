"""Transactions on Firestore lock nothing: they run again if a record that they read has changed."""

import threading
import time

import pytest

from emulators import new_project
from revisit.adapters.gcp import record_document
from revisit.adapters.gcp import records as firestore
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.settings import Settings
from revisit.domain.alert import Alert
from revisit.domain.delivery import Delivery
from revisit.domain.subscription import Subscription
from revisit.errors import ConflictError, TransientError
from samples import alert, delivery, subscription


@pytest.fixture
def settings(google):
    return Settings(new_project())


@pytest.fixture
def records(settings):
    return gcp_backend(settings).records


def put(records, *given):
    records.transact(lambda transaction: [transaction.put(one) for one in given])


def meanwhile(work):
    """Another's work, done to its end before this one goes on."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_stalled_transaction_does_not_lock_what_it_read(records):
    put(records, subscription(name="first"))
    seen, waited = [], []

    def work(transaction):
        there = transaction.get(Subscription, "sub_1")
        seen.append(there.name)
        if len(seen) == 1:
            begun = time.monotonic()
            meanwhile(lambda: put(records, subscription(name="second")))
            waited.append(time.monotonic() - begun)
        transaction.put(there.with_changes(alerts=there.alerts + 1))

    records.transact(work)
    assert seen == ["first", "second"]
    assert (there := records.get(Subscription, "sub_1")) and (there.name, there.alerts) == ("second", 1)
    assert waited[0] < firestore.TRANSACTION_TIMEOUT_S / 2, (
        "a transaction of the server's would have held it for a minute"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda records: put(records, delivery(state="delivered")),
        lambda records: records.transact(lambda transaction: transaction.delete(Delivery, "delivery_1")),
        lambda records: put(records, alert()),
    ],
    ids=["changed", "deleted", "made"],
)
def test_what_was_only_read_must_still_be_so_when_the_rest_is_written(records, change):
    put(records, delivery())
    seen = []

    def work(transaction):
        seen.append((transaction.get(Delivery, "delivery_1"), transaction.get(Alert, alert().id)))
        if len(seen) == 1:
            meanwhile(lambda: change(records))
        transaction.put(subscription(alerts=len(seen)))

    records.transact(work)
    assert seen[0] == (delivery(), None)
    assert [(records.get(Delivery, "delivery_1"), records.get(Alert, alert().id))] == seen[1:]
    assert records.get(Subscription, "sub_1").alerts == 2


def test_what_work_makes_of_records_that_were_never_so_at_once_does_not_count(records):
    put(records, subscription(alerts=1), delivery(target="1"))
    tries = []

    def work(transaction):
        one = transaction.get(Subscription, "sub_1").alerts
        tries.append(one)
        if len(tries) == 1:
            meanwhile(lambda: put(records, subscription(alerts=2), delivery(target="2")))
        if (other := transaction.get(Delivery, "delivery_1").target) != str(one):
            raise ConflictError(f"{one} is not {other}")
        return other

    assert records.transact(work) == "2"
    assert tries == [1, 2]
    with pytest.raises(ConflictError, match="2 is not 3"):
        put(records, delivery(target="3"))
        records.transact(work)


def test_a_read_only_transaction_sees_one_consistent_state(records):
    put(records, subscription(alerts=1), delivery(target="1"))
    tries = []

    def work(transaction):
        one = transaction.get(Subscription, "sub_1").alerts
        if not tries:
            meanwhile(lambda: put(records, subscription(alerts=2), delivery(target="2")))
        tries.append((one, transaction.get(Delivery, "delivery_1").target))
        return tries[-1]

    assert records.transact(work) == (2, "2")
    assert tries == [(1, "2"), (2, "2")]


def test_fields_that_a_record_no_longer_has_are_gone_from_its_document(records, settings):
    put(records, subscription())
    client = firestore.create_client(settings)
    place = record_document.document(client, "subscription", "sub_1")
    place.update({"former": "x"})
    records.transact(
        lambda transaction: transaction.put(
            transaction.get(Subscription, "sub_1").with_changes(state="paused")
        )
    )
    assert place.get().to_dict().keys() == record_document.fields_of(subscription()).keys()
    assert records.find(Subscription, state="paused") and not records.find(Subscription, state="active")


def test_a_transaction_that_always_conflicts_is_a_transient_error(records, monkeypatch):
    monkeypatch.setattr(firestore, "TRANSACTION_TIMEOUT_S", 0.5)
    numbers = iter(range(1_000))

    def work(transaction):
        there = transaction.get(Subscription, "sub_1")
        meanwhile(lambda: put(records, subscription(alerts=next(numbers))))
        transaction.put(there.with_changes(name="late") if there else subscription(name="late"))

    with pytest.raises(TransientError, match="concurrent transactions committed first for 0.5 s"):
        records.transact(work)
    assert records.get(Subscription, "sub_1").name == "Lake"
