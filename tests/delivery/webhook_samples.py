"""A webhook's secret and alert, and one post of them."""

from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError, WebhookVerificationError

from revisit.delivery.url_guard import check_url
from revisit.delivery.webhook_client import post
from revisit.domain.alert import Alert, alert_id
from revisit.domain.job import Cover, Statistics
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription
from revisit.domain.webhook_secret import new_key
from revisit.errors import InvalidInputError

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
BODY = b'{"type":"alert.created"}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def verify(secret, headers, body):
    """The decoded payload, as a receiver with the Standard Webhooks library reads it."""
    try:
        return Webhook(secret).verify(body, headers)
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError) as error:
        raise InvalidInputError(f"the webhook's signature is invalid: {error}") from None


def new_secret() -> str:
    return f"whsec_{new_key()}"


def the_subscription(name="Field") -> Subscription:
    return Subscription("sub_1", name, {}, ("32TNR",), Recipe(indices=("NDVI",)), NOW)


def an_alert(**changes) -> Alert:
    fields = {
        "id": alert_id("sub_1", "S2A_1"),
        "subscription": "sub_1",
        "number": 7,
        "job": "job_1",
        "acquisition": "S2A_1",
        "product": "P",
        "sensing_time": NOW - timedelta(days=1),
        "created": NOW,
        "cover": Cover(aoi=400, valid=300, clear=225),
        "indices": {"NDVI": Statistics(225, 0.5, 0.1, 0.25, 0.75, 0.5)},
        **changes,
    }
    return Alert(**fields)


def post_to(hook, headers=None, **options):
    return post(
        check_url(hook.url, {hook.host_and_port}),
        headers or {"webhook-id": "1"},
        BODY,
        NOW,
        **options,
    )
