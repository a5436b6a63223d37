"""Hosts functions as functions-framework does and posts them what Pub/Sub would."""

import threading
from pathlib import Path
from typing import Any

import functions_framework

from revisit.errors import GiveUp
from revisit.ports import envelope
from revisit.ports.backend import Backend
from revisit.ports.event_bus import Message
from revisit.runtime import ATTEMPT, use

FUNCTIONS = Path(__file__).parents[3] / "functions"
"""One folder a function."""


class Host:
    """The functions of one process; each is loaded when its first message comes."""

    def __init__(self, backend: Backend) -> None:
        use(backend)
        self._apps: dict[str, Any] = {}
        self._loading = threading.Lock()

    def push(self, message: Message) -> tuple[int, str]:
        """Post a message to its function.

        Returns:
            HTTP status, where 2xx means it is done, and the answer's text.
        """
        answer = self._app(message.function).test_client().post(f"/projects/embedded/topics/{message.function}", json=_body(message))
        return answer.status_code, answer.get_data(as_text=True)

    def _app(self, function: str) -> Any:
        # functions-framework registers through module globals, so two functions must not load at once.
        with self._loading:
            if function not in self._apps:
                self._apps[function] = functions_framework.create_app(function, str(FUNCTIONS / function / "main.py"))
                self._apps[function].logger.disabled = True  # the runtime has logged what went wrong
            return self._apps[function]


def _body(message: Message) -> dict[str, Any]:
    subscription = f"projects/embedded/subscriptions/{message.function}"
    try:
        body = envelope.push_body(envelope.decode(message.body), subscription, message.id, message.attempt)
    except GiveUp:
        # Not ours: let the function itself say so, as it would in the cloud.
        body = envelope.raw_push_body(message.body, subscription, message.id, message.attempt)
    body["message"]["attributes"][ATTEMPT] = str(message.attempt)
    return body
