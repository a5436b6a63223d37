"""The function `deliver` on the local backend, whose clock the tests move."""

from pathlib import Path

import functions_framework
import pytest

from delivery_samples import NOW
from revisit.adapters.local.backend import local_backend
from revisit.delivery.url_guard import ALLOW_VARIABLE
from revisit.domain.events import DeliveriesDue
from revisit.ports import cloudevents
from revisit.ports.cloudevents import Envelope
from revisit.runtime import use_backend

MAIN = Path(__file__).parents[2] / "functions" / "deliver" / "main.py"


@pytest.fixture
def clock():
    """A list whose last moment is now."""
    return [NOW]


@pytest.fixture
def backend(tmp_path, clock):
    return local_backend(tmp_path / "data", (), lambda: clock[-1])


@pytest.fixture
def push(backend, clock):
    """Sends an event to the function as Pub/Sub would; gives the HTTP status."""
    app = functions_framework.create_app("deliver", str(MAIN))
    use_backend(app, backend)
    client = app.test_client()

    def send(event, attempt=1):
        body = cloudevents.push_body(
            Envelope(event, clock[-1], path=(event.topic,)), "projects/p/subscriptions/deliver", "1", attempt
        )
        return client.post("/projects/p/topics/deliver", json=body).status_code

    return send


@pytest.fixture
def tick(push, clock):
    """Moves the clock and lets what is due be carried."""

    def at(moment=None):
        clock.append(moment or clock[-1])
        assert push(DeliveriesDue(clock[-1].isoformat())) == 200

    return at


@pytest.fixture
def allow(monkeypatch):
    """Lets webhooks go to receivers of this test."""
    return lambda *hooks: monkeypatch.setenv(ALLOW_VARIABLE, ",".join(hook.host_and_port for hook in hooks))
