"""Client of the embedded server's order events: follows an order by server-sent events."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SILENCE_TIMEOUT_S = 15.0
"""Longest wait for a line; the server sends a heartbeat every 5 s."""
POLLED_TAIL_S = 6.0
"""Time before the deadline that is left to the caller, who polls: longer than a heartbeat's interval."""


def follow_order(
    url: str, id: str, data: Path, on_progress: Callable[[dict[str, Any]], None], deadline_s: float
) -> bool:
    """Follow an order until it ends.

    Args:
        url: Address of the embedded server, as `server_url` returns it.
        id: Id of the order.
        data: The data folder, which holds the server's token if it has one.
        on_progress: Called with the data of each `progress` event.
        deadline_s: On the clock of `time.monotonic`.

    Returns:
        Whether the order has ended; False if the server sends no events, stops, or the deadline is near.
        The caller then polls.
    """
    from revisit.errors import PermanentError
    from revisit.net.retry import AttemptFailedError

    try:
        while time.monotonic() < deadline_s - POLLED_TAIL_S:
            # The server closes a stream after some minutes; like a browser, connect again.
            received = False
            for event, value in _stream_events(url, id, data, deadline_s - POLLED_TAIL_S):
                received = True
                if event == "progress":
                    on_progress(value)
                elif event == "end":
                    return True
            if not received:
                return False
    except (AttemptFailedError, PermanentError, ValueError):
        return False
    return False


def _stream_events(url: str, id: str, data: Path, deadline_s: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and data of each event of one stream; none if the server refuses it."""
    from revisit.net.http_client import create_client, send

    token = data / "token"
    headers = {"Authorization": f"Bearer {token.read_text().strip()}"} if token.is_file() else {}
    with (
        create_client(SILENCE_TIMEOUT_S, use_proxy=False) as client,
        send(client, "GET", f"{url}/orders/{id}/events", headers) as response,
    ):
        if response.status_code != 200:
            return
        name = ""
        for line in response.iter_lines():
            if time.monotonic() >= deadline_s:
                return
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)
