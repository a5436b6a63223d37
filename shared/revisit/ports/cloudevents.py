"""Codec of events: CloudEvents 1.0 in structured JSON, as the data of a Pub/Sub push.

Message attributes repeat what subscriptions filter by, so that they need not decode the body.
"""

import base64
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import msgspec

from revisit.domain.clock import format_rfc3339, parse_instant
from revisit.domain.events import EVENTS, DeliveriesDue, Event, RefreshDue
from revisit.domain.job import Lane
from revisit.errors import InvalidInputError, PermanentError
from revisit.ports.json_decoder import json_decoder

TYPE_PREFIX = "io.revisit."
SCHEDULED_EVENTS = (RefreshDue, DeliveriesDue)
"""Events that a scheduler sends."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event with its context."""

    event: Event
    time: datetime
    """Time of the event, UTC."""
    hops: int = 0
    """Number of handlers that the chain of causes has passed through."""
    trace: str = ""
    """Id of the first event in the chain of causes, shared by all that follow."""
    path: tuple[str, ...] = ()
    """Topics of the causes, the first one first."""

    @property
    def id(self) -> str:
        return self.event.id

    @property
    def lane(self) -> Lane:
        return self.event.lane

    def follow_up(self, event: Event, now: datetime) -> "Envelope":
        """The envelope of an event that the handler of this one emits."""
        return Envelope(event, now, self.hops + 1, self.trace or self.id, (*self.path, self.event.topic))

    def encode(self) -> bytes:
        """The CloudEvent as JSON, with keys in a fixed order."""
        id = self.id
        return msgspec.json.encode(
            {
                "specversion": "1.0",
                "id": id,
                "source": "revisit",
                "type": TYPE_PREFIX + self.event.topic,
                "subject": self.event.subject,
                "time": self.time,
                "datacontenttype": "application/json",
                "hops": self.hops,
                "trace": self.trace or id,
                "path": " ".join(self.path),
                "data": self.event,
            }
        )

    @property
    def attributes(self) -> dict[str, str]:
        """Message attributes, all of them text."""
        return {
            "type": TYPE_PREFIX + self.event.topic,
            "subject": self.event.subject,
            "hops": str(self.hops),
            "trace": self.trace or self.id,
            "lane": self.lane,
        }


def decode(body: bytes, published: datetime | None = None) -> Envelope:
    """Decode the result of `Envelope.encode`.

    Args:
        body: The JSON.
        published: Time of publication. A tick of Cloud Scheduler has the same bytes each time and states no
            time; this is its time, which a redelivery keeps and which distinguishes it from other ticks.

    Raises:
        PermanentError: It is not a CloudEvent of Revisit.
    """
    try:
        raw = json_decoder(_CloudEvent).decode(body)
        kind = EVENTS[raw.type.removeprefix(TYPE_PREFIX)]
        time = raw.time or published
        if time is None:
            raise PermanentError("the message is not a CloudEvent of ours: it states no time")
        tick = {"at": format_rfc3339(time)} if raw.time is None and issubclass(kind, SCHEDULED_EVENTS) else {}
        json_decoder(kind)
        event = msgspec.convert({**tick, **raw.data}, kind)
    except KeyError:
        raise PermanentError(f"type {raw.type!r} is none of our events") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PermanentError(f"the message is not a CloudEvent of ours: {error}") from None
    return Envelope(event, time, raw.hops, raw.trace, tuple(raw.path.split()))


def push_body(envelope: Envelope, subscription: str, message_id: str, attempt: int) -> dict[str, Any]:
    """The request body that Pub/Sub posts to a push subscription (Cloud Pub/Sub, "Receive push messages")."""
    body = raw_push_body(envelope.encode(), subscription, message_id, attempt)
    body["message"] |= {"attributes": envelope.attributes, "publishTime": format_rfc3339(envelope.time)}
    return body


def raw_push_body(data: bytes, subscription: str, message_id: str, attempt: int) -> dict[str, Any]:
    """The push body of any bytes, event or not."""
    return {
        "message": {
            "data": base64.b64encode(data).decode(),
            "attributes": {},
            "messageId": message_id,
            "publishTime": "1970-01-01T00:00:00Z",
        },
        "subscription": subscription,
        "deliveryAttempt": attempt,
    }


def from_push(message: dict[str, Any]) -> Envelope:
    """Decode the `message` of a push body, or of the CloudEvent that functions-framework makes of it.

    Raises:
        PermanentError: It contains no event of Revisit.
    """
    try:
        body = base64.b64decode(message["data"], validate=True)
        published = message.get("publishTime")
        time = (
            published if isinstance(published, datetime) else parse_instant(published) if published else None
        )
    except (KeyError, TypeError, ValueError, InvalidInputError):
        raise PermanentError("the push body carries no message data") from None
    return decode(body, time)


def from_cloud_event(cloud_event: Any) -> Envelope:
    """Decode the CloudEvent that functions-framework makes of a request: a Pub/Sub push in either form, or an
    event sent directly
    (https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md).

    Raises:
        PermanentError: It contains no event of Revisit.
    """
    data = cloud_event.data
    if isinstance(data, dict) and isinstance(data.get("message"), dict):
        return from_push(data["message"])
    facts = {name: cloud_event.get(name) for name in ("type", "time", "hops", "trace", "path")}
    known = {
        name: int(value) if name == "hops" and str(value).isdigit() else value
        for name, value in facts.items()
        if value is not None
    }
    return decode(msgspec.json.encode({**known, "data": data}))


class _CloudEvent(msgspec.Struct):
    type: str
    data: dict[str, Any]
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    hops: int = 0
    trace: str = ""
    path: str = ""


def reset_for_replay(envelope: Envelope, now: datetime) -> Envelope:
    """The event as a replay sends it: with the current time, and without its chain of causes."""
    return replace(envelope, time=now, hops=0, path=())
