"""Allow-list of hosts that band files are read from: known Sentinel-2 buckets, and a source's own host."""

from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from revisit.errors import PermanentError
from revisit.net import signed_buckets

PUBLIC_BUCKETS = (
    "https://sentinel-cogs.s3.us-west-2.amazonaws.com/",
    "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/",
    "https://storage.googleapis.com/gcp-public-data-sentinel-2/",
)
"""Buckets that are readable without an account."""

_HTTPS_URLS = {
    "s3://sentinel-cogs/": PUBLIC_BUCKETS[0],
    "s3://e84-earth-search-sentinel-data/": PUBLIC_BUCKETS[1],
    "gs://gcp-public-data-sentinel-2/": PUBLIC_BUCKETS[2],
    "s3://eodata/": "https://eodata.dataspace.copernicus.eu/eodata/",
}


def require_allowed_url(href: str, source_urls: Iterable[str] = (), needs_keys: bool = True) -> str:
    """The https URL of a band file in a known bucket or below a source's own URLs.

    Args:
        href: Absolute URL; s3:// and gs:// URLs of known buckets become https.
        source_urls: URLs (scheme, host, path) that the user has configured as this source.
        needs_keys: Whether the file will be read, so that the keys of its bucket must be set.

    Raises:
        PermanentError: The URL is elsewhere, or the keys that its bucket needs are not set.
    """
    for bucket, address in _HTTPS_URLS.items():
        if href.startswith(bucket):
            href = address + href.removeprefix(bucket)
    if href.startswith(signed_buckets.SIGNED_PREFIXES):
        # The signature of a saved item has expired; each request gets its own.
        href = href.partition("?")[0]
    parts = _split_url(href)
    if (
        href.isascii()
        and href.isprintable()
        and " " not in href
        and ".." not in parts.path.split("/")
        and "%" not in parts.path
        and "\\" not in href
    ):
        for address in (*PUBLIC_BUCKETS, *signed_buckets.SIGNED_PREFIXES, *source_urls):
            allowed = _split_url(address)
            if (parts.scheme, parts.netloc) == (allowed.scheme, allowed.netloc) and parts.path.startswith(
                allowed.path or "/"
            ):
                if needs_keys:
                    signed_buckets.require_keys(href)
                return href
    raise PermanentError(
        f"{href!r} is outside the hosts that band files may come from{_refusal_hint(parts.netloc)}"
    )


def _split_url(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise PermanentError(f"{url!r} is not a URL") from None


def _refusal_hint(host: str) -> str:
    if host.endswith(".blob.core.windows.net"):
        return "; of Planetary Computer, the container sentinel2-l2 of sentinel2l2a01 is read"
    if host in ("sentinel-s2-l1c", "sentinel-s2-l2a"):
        return "; that bucket is requester-pays"
    return ""
