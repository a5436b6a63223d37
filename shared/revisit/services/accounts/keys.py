"""API keys: creation, listing, revocation and authentication."""

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
"""Dummy hash for unknown ids, so that looking one up takes as long as a known one."""


def create_key(
    backend: Backend,
    name: str,
    scopes: Sequence[str] = ("read",),
    days: int | None = None,
    owner: str = "local",
) -> tuple[ApiKey, str]:
    """Create a key; returns its record and the key itself, which is not stored.

    Args:
        backend: The backend.
        name: Name given by the owner.
        scopes: Scopes among read, write and operator.
        days: Days until it expires; None takes the maximum for its scopes.
        owner: Id of the owner.

    Raises:
        InvalidInputError: A name, scope or number of days is invalid, or the plan allows no more keys.
        QuotaExceededError: Too many keys were created today.
    """
    now, id, secret = backend.now(), secrets.token_hex(6), secrets.token_urlsafe(32)
    longest = MAX_OPERATOR_LIFETIME if "operator" in scopes else MAX_LIFETIME
    if days is not None and not 1 <= days <= longest.days:
        raise InvalidInputError(
            f"a key with scope {' and '.join(scopes)} is valid for 1 to {longest.days} days, not {days}"
        )
    span = longest if days is None else timedelta(days=days)
    made = ApiKey(id, owner, name.strip(), hash_secret(secret), tuple(dict.fromkeys(scopes)), now, now + span)
    most = limits_of(owner).keys
    if sum(key.is_usable(now) for key in find_all(backend.records, ApiKey, owner=owner)) >= most:
        raise InvalidInputError(f"{most} keys are the most allowed; revoke one first")
    backend.commit(lambda commit: _put_new_key(commit, made), completes_event=False)
    return made, format_key(id, secret)


def list_keys(backend: Backend, owner: str = "local") -> list[ApiKey]:
    """All keys of an owner, newest first."""
    return sorted(
        find_all(backend.records, ApiKey, owner=owner), key=lambda key: (key.created, key.id), reverse=True
    )


def revoke_key(backend: Backend, id: str, owner: str = "local") -> ApiKey:
    """Revoke a key; a revoked one stays revoked.

    Raises:
        NotFoundError: There is no key with that id, or it belongs to another owner.
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
    """The record of a key, which names its owner; the day of use is recorded once a day.

    Raises:
        UnauthenticatedError: The key is unknown, revoked or expired.
    """
    id, secret = parse_key(key)
    found = backend.records.get(ApiKey, id) if id.isalnum() and id.isascii() and len(id) <= 40 else None
    now = backend.now()
    if found is None:
        secrets.compare_digest(hash_secret(secret), DUMMY_DIGEST)
        raise UnauthenticatedError("unknown API key; create one with `revisit keys create`")
    if not found.verify(secret, now):
        raise UnauthenticatedError("this API key is wrong, revoked or expired; create another")
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
