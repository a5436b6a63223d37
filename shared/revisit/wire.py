"""Events as they travel: CloudEvents 1.0 in structured JSON, inside the body of a Pub/Sub push.

Attributes repeat what subscribers filter by, so that none has to open the body.
"""

import base64
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import msgspec

from revisit.clock import rfc3339
from revisit.errors import GiveUp
from revisit.events import EVENTS, Event
from revisit.job import Lane

TYPE_PREFIX = "io.revisit."


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

    def followed_by(self, event: Event, now: datetime) -> "Envelope":
        """The envelope of an event that a handler of this one causes."""
        return Envelope(event, now, self.hops + 1, self.trace or self.id, (*self.path, self.event.topic))

    def encode(self) -> bytes:
        """The CloudEvent as JSON, keys in a fixed order."""
        id = self.id
        return msgspec.json.encode({
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
        })

    @property
    def attributes(self) -> dict[str, str]:
        """Message attributes, all text."""
        return {"type": TYPE_PREFIX + self.event.topic, "subject": self.event.subject, "hops": str(self.hops),
                "trace": self.trace or self.id, "lane": self.lane}


def decode(body: bytes) -> Envelope:
    """Read `Envelope.encode` back.

    Raises:
        GiveUp: It is not a CloudEvent of ours.
    """
    try:
        raw = msgspec.json.decode(body, type=_Wire)
        kind = EVENTS[raw.type.removeprefix(TYPE_PREFIX)]
        event = msgspec.convert(raw.data, kind)
    except KeyError:
        raise GiveUp(f"type {raw.type!r} is none of our events") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise GiveUp(f"the message is not a CloudEvent of ours: {error}") from None
    return Envelope(event, raw.time, raw.hops, raw.trace, tuple(raw.path.split()))


def push_body(envelope: Envelope, subscription: str, message_id: str, attempt: int) -> dict[str, Any]:
    """What Pub/Sub posts to a push subscriber (documented form, Cloud Pub/Sub "Receive push messages")."""
    body = raw_push_body(envelope.encode(), subscription, message_id, attempt)
    body["message"] |= {"attributes": envelope.attributes, "publishTime": rfc3339(envelope.time)}
    return body


def raw_push_body(data: bytes, subscription: str, message_id: str, attempt: int) -> dict[str, Any]:
    """The push of any bytes, whether or not they are an event of ours."""
    return {
        "message": {"data": base64.b64encode(data).decode(), "attributes": {}, "messageId": message_id,
                    "publishTime": "1970-01-01T00:00:00Z"},
        "subscription": subscription,
        "deliveryAttempt": attempt,
    }


def from_push(message: dict[str, Any]) -> Envelope:
    """Read the `message` of a push body, or of the CloudEvent that functions-framework makes of one.

    Raises:
        GiveUp: There is no event of ours in it.
    """
    try:
        body = base64.b64decode(message["data"], validate=True)
    except (KeyError, TypeError, ValueError):
        raise GiveUp("the push body carries no message data") from None
    return decode(body)


class _Wire(msgspec.Struct):
    type: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    data: dict[str, Any]
    hops: int = 0
    trace: str = ""
    path: str = ""


def again(envelope: Envelope, now: datetime) -> Envelope:
    """The same event sent anew, as a replayed dead letter is: young again, its hops forgotten."""
    return replace(envelope, time=now, hops=0, path=())
