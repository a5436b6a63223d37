"""Whether a project's topics and subscriptions are as Terraform makes them; asks for their descriptions only, and writes nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from google.api_core.retry import Retry as Retrying

from revisit.adapters.gcp.errors import asking
from revisit.domain.events import EVENTS
from revisit.ports.topology import hearers

SECONDS = 20.0
"""Longest a question may take, its tries included."""
ROLE = "roles/pubsub.viewer"
REMEDY = "run `terraform apply`"
BACKFILL = ".backfill"
"""Ends the name of the subscription that carries the backfill, where another carries all the rest."""


def check(project: str, dead_letters: str) -> list[str]:
    """What is wrong, one sentence each.

    Args:
        dead_letters: Topic and subscription of what was delivered in vain.

    Raises:
        Retry: Pub/Sub does not answer.
        GiveUp: It refuses this account, or there is none.
    """
    patience: dict[str, Any] = {"timeout": SECONDS, "retry": Retrying(initial=0.2, maximum=4.0, timeout=SECONDS)}
    with asking("Pub/Sub", f"the topics of project {project}", ROLE):
        from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

        topics = {_last(one.name) for one in PublisherClient().list_topics(request={"project": f"projects/{project}"}, **patience)}
        there = {_last(one.name): one
                 for one in SubscriberClient().list_subscriptions(request={"project": f"projects/{project}"}, **patience)}
    return [*_topics(project, topics, dead_letters), *_subscriptions(project, there, dead_letters)]


def _topics(project: str, there: set[str], dead_letters: str) -> Iterator[str]:
    for topic in (*EVENTS, dead_letters):
        if topic not in there:
            yield f"project {project} has no topic {topic}: {REMEDY}"


def _subscriptions(project: str, there: Mapping[str, Any], dead_letters: str) -> Iterator[str]:
    for topic in EVENTS:
        for function in hearers(topic):
            name = f"{function}.{topic}"
            yield from _subscription(project, there, name, topic)
            if name in there and there[name].filter:
                yield from _subscription(project, there, name + BACKFILL, topic)
    yield from _subscription(project, there, dead_letters, dead_letters, pushes=False)


def _subscription(project: str, there: Mapping[str, Any], name: str, topic: str, pushes: bool = True) -> Iterator[str]:
    one = there.get(name)
    if one is None:
        yield f"project {project} has no subscription {name}: {REMEDY}"
    elif _last(one.topic) != topic:
        yield f"subscription {name} of project {project} is cut off from topic {topic}, which was made anew: {REMEDY}"
    elif pushes and not one.push_config.push_endpoint:
        yield f"subscription {name} of project {project} pushes to no address, so nothing it carries is handled: {REMEDY}"


def _last(path: str) -> str:
    return path.rpartition("/")[2]
