"""Hosts functions as functions-framework does and posts them what Pub/Sub would."""

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
"""One folder a function."""


class FunctionHost:
    """The functions of one process; each is loaded when its first message comes."""

    def __init__(self, backend: Backend) -> None:
        use_backend(backend)
        self._apps: dict[str, Any] = {}
        self._load_lock = threading.Lock()

    def push(self, message: Message) -> tuple[int, str]:
        """Post a message to its function.

        Returns:
            HTTP status, where 2xx means it is done, and the answer's text.
        """
        answer = (
            self._app(message.function)
            .test_client()
            .post(f"/projects/embedded/topics/{message.function}", json=_push_body(message))
        )
        return answer.status_code, answer.get_data(as_text=True)

    def _app(self, function: str) -> Any:
        # functions-framework registers through module globals, so two functions must not load at once.
        with self._load_lock:
            if function not in self._apps:
                self._apps[function] = functions_framework.create_app(
                    function, str(FUNCTIONS_FOLDER / function / "main.py")
                )
                self._apps[function].logger.disabled = True  # the runtime has logged what went wrong
            return self._apps[function]


def _push_body(message: Message) -> dict[str, Any]:
    subscription = f"projects/embedded/subscriptions/{message.function}"
    try:
        body = cloudevents.push_body(
            cloudevents.decode(message.body), subscription, message.id, message.attempt
        )
    except PermanentError:
        # Not ours: let the function itself say so, as it would in the cloud.
        body = cloudevents.raw_push_body(message.body, subscription, message.id, message.attempt)
    body["message"]["attributes"][ATTEMPT_ATTRIBUTE] = str(message.attempt)
    return body
