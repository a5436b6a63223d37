"""Ids derived from what a thing is, so that a repeated event changes nothing (never random for an effect)."""

from hashlib import sha256


def derived(kind: str, *parts: str) -> str:
    """A short id of `kind` from its identifying parts: the same parts give the same id, always.

    120 bits of SHA-256; parts are joined by a character that no part contains, so ("a", "bc") and ("ab", "c") differ.
    """
    if any("\x1f" in part for part in parts):
        raise ValueError(f"an id part holds the separator: {parts!r}")
    return f"{kind}_{sha256('\x1f'.join((kind, *parts)).encode()).hexdigest()[:30]}"
