"""HTTP client of webhooks: one signed POST to an address that the SSRF guard has checked."""

import ssl
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING

from revisit.delivery.url_guard import Endpoint, Resolver, resolve, system_resolver
from revisit.errors import InvalidInputError, TransientError
from revisit.net.http_client import create_client, parse_retry_after

if TYPE_CHECKING:
    from revisit.net.pinned_transport import Deadline, PinnedTransport

TIMEOUT_S = 15.0
"""For resolving, connecting, the TLS handshake, the request and the response's headers together."""

MAX_RESPONSE_BYTES = 64 * 1024
"""Bytes of a response's body that are read; their content is ignored."""

RESPONSE_BODY_TIMEOUT_S = 1.0
"""Longest that a receiver may take to send the body of its response."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How one delivery attempt ended."""

    outcome: str
    """One short line: "200", "timeout: ...", "refused: ..."."""
    status: int = 0
    """HTTP status; 0 without a response."""
    retry_after: timedelta | None = None
    """Delay that the receiver asks for (Retry-After)."""

    @property
    def delivered(self) -> bool:
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no further deliveries (410)."""
        return self.status == 410


def post(
    endpoint: Endpoint,
    headers: dict[str, str],
    body: bytes,
    now: datetime,
    *,
    resolver: Resolver = system_resolver,
    timeout_s: float = TIMEOUT_S,
    ssl_context: ssl.SSLContext | None = None,
) -> AttemptResult:
    """Send one POST request; every failure is a result, none is raised.

    Args:
        endpoint: As `url_guard.check_url` returns it. Its addresses are checked here, and only a checked
            address is connected to.
        headers: As `webhook.signed_headers` returns them.
        body: JSON.
        now: Present, to read a Retry-After that holds a date.
        resolver: Resolves the host's name.
        timeout_s: For everything together.
        ssl_context: Certificates to trust; None trusts the public ones.
    """
    import httpx

    from revisit.net.pinned_transport import Deadline, PinnedTransport

    deadline = Deadline(timeout_s)
    try:
        addresses = _resolve_in_time(deadline, endpoint, resolver)
        with PinnedTransport(addresses, deadline, ssl_context) as transport:
            return _send_request(transport, endpoint, headers, body, now, deadline)
    except InvalidInputError as error:
        return AttemptResult(f"refused: {error}")
    except TransientError as error:
        return AttemptResult(f"no connection: {error}")
    except httpx.TimeoutException:
        return AttemptResult(f"timeout: no answer within {timeout_s:g} s")
    except httpx.TransportError as error:
        return AttemptResult(_one_line(f"no connection: {str(error) or type(error).__name__}"))


def _send_request(
    transport: "PinnedTransport",
    endpoint: Endpoint,
    headers: dict[str, str],
    body: bytes,
    now: datetime,
    deadline: "Deadline",
) -> AttemptResult:
    fixed = {"Content-Type": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
    with create_client(transport=transport) as client:
        request = client.build_request(
            "POST",
            f"{endpoint.scheme}://{endpoint.host}:{endpoint.port}",
            headers={**fixed, **headers},
            content=body,
            # The deadline bounds every step.
            timeout=None,
            # As the guard checked it: httpx would normalize the path of a URL.
            extensions={"target": endpoint.target.encode("ascii")},
        )
        # Not by the client, which parses the Location of a redirect and fails on a broken one.
        with closing(transport.handle_request(request)) as response:
            status = response.status_code
            outcome = f"{status}: redirects are not followed" if 300 <= status < 400 else str(status)
            retry_after = response.headers.get("retry-after", "") if status in (429, 503) else ""
            deadline.shorten(RESPONSE_BODY_TIMEOUT_S)
            _drain(response.iter_raw())
    return AttemptResult(outcome, status, parse_retry_after(retry_after, now))


def _drain(chunks: Iterable[bytes]) -> None:
    """Read the body up to the limits, so that the receiver can finish; failures do not change the result."""
    import httpx

    size = 0
    try:
        for chunk in chunks:
            size += len(chunk)
            if size >= MAX_RESPONSE_BYTES:
                return
    except httpx.TransportError:
        return


def _resolve_in_time(deadline: "Deadline", endpoint: Endpoint, resolver: Resolver) -> tuple[str, ...]:
    """`resolve` within the deadline, since the system's resolver has no time-out."""
    answer: Future[tuple[str, ...]] = Future()

    def run() -> None:
        try:
            answer.set_result(resolve(endpoint, resolver))
        except (InvalidInputError, TransientError) as error:
            answer.set_exception(error)

    Thread(target=run, daemon=True, name="resolve").start()
    try:
        return answer.result(deadline.remaining_s())
    except TimeoutError:
        raise TransientError(f"{endpoint.host} was not resolved in time") from None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
