"""A transaction happens as a whole or not at all, as if no other ran beside it."""

import threading

import pytest

from revisit.domain.alert import Alert
from revisit.domain.delivery import Delivery
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Subscription
from samples import alert, delivery, envelope, subscription


def test_threads_that_count_up_one_record_lose_nothing(backend_factory):
    backend = backend_factory.open()
    backend.records.transact(lambda transaction: transaction.put(subscription()))

    def count_up(transaction):
        wish = transaction.get(Subscription, "sub_1")
        transaction.put(alert(number=wish.alerts + 1, acquisition=f"acquisition {wish.alerts + 1}"))
        transaction.put(wish.with_changes(alerts=wish.alerts + 1))

    def work(records):
        for _ in range(rounds):
            records.transact(count_up)

    crowd, rounds = 16, 10
    # Half of the threads share a backend, the others have their own: both are how workers live.
    threads = [
        threading.Thread(target=work, args=(records,))
        for records in [backend.records, backend_factory.open().records] * crowd
    ][:crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backend.records.get(Subscription, "sub_1").alerts == crowd * rounds
    assert sorted(line.number for line in backend.records.find(Alert, subscription="sub_1")) == list(
        range(1, crowd * rounds + 1)
    )


def test_what_work_raises_undoes_everything_it_did(backend, queued):
    backend.records.transact(lambda transaction: transaction.put(delivery("d1")))

    def work(transaction):
        transaction.put(delivery("d2"))
        transaction.delete(Delivery, "d1")
        transaction.add_dedupe_key("m")
        transaction.send(envelope(JobFinished("job_1")))
        raise KeyError("halfway")

    with pytest.raises(KeyError, match="halfway"):
        backend.records.transact(work)
    assert [record.id for record in backend.records.find(Delivery)] == ["d1"]
    assert not backend.records.transact(lambda transaction: transaction.has_dedupe_key("m"))
    assert queued() == []


def test_after_an_undone_transaction_the_next_one_works(backend):
    def work(transaction):
        transaction.put(delivery("d1"))
        raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError):
            backend.records.transact(work)
    backend.records.transact(lambda transaction: transaction.put(delivery("d1")))
    assert backend.records.get(Delivery, "d1")


def test_a_read_after_the_first_write_is_refused_and_undone(backend):
    def work(transaction):
        transaction.put(delivery("d1"))
        transaction.get(Delivery, "d1")

    with pytest.raises(RuntimeError, match="before its first write"):
        backend.records.transact(work)
    with pytest.raises(RuntimeError, match="before its first write"):
        backend.records.transact(
            lambda transaction: (transaction.add_dedupe_key("m"), transaction.has_dedupe_key("m"))
        )
    assert backend.records.get(Delivery, "d1") is None


def test_a_transaction_within_a_transaction_is_refused_and_undone(backend):
    def work(transaction):
        transaction.put(delivery("d1"))
        backend.records.transact(lambda inner: inner.put(delivery("d2")))

    with pytest.raises(RuntimeError, match="within a transaction"):
        backend.records.transact(work)
    assert backend.records.find(Delivery) == []


def test_a_transaction_kept_beyond_its_end_refuses_to_write(backend):
    kept = backend.records.transact(lambda transaction: transaction)
    with pytest.raises(RuntimeError, match="over"):
        kept.put(delivery())
    assert backend.records.find(Delivery) == []


def test_the_result_of_work_is_handed_back(backend):
    assert backend.records.transact(lambda transaction: 42) == 42


def test_a_mark_is_set_once_and_for_all_who_ask(backend_factory):
    backend_factory.open().records.transact(lambda transaction: transaction.add_dedupe_key("deliver:event_1"))
    other = backend_factory.open().records
    assert other.transact(lambda transaction: transaction.has_dedupe_key("deliver:event_1"))
    assert not other.transact(lambda transaction: transaction.has_dedupe_key("deliver:event_2"))
    other.transact(lambda transaction: transaction.add_dedupe_key("deliver:event_1"))


def test_marks_are_kept_for_30_days_and_not_forever(backend, clock):
    records, days = backend.records, 86_400
    records.transact(lambda transaction: transaction.add_dedupe_key("old"))
    clock.advance(29 * days)
    records.transact(lambda transaction: transaction.add_dedupe_key("new"))
    assert records.transact(lambda transaction: transaction.has_dedupe_key("old"))
    clock.advance(2 * days)
    records.transact(lambda transaction: transaction.add_dedupe_key("newer"))
    assert not records.transact(lambda transaction: transaction.has_dedupe_key("old"))
    assert records.transact(lambda transaction: transaction.has_dedupe_key("new"))


def test_a_handler_that_ran_to_its_end_does_nothing_when_it_runs_again(backend):
    handling = backend.with_cause(envelope(JobFinished("job_1")), "deliver")
    assert handling.commit(lambda commit: commit.put(delivery("d1")) or "done") == "done"
    assert handling.commit(lambda commit: commit.put(delivery("d2")) or "done") is None
    assert [record.id for record in backend.records.find(Delivery)] == ["d1"]
    assert (
        backend.with_cause(envelope(JobFinished("job_2")), "deliver").commit(lambda commit: "done") == "done"
    )


def test_an_event_is_queued_with_its_effect_or_not_at_all(backend, queued):
    backend.with_cause(envelope(JobFinished("job_0")), "index").commit(
        lambda commit: (commit.put(delivery("d1")), commit.emit(JobFinished("job_1")))
    )
    assert [sent.event for sent in queued()] == [JobFinished("job_1")]
    assert queued()[0].path == (JobFinished.topic,) and queued()[0].hops == 1
