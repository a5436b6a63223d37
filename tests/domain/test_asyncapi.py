"""docs/asyncapi.json describes all events, and only those, as they are sent."""

import json
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from products import NOW
from revisit.domain.events import EVENTS
from revisit.ports.cloudevents import Envelope
from revisit.ports.topology import SCHEDULED_TOPICS, TRIGGER_TOPICS

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "asyncapi.json").read_text())
PARTS = DOCUMENT["components"]


def test_every_topic_is_a_channel_with_its_event():
    described = {channel["address"]: list(channel["messages"]) for channel in DOCUMENT["channels"].values()}
    assert described == {topic: [event.__name__] for topic, event in EVENTS.items()}
    assert set(described) == set(TRIGGER_TOPICS.values()) | set(SCHEDULED_TOPICS.values())
    assert {
        operation["channel"]["$ref"].rpartition("/")[2] for operation in DOCUMENT["operations"].values()
    } == set(DOCUMENT["channels"])


@pytest.mark.parametrize("topic", EVENTS)
def test_an_encoded_event_is_valid_by_the_document(topic):
    event = EVENTS[topic]
    schema = PARTS["schemas"][event.__name__]
    assert set(schema["properties"]) == {field.name for field in fields(event)}
    assert set(schema["required"]) == {field.name for field in fields(event) if field.default is MISSING}
    assert {name: part["default"] for name, part in schema["properties"].items() if "default" in part} == {
        field.name: field.default for field in fields(event) if field.default is not MISSING
    }
    first = fields(event)[0].name
    envelope = Envelope(event(**{first: "2024-07-01T12:00:00Z"}), NOW)
    message = PARTS["messages"][event.__name__]
    validator = Draft202012Validator({**message["payload"], "components": PARTS})
    body = json.loads(envelope.encode())
    validator.validate(body)
    assert message["name"] == body["type"] and set(body) == set(PARTS["schemas"]["CloudEvent"]["properties"])
    headers = PARTS["messageTraits"]["CloudEvent"]["headers"]
    Draft202012Validator(headers).validate(envelope.attributes)
    assert set(envelope.attributes) == set(headers["properties"])
    assert not validator.is_valid({**body, "data": {**body["data"], first: 7}})
