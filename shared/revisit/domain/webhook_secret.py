"""Webhook signing secrets, derived from one key, so that no secret is stored."""

import base64
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from revisit.domain.clock import format_rfc3339
from revisit.domain.subscription import Channel, Subscription
from revisit.errors import InvalidInputError

KEY_BYTES = 32


def new_key() -> str:
    """A new key as text: 32 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def parse_key(text: str, location: str) -> bytes:
    """Parse a key. Error messages never contain it, because they are logged.

    Args:
        text: The key in base64.
        location: Where it is from, for the error message: "REVISIT_SIGNING_KEY".

    Raises:
        InvalidInputError: It is not a key.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise InvalidInputError(
            f"{location} holds no key to sign webhooks with: it needs {KEY_BYTES} or more random bytes in "
            "base64; restore the previous key, or set a new one (`openssl rand -base64 32`), which changes "
            "the secret of every webhook"
        )
    return key


def derive_secret(key: bytes, subscription: Subscription, channel: Channel, generation: int) -> str:
    """A secret of a webhook: whsec_ and 32 bytes in base64.

    A subscription that is deleted and created again has other secrets than before.
    """
    if not generation:
        return channel.secret
    text = "|".join(
        ("webhook", subscription.id, format_rfc3339(subscription.created), channel.id, str(generation))
    )
    return "whsec_" + base64.b64encode(hmac.digest(key, text.encode(), sha256)).decode()


def active_secrets(
    load_key: Callable[[], bytes], subscription: Subscription, channel: Channel, now: datetime
) -> list[str]:
    """All secrets with which a webhook is signed at present, newest first.

    Args:
        load_key: Returns the key; not called if only the secret of an old record is needed.
        subscription: The subscription.
        channel: Its webhook.
        now: Current time.
    """
    return [
        secret
        for secret in (
            derive_secret(load_key() if generation else b"", subscription, channel, generation)
            for generation in channel.active_generations(now)
        )
        if secret
    ]
