"""Hosts functions as functions-framework does and posts them Pub/Sub push requests."""

import threading
from pathlib import Path
from typing import Any

import functions_framework

from revisit.errors import PermanentError
from revisit.ports import cloudevents
from revisit.ports.backend import Backend
from revisit.ports.event_bus import Message
from revisit.runtime import ATTEMPT_ATTRIBUTE, use_backend

FUNCTIONS_FOLDER = Path(__file__).parents[3] / "functions"
"""One folder per function."""


class FunctionHost:
    """The functions of one backend; each is loaded on its first message."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._apps: dict[str, Any] = {}
        self._load_lock = threading.Lock()

    def push(self, message: Message) -> tuple[int, str]:
        """Post a message to its function.

        Returns:
            HTTP status (2xx acknowledges the message) and the text of the response.
        """
        response = (
            self._app(message.function)
            .test_client()
            .post(f"/projects/embedded/topics/{message.function}", json=_push_body(message))
        )
        return response.status_code, response.get_data(as_text=True)

    def _app(self, function: str) -> Any:
        # functions-framework registers functions in module globals, so only one may load at a time.
        with self._load_lock:
            if function not in self._apps:
                app = functions_framework.create_app(function, str(FUNCTIONS_FOLDER / function / "main.py"))
                app.logger.disabled = True  # the runtime logs the errors
                use_backend(app, self._backend)
                self._apps[function] = app
            return self._apps[function]


def _push_body(message: Message) -> dict[str, Any]:
    subscription = f"projects/embedded/subscriptions/{message.function}"
    try:
        body = cloudevents.push_body(
            cloudevents.decode(message.body), subscription, message.id, message.attempt
        )
    except PermanentError:
        # Not an event: the function rejects it, as it does in the cloud.
        body = cloudevents.raw_push_body(message.body, subscription, message.id, message.attempt)
    body["message"]["attributes"][ATTEMPT_ATTRIBUTE] = str(message.attempt)
    return body
