"""Subscriptions of an owner: lookup, and changes in one commit."""

from collections.abc import Callable, Collection
from hashlib import sha256

import msgspec

from revisit.domain.subscription import Subscription
from revisit.errors import NotFoundError, PreconditionFailedError
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import find_all
from revisit.ports.record_types import encode


def get_subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """A subscription of this owner by its id, or by its name where that is the only one.

    Raises:
        NotFoundError: There is none, it is deleted, or it is another's.
    """
    found = backend.records.get(Subscription, id)
    if found is not None and found.owner == owner and found.state != "deleted":
        return found
    named = [there for there in list_subscriptions(backend, owner) if there.name == id]
    if len(named) == 1:
        return named[0]
    several = (
        f"; {len(named)} have that name, so give the id" if named else "; see `revisit subscriptions list`"
    )
    raise NotFoundError(f"there is no subscription {id!r}{several}")


def list_subscriptions(backend: Backend, owner: str = "local") -> list[Subscription]:
    """The subscriptions of an owner that are not deleted, the oldest first."""
    there = find_all(backend.records, Subscription, owner=owner)
    return sorted((one for one in there if one.state != "deleted"), key=lambda one: (one.created, one.id))


def update_subscription_record(
    backend: Backend,
    id: str,
    owner: str,
    change: Callable[[Commit, Subscription], Subscription],
    expected_revisions: Collection[str] | None = None,
) -> Subscription:
    """Change a stored subscription in one commit.

    Args:
        change: Gives the changed one from the present one; it reads first, and may then put what goes with
            it.
        expected_revisions: Revisions, one of which it must have; None takes any.

    Raises:
        NotFoundError: There is none, or it is another's.
        PreconditionFailedError: It has another revision.
    """
    found = get_subscription(backend, id, owner)

    def work(commit: Commit) -> Subscription:
        there = commit.get(Subscription, found.id)
        if there is None or there.state == "deleted":
            raise NotFoundError(f"subscription {id!r} has been deleted meanwhile")
        if expected_revisions is not None and revision(there) not in expected_revisions:
            raise PreconditionFailedError(
                f"subscription {there.name!r} has been changed since it was read; read it again, and then "
                "say what is to be different"
            )
        changed = change(commit, there)
        if changed != there:
            commit.put(changed)
        return changed

    return backend.commit(work, completes_event=False) or found


LATER_FIELDS = {"min_coverage": None, "min_clear_of": "seen"}
"""Fields that earlier versions did not have, with the value that means the same as having none."""


def revision(subscription: Subscription) -> str:
    """Revision of a subscription: it changes with every field that can be changed, not with new alerts.

    Later fields count only where they have another value, so the revision of a record of an earlier version
    is the one that version gave it.
    """
    record = encode(subscription.with_changes(alerts=0, last_sensing=None, last_alert=None))
    fields = msgspec.json.decode(record)
    for name, value in LATER_FIELDS.items():
        if fields[name] == value:
            del fields[name]
    return sha256(msgspec.json.encode(fields)).hexdigest()[:16]
