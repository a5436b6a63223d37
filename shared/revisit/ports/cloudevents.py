"""Events as they travel: CloudEvents 1.0 in structured JSON, inside the body of a Pub/Sub push.

Attributes repeat what subscribers filter by, so that none has to open the body.
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

TYPE_PREFIX = "io.revisit."
SCHEDULED_EVENTS = (RefreshDue, DeliveriesDue)
"""Events that a clock sends."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event on its way."""

    event: Event
    time: datetime
    """When it happened, UTC."""
    hops: int = 0
    """How many handlers its cause went through."""
    trace: str = ""
    """Id of the first cause, shared by all that follows from it."""
    path: tuple[str, ...] = ()
    """Topics of its causes, the first one first."""

    @property
    def id(self) -> str:
        return self.event.id

    @property
    def lane(self) -> Lane:
        return self.event.lane

    def follow_up(self, event: Event, now: datetime) -> "Envelope":
        """The envelope of an event that a handler of this one causes."""
        return Envelope(event, now, self.hops + 1, self.trace or self.id, (*self.path, self.event.topic))

    def encode(self) -> bytes:
        """The CloudEvent as JSON, keys in a fixed order."""
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
        """Message attributes, all text."""
        return {
            "type": TYPE_PREFIX + self.event.topic,
            "subject": self.event.subject,
            "hops": str(self.hops),
            "trace": self.trace or self.id,
            "lane": self.lane,
        }


def decode(body: bytes, published: datetime | None = None) -> Envelope:
    """Read `Envelope.encode` back.

    Args:
        published: When the queue took it in. A tick of Cloud Scheduler's is the same bytes every time and
            states no time: this is
            its time and, as a redelivered one keeps it, what tells it from others.

    Raises:
        PermanentError: It is not a CloudEvent of ours.
    """
    try:
        raw = msgspec.json.decode(body, type=_CloudEvent)
        kind = EVENTS[raw.type.removeprefix(TYPE_PREFIX)]
        time = raw.time or published
        if time is None:
            raise PermanentError("the message is not a CloudEvent of ours: it states no time")
        tick = {"at": format_rfc3339(time)} if raw.time is None and issubclass(kind, SCHEDULED_EVENTS) else {}
        event = msgspec.convert({**tick, **raw.data}, kind)
    except KeyError:
        raise PermanentError(f"type {raw.type!r} is none of our events") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PermanentError(f"the message is not a CloudEvent of ours: {error}") from None
    return Envelope(event, time, raw.hops, raw.trace, tuple(raw.path.split()))


def scheduler_message(topic: str, **data: str) -> bytes:
    """What Cloud Scheduler publishes at each turn, always the same."""
    return msgspec.json.encode({"type": TYPE_PREFIX + topic, "data": data})


def push_body(envelope: Envelope, subscription: str, message_id: str, attempt: int) -> dict[str, Any]:
    """What Pub/Sub posts to a push subscriber (documented form, Cloud Pub/Sub "Receive push messages")."""
    body = raw_push_body(envelope.encode(), subscription, message_id, attempt)
    body["message"] |= {"attributes": envelope.attributes, "publishTime": format_rfc3339(envelope.time)}
    return body


def raw_push_body(data: bytes, subscription: str, message_id: str, attempt: int) -> dict[str, Any]:
    """The push of any bytes, whether or not they are an event of ours."""
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
    """Read the `message` of a push body, or of the CloudEvent that functions-framework makes of one.

    Raises:
        PermanentError: There is no event of ours in it.
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
    """Read the CloudEvent that functions-framework makes of a request: of a Pub/Sub push in either form, or
    of an event of ours
    sent as it is
    (https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md).

    Raises:
        PermanentError: There is no event of ours in it.
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
    """The same event sent anew, as a replayed dead letter is: young again, its hops forgotten."""
    return replace(envelope, time=now, hops=0, path=())
