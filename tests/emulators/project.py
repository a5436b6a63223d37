"""A project in the emulators: the topics and subscriptions that Terraform creates, and what is in them."""

import os
import urllib.request
from datetime import UTC, datetime, timedelta

import msgspec
from google.cloud import pubsub_v1
from google.protobuf.duration_pb2 import Duration

from revisit.adapters.gcp.event_bus import DEAD_LETTER_TOPIC
from revisit.domain.events import EVENTS
from revisit.ports.cloudevents import TYPE_PREFIX, Envelope, decode
from revisit.ports.topology import functions_for


def scheduler_message(topic: str, **data: str) -> bytes:
    """The message that Cloud Scheduler publishes at each tick, always the same."""
    return msgspec.json.encode({"type": TYPE_PREFIX + topic, "data": data})


def subscription_name(function: str, topic: str) -> str:
    """Name of the push subscription from a topic to a function, as in Terraform."""
    return f"{function}.{topic}"


def create_topics(
    project: str, urls: dict[str, str] | None = None, ack_deadline_s: int = 60, attempts: int = 8
) -> None:
    """Make the topics and, for each function that hears one, a subscription.

    Args:
        urls: Where each function listens; without it subscriptions are to be pulled, as tests do that look at
            what was sent.
        attempts: After so many a message is dead.
    """
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    dead = publisher.topic_path(project, DEAD_LETTER_TOPIC)
    publisher.create_topic(name=dead)
    subscriber.create_subscription(name=subscriber.subscription_path(project, DEAD_LETTER_TOPIC), topic=dead)
    for topic in EVENTS:
        path = publisher.topic_path(project, topic)
        publisher.create_topic(name=path)
        for function in functions_for(topic):
            request = {
                "name": subscriber.subscription_path(project, subscription_name(function, topic)),
                "topic": path,
                "ack_deadline_seconds": ack_deadline_s,
            }
            if urls is not None:
                request |= {
                    "push_config": {"push_endpoint": f"{urls[function]}/projects/{project}/topics/{topic}"},
                    "retry_policy": {
                        "minimum_backoff": Duration(nanos=200_000_000),
                        "maximum_backoff": Duration(seconds=2),
                    },
                    "dead_letter_policy": {"dead_letter_topic": dead, "max_delivery_attempts": attempts},
                }
            subscriber.create_subscription(request=request)
    subscriber.close()


def pull_events(project: str) -> list[Envelope]:
    """The events that are on their way, each as often as a function hears it; they are back on their way at
    once."""
    subscriber, found = pubsub_v1.SubscriberClient(), []
    for topic in EVENTS:
        for function in functions_for(topic):
            path = subscriber.subscription_path(project, subscription_name(function, topic))
            received = subscriber.pull(
                subscription=path, max_messages=1000, return_immediately=True
            ).received_messages
            found += [decode(one.message.data, one.message.publish_time) for one in received]
            if received:
                subscriber.modify_ack_deadline(
                    subscription=path, ack_ids=[one.ack_id for one in received], ack_deadline_seconds=0
                )
    subscriber.close()
    return found


def discard_events(project: str) -> None:
    """Drop the events that are on their way."""
    subscriber, end = pubsub_v1.SubscriberClient(), datetime.now(UTC) + timedelta(minutes=1)
    for topic in EVENTS:
        for function in functions_for(topic):
            path = subscriber.subscription_path(project, subscription_name(function, topic))
            subscriber.seek(request={"subscription": path, "time": end})
    subscriber.close()


def delete_documents(project: str) -> None:
    """Delete everything in the project's Firestore."""
    host = os.environ["FIRESTORE_EMULATOR_HOST"]
    url = f"http://{host}/emulator/v1/projects/{project}/databases/(default)/documents"
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=60) as answer:
        answer.read()


def publish(project: str, topic: str, data: bytes, **attributes: str) -> str:
    """Publish bytes on a topic, as anybody may; returns the message's id."""
    publisher = pubsub_v1.PublisherClient()
    return str(publisher.publish(publisher.topic_path(project, topic), data, **attributes).result(timeout=30))
