"""Addresses of raster files."""

from urllib.parse import urlsplit


def is_remote(href: str) -> bool:
    """Whether it is an HTTP or HTTPS URL."""
    return href.startswith(("https://", "http://"))


def redact_url(href: str) -> str:
    """A URL without user, query and fragment, which may hold secrets; a path as it is."""
    if not is_remote(href):
        return href
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
