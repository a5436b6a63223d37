"""One server a data folder."""

import fcntl
import threading

import pytest

from revisit.adapters.local.backend import local_backend
from revisit.domain.events import DeliveriesDue
from revisit.embedded.lock import LOCK_FILE, acquire_lock, server_url, write_url
from revisit.embedded.server import run_until
from revisit.errors import ConflictError


def test_a_folder_has_one_server_whose_address_others_learn(tmp_path):
    with acquire_lock(tmp_path) as lock:
        write_url(lock, "http://127.0.0.1:9")
        assert server_url(tmp_path) == "http://127.0.0.1:9"
        with pytest.raises(ConflictError, match="served already at http://127.0.0.1:9"):
            acquire_lock(tmp_path)
    assert server_url(tmp_path) is None
    acquire_lock(tmp_path).close()


def test_a_server_starts_though_somebody_is_looking_for_one(tmp_path):
    with (tmp_path / LOCK_FILE).open("w+") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        acquire_lock(tmp_path).close()


def test_a_command_that_waits_goes_on_by_itself_when_the_server_stops(tmp_path):
    backend = local_backend(tmp_path)
    backend.commit(lambda commit: commit.emit(DeliveriesDue("2024-06-01T10:30:00Z")), completes_event=False)
    lock = acquire_lock(tmp_path)
    assert not run_until(backend, tmp_path, lambda: not backend.bus.depth(), timeout_s=0.3)
    threading.Timer(0.3, lock.close).start()
    assert run_until(backend, tmp_path, lambda: not backend.bus.depth(), timeout_s=30)
