"""The secrets that webhooks are signed with: told when they are made, and replaced."""

from revisit.backend import Backend, Commit
from revisit.commands.subscribing import change_record
from revisit.errors import Conflict, NotFound
from revisit.signing_key import secret_of
from revisit.subscription import Channel, Subscription


def webhook_secrets(backend: Backend, watcher: Subscription) -> dict[str, str]:
    """The present secret of each of its webhooks, by the channel's id.

    Raises:
        GiveUp: There is no key that they are derived from.
    """
    return {channel.id: secret_of(backend.signing_key() if channel.generation else b"", watcher, channel, channel.generation)
            for channel in watcher.channels if channel.kind == "webhook"}


def rotate_secret(backend: Backend, id: str, channel: str, owner: str = "local") -> tuple[Subscription, Channel]:
    """Give a webhook a new secret; what it is sent within the next day is signed with the one before too.

    Args:
        id: Of the subscription, or its name.
        channel: Id of the channel, or its address.

    Raises:
        NotFound: There is no such subscription, or it has no such channel.
        Conflict: The channel is a file, or got as many secrets as one can be told in a day.
        GiveUp: There is no key to derive it from; nothing has been written.
    """
    backend.signing_key()
    now = backend.now()

    def work(_: Commit, there: Subscription) -> Subscription:
        rotated = _named(there, channel).rotate(now)
        return there.updated(channels=tuple(rotated if one.id == rotated.id else one for one in there.channels))

    changed = change_record(backend, id, owner, work)
    return changed, _named(changed, channel)


def _named(watcher: Subscription, channel: str) -> Channel:
    for one in watcher.channels:
        if channel in (one.id, one.target):
            if one.kind != "webhook":
                raise Conflict(f"{one.target} is a file, which is not signed; only a webhook has a secret")
            return one
    raise NotFound(f"subscription {watcher.name!r} has no channel {channel!r}; see `revisit subscriptions show {watcher.id} --json`")
