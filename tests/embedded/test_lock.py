"""One server a data folder."""

import fcntl
import threading

import pytest

from revisit.adapters.local.backend import local_backend
from revisit.domain.events import DeliveriesDue
from revisit.embedded.lock import NAME, hold, server_of, tell
from revisit.embedded.server import run_until
from revisit.errors import Conflict


def test_a_folder_has_one_server_whose_address_others_are_told(tmp_path):
    with hold(tmp_path) as lock:
        tell(lock, "http://127.0.0.1:9")
        assert server_of(tmp_path) == "http://127.0.0.1:9"
        with pytest.raises(Conflict, match="served already at http://127.0.0.1:9"):
            hold(tmp_path)
    assert server_of(tmp_path) is None
    hold(tmp_path).close()


def test_a_server_starts_though_somebody_is_looking_for_one(tmp_path):
    with (tmp_path / NAME).open("w+") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        hold(tmp_path).close()


def test_a_command_that_waits_goes_on_by_itself_when_the_server_stops(tmp_path):
    backend = local_backend(tmp_path)
    backend.commit(lambda commit: commit.emit(DeliveriesDue("2024-06-01T10:30:00Z")), last=False)
    lock = hold(tmp_path)
    assert not run_until(backend, tmp_path, lambda: not backend.bus.depth(), patience_s=0.3)
    threading.Timer(0.3, lock.close).start()
    assert run_until(backend, tmp_path, lambda: not backend.bus.depth(), patience_s=30)
