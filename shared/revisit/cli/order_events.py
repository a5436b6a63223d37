"""Client of the embedded server's order events: follows an order by server-sent events."""

import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SILENCE_TIMEOUT_S = 15.0
"""Longest wait for a line; the server sends a heartbeat every 5 s."""


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
        Whether the order has ended; False if the server sends no events, stops, or the deadline has passed.
        The caller then polls.
    """
    try:
        while time.monotonic() < deadline_s:
            # The server closes a stream after some minutes; like a browser, connect again.
            received = False
            for event, value in _stream_events(url, id, data, deadline_s):
                received = True
                if event == "progress":
                    on_progress(value)
                elif event == "end":
                    return True
            if not received:
                return False
    except (OSError, HTTPException, ValueError):
        return False
    return False


def _stream_events(url: str, id: str, data: Path, deadline_s: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and data of each event of one stream; none if the server refuses it."""
    address = urlsplit(url)
    # Not through a proxy: the server is on this computer.
    connection = HTTPConnection(address.hostname or "", address.port, timeout=_timeout(deadline_s))
    try:
        token = data / "token"
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"} if token.is_file() else {}
        connection.request("GET", f"/orders/{id}/events", headers=headers)
        sock = connection.sock
        response = connection.getresponse()
        if response.status != 200:
            return
        name = ""
        while time.monotonic() < deadline_s:
            sock.settimeout(_timeout(deadline_s))
            line = _read_line(response)
            if line is None:
                return
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)
    finally:
        connection.close()


def _read_line(response: HTTPResponse) -> str | None:
    line = response.readline()
    return line.decode().rstrip("\r\n") if line else None


def _timeout(deadline_s: float) -> float:
    return max(0.01, min(SILENCE_TIMEOUT_S, deadline_s - time.monotonic()))
