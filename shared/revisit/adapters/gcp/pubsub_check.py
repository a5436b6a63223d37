"""Check that a project's topics and subscriptions match Terraform's; read-only."""

from collections.abc import Iterator, Mapping
from typing import Any

from google.api_core.retry import Retry as Retrying

from revisit.adapters.gcp.errors import translate_errors
from revisit.domain.events import EVENTS
from revisit.ports.topology import functions_for

TIMEOUT_S = 20.0
"""Longest that one request may take with its retries, seconds."""
ROLE = "roles/pubsub.viewer"
REMEDY = "run `terraform apply`"
BACKFILL_SUFFIX = ".backfill"
"""Suffix of a subscription for the backfill lane, if the lanes have separate subscriptions."""


def check(project: str, dead_letters: str) -> list[str]:
    """Faults, one sentence each.

    Args:
        project: Project id.
        dead_letters: Name of the dead-letter topic and of its subscription.

    Raises:
        TransientError: Pub/Sub does not answer.
        PermanentError: Pub/Sub refuses this account, or there is no account.
    """
    options: dict[str, Any] = {
        "timeout": TIMEOUT_S,
        "retry": Retrying(initial=0.2, maximum=4.0, timeout=TIMEOUT_S),
    }
    with translate_errors("Pub/Sub", f"the topics of project {project}", ROLE):
        from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

        topics = {
            _short_name(found.name)
            for found in PublisherClient().list_topics(request={"project": f"projects/{project}"}, **options)
        }
        existing = {
            _short_name(found.name): found
            for found in SubscriberClient().list_subscriptions(
                request={"project": f"projects/{project}"}, **options
            )
        }
    return [
        *_check_topics(project, topics, dead_letters),
        *_check_subscriptions(project, existing, dead_letters),
    ]


def _check_topics(project: str, existing: set[str], dead_letters: str) -> Iterator[str]:
    for topic in (*EVENTS, dead_letters):
        if topic not in existing:
            yield f"project {project} has no topic {topic}: {REMEDY}"


def _check_subscriptions(project: str, existing: Mapping[str, Any], dead_letters: str) -> Iterator[str]:
    for topic in EVENTS:
        for function in functions_for(topic):
            name = f"{function}.{topic}"
            yield from _check_subscription(project, existing, name, topic)
            if name in existing and existing[name].filter:
                yield from _check_subscription(project, existing, name + BACKFILL_SUFFIX, topic)
    yield from _check_subscription(project, existing, dead_letters, dead_letters, is_push=False)


def _check_subscription(
    project: str, existing: Mapping[str, Any], name: str, topic: str, is_push: bool = True
) -> Iterator[str]:
    found = existing.get(name)
    if found is None:
        yield f"project {project} has no subscription {name}: {REMEDY}"
    elif _short_name(found.topic) != topic:
        yield (
            f"subscription {name} of project {project} is cut off from topic {topic}, "
            f"which was created again: {REMEDY}"
        )
    elif is_push and not found.push_config.push_endpoint:
        yield (
            f"subscription {name} of project {project} pushes to no address, "
            f"so nothing it carries is handled: {REMEDY}"
        )


def _short_name(path: str) -> str:
    return path.rpartition("/")[2]
