"""SSRF guard of webhooks: receivers are public hosts, named by a host name and reached by https.

Names are checked when a subscription is created, their addresses at every attempt; `net.pinned_transport`
connects to the checked address. `ipaddress.is_global` alone would accept NAT64, 6to4 and multicast addresses,
which can lead into private networks.
"""

import os
import re
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from revisit.errors import InvalidInputError, TransientError

type Address = IPv4Address | IPv6Address
type Resolver = Callable[[str, int], list[str]]
"""(host, port) -> IP addresses as text; raises OSError without any."""

ALLOW_VARIABLE = "REVISIT_WEBHOOK_ALLOW"
"""Environment variable: receivers on this computer that plain http may go to,
"localhost:9000,127.0.0.1:9001"."""

MAX_URL_LENGTH = 2048
HTTPS_PORT = 443
PRIVATE_SUFFIXES = (
    "internal",
    "local",
    "localhost",
    "localdomain",
    "lan",
    "intranet",
    "corp",
    "home",
    "arpa",
    "onion",
    "invalid",
)
"""Top-level labels that are never public (RFC 6761, RFC 6762, RFC 8375, cloud metadata names)."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The assigned public IPv6 addresses (IANA, Internet Protocol Version 6 Address Space)."""

TUNNEL_NETWORKS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
"""6to4 and Teredo: within `GLOBAL_UNICAST`, but each holds an IPv4 address. NAT64, mapped and compatible
addresses are outside of it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The parts of a checked URL; requests are built from them, never from the text."""

    scheme: str
    host: str
    """Lower case, ASCII; an IPv6 address in brackets."""
    port: int
    target: str
    """Path and query."""
    local: bool = False
    """Whether it is listed in REVISIT_WEBHOOK_ALLOW; it must then have a loopback address."""


def allowed_local_receivers() -> frozenset[str]:
    """Receivers on this computer that the environment allows, as host:port."""
    return frozenset(
        entry.strip().lower() for entry in os.environ.get(ALLOW_VARIABLE, "").split(",") if entry.strip()
    )


def check_url(url: str, allowed: Collection[str] | None = None) -> Endpoint:
    """Check a webhook URL.

    Args:
        url: As the user wrote it.
        allowed: host:port of receivers on this computer; None reads the environment.

    Raises:
        InvalidInputError: The URL is not that of a public receiver.
    """
    split = _parse_url(url)
    host, port = _parse_host(url, split), _parse_port(url, split)
    target = (split.path or "/") + (f"?{split.query}" if split.query else "")
    if f"{host}:{port}" in (allowed_local_receivers() if allowed is None else allowed) and split.scheme in (
        "http",
        "https",
    ):
        return Endpoint(split.scheme, host, port, target, local=True)
    if split.scheme != "https":
        raise InvalidInputError(
            f"webhook {_shorten(url)} is not https; use https, or for a receiver on this computer set "
            f"{ALLOW_VARIABLE}={host}:{port}"
        )
    if port != HTTPS_PORT:
        raise InvalidInputError(
            f"webhook {_shorten(url)} uses port {port}; only port {HTTPS_PORT} is allowed"
        )
    if ":" in host or re.fullmatch(r"\d+|0x[0-9a-f]*", host.rpartition(".")[2]):
        raise InvalidInputError(f"webhook {_shorten(url)} has an IP address; use the public name of its host")
    labels = host.split(".")
    if (
        len(labels) < 2
        or labels[-1] in PRIVATE_SUFFIXES
        or not all(re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?", label) for label in labels)
    ):
        raise InvalidInputError(
            f"webhook {_shorten(url)}: {host!r} is not a public host name; use one such as hooks.example.com"
        )
    return Endpoint(split.scheme, host, port, target)


def system_resolver(host: str, port: int) -> list[str]:
    """All addresses that the operating system resolves a name to."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def resolve(endpoint: Endpoint, resolver: Resolver = system_resolver) -> tuple[str, ...]:
    """The addresses to connect to, in the resolver's order.

    Args:
        endpoint: As `check_url` returns it.
        resolver: Resolves the host's name.

    Raises:
        TransientError: The name has no address now.
        InvalidInputError: One of the addresses is not public; then none is used.
    """
    try:
        found = [
            ip_address(text.partition("%")[0]) for text in resolver(endpoint.host.strip("[]"), endpoint.port)
        ]
    except (OSError, UnicodeError) as error:
        raise TransientError(f"{endpoint.host} has no address: {error}") from None
    if not found:
        raise TransientError(f"{endpoint.host} has no address")
    for address in found:
        if not (address.is_loopback if endpoint.local else is_public(address)):
            where = "not on this computer" if endpoint.local else "not a public address"
            raise InvalidInputError(f"{endpoint.host} is at {address}, which is {where}; nothing was sent")
    return tuple(dict.fromkeys(str(address) for address in found))


def is_public(address: Address) -> bool:
    """Whether an address is a public unicast address."""
    if isinstance(address, IPv6Address) and (
        address not in GLOBAL_UNICAST or any(address in net for net in TUNNEL_NETWORKS)
    ):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_link_local or address.is_unspecified
    )


def _parse_url(url: str) -> SplitResult:
    if len(url) > MAX_URL_LENGTH:
        raise InvalidInputError(
            f"webhook {_shorten(url)} has {len(url)} characters, {MAX_URL_LENGTH} at most"
        )
    if not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        raise InvalidInputError(
            f"webhook {_shorten(url)} contains a space, backslash or non-ASCII character; "
            "write the host in punycode and the rest in %XX"
        )
    try:
        split = urlsplit(url)
        hostname = split.hostname
    except ValueError as error:
        raise InvalidInputError(f"webhook {_shorten(url)} is not a URL: {error}") from None
    if not hostname or not split.netloc:
        raise InvalidInputError(f"webhook {_shorten(url)} has no host; write https://host/path")
    if "@" in split.netloc:
        raise InvalidInputError(
            f"webhook {_shorten(url)} contains a user name; remove it, receivers verify the signature instead"
        )
    return split


def _parse_host(url: str, split: SplitResult) -> str:
    host = split.hostname or ""
    if host.endswith(".") or "%" in host or len(host) > 253:
        raise InvalidInputError(
            f"webhook {_shorten(url)}: {host[:80]!r} is not a plain host name; "
            "write it without escapes and without a final dot"
        )
    return f"[{host}]" if ":" in host else host


def _parse_port(url: str, split: SplitResult) -> int:
    try:
        port = split.port
    except ValueError:
        raise InvalidInputError(f"webhook {_shorten(url)} has no port between 1 and 65535") from None
    return (HTTPS_PORT if split.scheme == "https" else 80) if port is None else port


def _shorten(url: str) -> str:
    return repr(url if len(url) <= 80 else url[:77] + "...")
