"""Ids derived from content, so that a repeated event changes nothing; never random."""

from hashlib import sha256

from revisit.errors import InvalidInputError


def derive_id(kind: str, *parts: str) -> str:
    """A short id of `kind` from its identifying parts: the same parts always give the same id.

    It has 120 bits of SHA-256. Parts are joined by a character that no part contains, so ("a", "bc") and
    ("ab", "c") differ.

    Raises:
        InvalidInputError: A part contains that character, or a lone surrogate, which UTF-8 cannot encode.
    """
    try:
        digest = sha256("\x1f".join((kind, *parts)).encode()).hexdigest()
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"{'\x1f'.join(parts)[:200]!r} holds half a character; write it in UTF-8"
        ) from None
    if any("\x1f" in part for part in parts):
        raise InvalidInputError(
            f"{next(part for part in parts if '\x1f' in part)[:80]!r} holds a control character; write it "
            "without"
        )
    return f"{kind}_{digest[:30]}"
