"""HTTP clients of httpx: shared time-outs, one user agent, no redirects, bounded responses.

Google's client libraries keep their own transport; everything else that speaks HTTP goes through here.
httpx is imported on first use, since most commands send no request.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from revisit import __version__
from revisit.errors import PermanentError
from revisit.net.retry import AttemptFailedError

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
"""Longest wait for the next bytes of a response."""
USER_AGENT = f"Revisit/{__version__}"
MAX_RETRY_AFTER = timedelta(hours=24)


def create_client(
    read_timeout_s: float = READ_TIMEOUT_S,
    transport: "httpx.BaseTransport | None" = None,
    use_proxy: bool = True,
) -> "httpx.Client":
    """A client that keeps connections alive and follows no redirect.

    Args:
        read_timeout_s: Longest wait for the next bytes of a response.
        transport: Sends the requests; None sends them by httpx, through the proxy that the environment names.
        use_proxy: Whether that proxy is used; not for servers on this computer.
    """
    import httpx

    return httpx.Client(
        timeout=httpx.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S),
        follow_redirects=False,
        headers={"user-agent": USER_AGENT},
        transport=transport,
        trust_env=use_proxy,
    )


@contextmanager
def send(
    client: "httpx.Client", method: str, url: str, headers: dict[str, str] | None = None, body: Any = None
) -> "Iterator[httpx.Response]":
    """A response whose content is read inside the block.

    Args:
        client: As `create_client` makes it.
        method: "GET", "POST", ...
        url: Absolute address.
        headers: Added to those of the client.
        body: Sent as JSON; None sends no body.

    Raises:
        AttemptFailedError: No response, or it breaks off while it is read.
        PermanentError: `url` is not an address.
    """
    import httpx

    try:
        with client.stream(method, url, headers=headers, json=body) as response:
            yield response
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise PermanentError(f"{url!r} is not an http or https address") from None
    except httpx.TimeoutException:
        raise AttemptFailedError("does not answer in time") from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise AttemptFailedError(f"cannot be reached or breaks off ({type(error).__name__})") from None


def read_bounded(response: "httpx.Response", max_bytes: int, timeout_s: float) -> bytes:
    """The whole content of a response, decoded.

    Args:
        response: Of a request whose content has not been read.
        max_bytes: Decoded bytes at most.
        timeout_s: Longest time for all of it.

    Raises:
        AttemptFailedError: It is larger or takes longer.
    """
    deadline, chunks, size = time.monotonic() + timeout_s, [], 0
    for chunk in response.iter_bytes():
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise AttemptFailedError(f"answers with more than {max_bytes:,} bytes")
        if time.monotonic() > deadline:
            raise AttemptFailedError(f"takes longer than {timeout_s:g} s to answer")
    return b"".join(chunks)


def parse_retry_after(text: str, now: datetime | None = None) -> timedelta | None:
    """Read a Retry-After header (RFC 9110, section 10.2.3).

    Args:
        text: Value of the header.
        now: Present, to read an HTTP date; None ignores dates.

    Returns:
        At most 24 h; None where the header holds neither seconds nor a date.
    """
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", text):
        delay = timedelta(seconds=int(text))
    elif now is None:
        return None
    else:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        delay = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(max(delay, timedelta(0)), MAX_RETRY_AFTER)
