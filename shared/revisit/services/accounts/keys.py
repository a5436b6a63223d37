"""Keys for programs: made and shown once, listed, revoked, and asked whose they are."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from revisit.domain.api_key import (
    MAX_LIFETIME,
    MAX_OPERATOR_LIFETIME,
    ApiKey,
    format_key,
    hash_secret,
    parse_key,
)
from revisit.errors import InvalidInputError, NotFoundError, UnauthenticatedError
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import find_all
from revisit.services.accounts.limits import limits_of
from revisit.services.accounts.quotas import reserve_key

DUMMY_DIGEST = hash_secret(secrets.token_urlsafe(32))
"""What an id that is none is compared with, so that it takes as long as one that is."""


def create_key(
    backend: Backend,
    name: str,
    scopes: Sequence[str] = ("read",),
    days: int | None = None,
    owner: str = "local",
) -> tuple[ApiKey, str]:
    """A new key, and its text, which nobody can tell again.

    Args:
        scopes: Of read, write and operator.
        days: How long it is good for; as long as its scopes allow where not given.

    Raises:
        InvalidInputError: A name, scope or number of days that makes no sense, or as many keys as the plan
            allows.
        QuotaExceededError: As many were made today as may be in a day.
    """
    now, id, secret = backend.now(), secrets.token_hex(6), secrets.token_urlsafe(32)
    longest = MAX_OPERATOR_LIFETIME if "operator" in scopes else MAX_LIFETIME
    if days is not None and not 1 <= days <= longest.days:
        raise InvalidInputError(
            f"a key with scope {' and '.join(scopes)} is good for 1 to {longest.days} days, not {days}"
        )
    span = longest if days is None else timedelta(days=days)
    made = ApiKey(id, owner, name.strip(), hash_secret(secret), tuple(dict.fromkeys(scopes)), now, now + span)
    most = limits_of(owner).keys
    if sum(key.is_usable(now) for key in find_all(backend.records, ApiKey, owner=owner)) >= most:
        raise InvalidInputError(f"{most} keys are the most allowed; revoke one first")
    backend.commit(lambda commit: _put_new_key(commit, made), completes_event=False)
    return made, format_key(id, secret)


def list_keys(backend: Backend, owner: str = "local") -> list[ApiKey]:
    """All keys of an owner, the newest first."""
    return sorted(
        find_all(backend.records, ApiKey, owner=owner), key=lambda key: (key.created, key.id), reverse=True
    )


def revoke_key(backend: Backend, id: str, owner: str = "local") -> ApiKey:
    """Have a key open nothing any more; one that was revoked before stays so.

    Raises:
        NotFoundError: There is none of that id, or it is another's.
    """
    found = backend.records.get(ApiKey, id)
    if found is None or found.owner != owner:
        raise NotFoundError(f"there is no key {id!r}; see `revisit keys list`")
    if found.revoked:
        return found
    return (
        backend.commit(
            lambda commit: _put_key(
                commit, (commit.get(ApiKey, id) or found).with_changes(revoked=backend.now())
            ),
            completes_event=False,
        )
        or found
    )


def authenticate_key(backend: Backend, key: str) -> ApiKey:
    """The key's record, and so whose it is; the day of its use is noted, once a day.

    Raises:
        UnauthenticatedError: It is none of ours, was revoked, or is over.
    """
    id, secret = parse_key(key)
    found = backend.records.get(ApiKey, id) if id.isalnum() and id.isascii() and len(id) <= 40 else None
    now = backend.now()
    if found is None:
        secrets.compare_digest(hash_secret(secret), DUMMY_DIGEST)
        raise UnauthenticatedError("this key is none of ours; make one with `revisit keys create`")
    if not found.verify(secret, now):
        raise UnauthenticatedError(
            "this key does not open anything: it is wrong, revoked or over; make another"
        )
    if found.used != now.date():
        backend.commit(
            lambda commit: _put_key(commit, (commit.get(ApiKey, id) or found).with_changes(used=now.date())),
            completes_event=False,
        )
    return found


def _put_new_key(commit: Commit, key: ApiKey) -> None:
    usage = reserve_key(commit, key.owner, key.created)
    if usage:
        commit.put(usage)
    commit.put(key)


def _put_key(commit: Commit, key: ApiKey) -> ApiKey:
    commit.put(key)
    return key
