"""Which hosts band files may be read from: public buckets of Sentinel-2, and a source's own host."""

from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from revisit.errors import GiveUp

PUBLIC = (
    "https://sentinel-cogs.s3.us-west-2.amazonaws.com/",
    "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/",
    "https://storage.googleapis.com/gcp-public-data-sentinel-2/",
)
"""Buckets that anybody may read without an account."""

_AS_HTTPS = {
    "s3://sentinel-cogs/": PUBLIC[0],
    "s3://e84-earth-search-sentinel-data/": PUBLIC[1],
    "gs://gcp-public-data-sentinel-2/": PUBLIC[2],
}


def permitted(href: str, own: Iterable[str] = ()) -> str:
    """The https URL of a band file, if it lies in a public bucket or below one of a source's own addresses.

    Args:
        href: An absolute URL; s3:// and gs:// of public buckets become https.
        own: Addresses (scheme, host, path) that the user has configured as this source.

    Raises:
        GiveUp: It lies elsewhere.
    """
    for bucket, address in _AS_HTTPS.items():
        if href.startswith(bucket):
            href = address + href.removeprefix(bucket)
    parts = _split(href)
    if href.isascii() and href.isprintable() and " " not in href and ".." not in parts.path.split("/") and "%" not in parts.path and "\\" not in href:
        for address in (*PUBLIC, *own):
            allowed = _split(address)
            if (parts.scheme, parts.netloc) == (allowed.scheme, allowed.netloc) and parts.path.startswith(allowed.path or "/"):
                return href
    raise GiveUp(f"{href!r} lies outside the places that band files may come from{_why(parts.netloc)}")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise GiveUp(f"{url!r} is not an address") from None


def _why(host: str) -> str:
    if host.endswith(".blob.core.windows.net"):
        return "; Planetary Computer hands out its files by signed address only, which is not supported: use another source"
    if host in ("sentinel-s2-l1c", "sentinel-s2-l2a"):
        return "; that bucket makes the requester pay"
    return ""
