"""Limits of dispatch: concurrent sends to a host, and due deliveries of a host in one tick."""

import threading
from datetime import timedelta

import pytest

from revisit.adapters.local.backend import local_backend
from revisit.chain import delivery_ledger
from revisit.chain.delivery_ledger import due_deliveries
from revisit.chain.dispatch import HostSlots
from samples import NOON, delivery


def test_a_host_has_no_more_slots_than_the_limit_and_another_host_has_its_own():
    slots = HostSlots(2)
    with (
        slots.take("a.org", 0),
        slots.take("a.org", 0),
        slots.take("a.org", 0.01) as third,
        slots.take("b.org", 0) as other,
    ):
        assert (third, other) == (False, True)
    with slots.take("a.org", 0) as free:
        assert free


def test_a_released_slot_goes_to_a_thread_that_waits():
    slots, waiting = HostSlots(1), threading.Event()
    results = []

    def wait():
        waiting.set()
        with slots.take("a.org", 10) as taken:
            results.append(taken)

    thread = threading.Thread(target=wait)
    with slots.take("a.org", 0):
        thread.start()
        assert waiting.wait(10)
    thread.join()
    assert results == [True]


def test_a_host_without_sends_is_forgotten_also_after_an_error():
    slots = HostSlots(1)
    with pytest.raises(ZeroDivisionError), slots.take("a.org", 0):
        with slots.take("a.org", 0):
            pass
        raise ZeroDivisionError
    assert not slots._used


def test_a_tick_takes_the_longest_waiting_deliveries_of_each_host(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery_ledger, "MAX_DUE_PER_HOST", 3)
    backend = local_backend(tmp_path, now=lambda: NOON)
    for host, count in (("a.org", 10), ("b.org", 2)):
        for number in range(count):
            due = NOON - timedelta(seconds=number)
            backend.records.transact(
                lambda transaction, host=host, number=number, due=due: transaction.put(
                    delivery(f"{host}-{number}", host=host, due=due)
                )
            )
    later = delivery("later", host="c.org", due=NOON + timedelta(seconds=1))
    backend.records.transact(lambda transaction: transaction.put(later))
    assert [found.id for found in due_deliveries(backend)] == [
        "a.org-9",
        "a.org-8",
        "a.org-7",
        "b.org-1",
        "b.org-0",
    ]
