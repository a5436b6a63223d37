"""Whether a project's topics and subscriptions are as Terraform makes them; asks for their descriptions only,
and writes nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from google.api_core.retry import Retry as Retrying

from revisit.adapters.gcp.errors import translate_errors
from revisit.domain.events import EVENTS
from revisit.ports.topology import functions_for

TIMEOUT_S = 20.0
"""Longest a question may take, its tries included."""
ROLE = "roles/pubsub.viewer"
REMEDY = "run `terraform apply`"
BACKFILL_SUFFIX = ".backfill"
"""Ends the name of the subscription that carries the backfill, where another carries all the rest."""


def check(project: str, dead_letters: str) -> list[str]:
    """What is wrong, one sentence each.

    Args:
        dead_letters: Topic and subscription of what was delivered in vain.

    Raises:
        TransientError: Pub/Sub does not answer.
        PermanentError: It refuses this account, or there is none.
    """
    patience: dict[str, Any] = {
        "timeout": TIMEOUT_S,
        "retry": Retrying(initial=0.2, maximum=4.0, timeout=TIMEOUT_S),
    }
    with translate_errors("Pub/Sub", f"the topics of project {project}", ROLE):
        from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

        topics = {
            _short_name(one.name)
            for one in PublisherClient().list_topics(request={"project": f"projects/{project}"}, **patience)
        }
        existing = {
            _short_name(one.name): one
            for one in SubscriberClient().list_subscriptions(
                request={"project": f"projects/{project}"}, **patience
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
    one = existing.get(name)
    if one is None:
        yield f"project {project} has no subscription {name}: {REMEDY}"
    elif _short_name(one.topic) != topic:
        yield f"subscription {name} of project {project} is cut off from topic {topic}, which was made anew: {REMEDY}"
    elif is_push and not one.push_config.push_endpoint:
        yield f"subscription {name} of project {project} pushes to no address, so nothing it carries is handled: {REMEDY}"


def _short_name(path: str) -> str:
    return path.rpartition("/")[2]
