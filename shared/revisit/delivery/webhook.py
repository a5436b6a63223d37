"""Payload and signature of webhooks by the Standard Webhooks specification.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from revisit.domain.alert import Alert
from revisit.domain.clock import format_rfc3339
from revisit.domain.conditions import describe_cover
from revisit.domain.subscription import Subscription
from revisit.errors import InvalidInputError

EVENT_TYPES = {"new": "alert.created", "updated": "alert.updated"}
"""Type of the message by the kind of its alert."""


def payload(alert: Alert, subscription: Subscription, base_url: str = "") -> bytes:
    """The JSON body of a webhook, the same bytes at every attempt.

    Args:
        alert: The alert to send.
        subscription: Subscription of the alert.
        base_url: Public URL of the API, for a link to the result's STAC Item; without it there is no link.
    """
    data: dict[str, Any] = {
        "subscription": subscription.id,
        "name": subscription.name,
        "number": alert.number,
        "kind": alert.kind,
        "updates": alert.updates,
        "acquisition": alert.acquisition,
        "product": alert.product,
        "sensing_time": format_rfc3339(alert.sensing_time),
        "coverage": alert.cover.coverage,
        "clear_fraction": alert.cover.clear_fraction,
        "clear_of_aoi": alert.cover.clear_of_aoi,
        "seen": describe_cover(alert.cover),
        "mask": alert.cover.mask,
        "indices": alert.indices,
        "job": alert.job,
        "backfill": alert.backfill,
        "reason": alert.reason,
    }
    if base_url:
        data["item"] = item_link(alert, base_url)
    return msgspec.json.encode(
        {
            "id": alert.id,
            "type": EVENT_TYPES[alert.kind],
            "timestamp": format_rfc3339(alert.created),
            "data": data,
        }
    )


def item_link(alert: Alert, base_url: str) -> str:
    """Address of the STAC Item of an alert's result."""
    return f"{base_url.rstrip('/')}/results/{alert.job}"


def signed_headers(secret: str, id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks.

    Args:
        secret: One whsec_..., or several separated by spaces during a rotation: each signs.
        id: Idempotency key of the message, the same at every attempt.
        timestamp: Time of this attempt, aware.
        body: The bytes that are sent.

    Raises:
        InvalidInputError: There is no secret, or one is not base64.
    """
    try:
        signatures = [
            Webhook(each).sign(id, timestamp.astimezone(UTC), body.decode()) for each in secret.split()
        ]
    except (ValueError, EmptyWebhookSecretError) as error:
        raise InvalidInputError(f"the webhook secret is not whsec_ followed by base64: {error}") from None
    if not signatures:
        raise InvalidInputError("the webhook has no secret to sign with; rotate its secret")
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(timestamp.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
