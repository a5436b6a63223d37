"""Atom feed of a subscription's alerts.

Format: RFC 4287. An entry's id is a tag URI (RFC 4151), which does not depend on where the feed is served.
"""

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from revisit.delivery.webhook import item_link
from revisit.domain.alert import Alert
from revisit.domain.clock import format_rfc3339
from revisit.domain.conditions import describe_cover
from revisit.domain.job import Statistics
from revisit.domain.subscription import Subscription

ATOM_NAMESPACE = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"
MAX_ENTRIES = 100
"""Entries of a feed: the latest alerts."""

_INVALID_XML_CHARS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 (section 2.2) does not allow, not even escaped."""


def render_feed(subscription: Subscription, alerts: Iterable[Alert], base_url: str) -> bytes:
    """The feed as an XML document in UTF-8.

    Args:
        subscription: Its `feed_token` is part of the address.
        alerts: In any order; the latest 100 are listed, newest first.
        base_url: Public URL of the API, for links.
    """
    shown = sorted(alerts, key=lambda alert: alert.number, reverse=True)[:MAX_ENTRIES]
    updated = max((alert.created for alert in shown), default=subscription.created)
    feed = ET.Element("feed", xmlns=ATOM_NAMESPACE)
    _add_element(feed, "id", _tag_uri(subscription, subscription.id))
    _add_element(feed, "title", f"{subscription.name}: clear acquisitions")
    _add_element(feed, "updated", format_rfc3339(updated))
    _add_element(_add_element(feed, "author"), "name", "Revisit")
    _add_element(feed, "generator", "Revisit")
    _add_element(feed, "link", rel="self", type=MEDIA_TYPE, href=feed_url(subscription, base_url))
    for alert in shown:
        feed.append(_entry(subscription, alert, base_url))
    document: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return document


def feed_url(subscription: Subscription, base_url: str) -> str:
    """Address of the feed. It is secret: everyone who has it can read the feed."""
    return f"{base_url.rstrip('/')}/feeds/{subscription.feed_token}.atom"


def _entry(subscription: Subscription, alert: Alert, base_url: str) -> ET.Element:
    entry = ET.Element("entry")
    _add_element(entry, "id", _tag_uri(subscription, alert.id))
    _add_element(
        entry,
        "title",
        f"{subscription.name} #{alert.number}: {alert.sensing_time:%Y-%m-%d}, {describe_cover(alert.cover)}"
        + (f" (updates #{alert.updates})" if alert.updates else ""),
    )
    _add_element(entry, "updated", format_rfc3339(alert.created))
    _add_element(entry, "published", format_rfc3339(alert.created))
    _add_element(entry, "link", rel="alternate", type="application/geo+json", href=item_link(alert, base_url))
    if alert.kind == "updated":
        _add_element(entry, "category", term="updated")
    if alert.backfill:
        _add_element(entry, "category", term="backfill")
    _add_element(entry, "summary", alert_summary(alert))
    return entry


def alert_summary(alert: Alert) -> str:
    """An alert in plain text, one sentence per figure."""
    sentences = [
        f"{alert.product}, sensed {format_rfc3339(alert.sensing_time)}.",
        f"{describe_cover(alert.cover)}.",
    ]
    if alert.updates:
        sentences.append(f"Updates alert #{alert.updates}: further data of the same pass appeared.")
    sentences += [_index_summary(name, values) for name, values in sorted(alert.indices.items())]
    if alert.reason:
        sentences.append(f"Note: {alert.reason}.")
    return " ".join(sentences)


def _index_summary(name: str, values: Statistics) -> str:
    if values.mean is None or values.min is None or values.max is None:
        return f"{name}: no clear pixel."
    return (
        f"{name}: mean {values.mean:.4f}, from {values.min:.4f} to {values.max:.4f}, {values.count:,} pixels."
    )


def _tag_uri(subscription: Subscription, id: str) -> str:
    """A tag URI: our authority, the day on which the subscription was created, and the id."""
    return f"tag:revisit.invalid,{subscription.created:%Y-%m-%d}:{id}"


def _add_element(parent: ET.Element, name: str, text: str = "", **attributes: str) -> ET.Element:
    child = ET.SubElement(
        parent, name, {key: _replace_invalid_chars(value) for key, value in attributes.items()}
    )
    if text:
        child.text = _replace_invalid_chars(text)
    return child


def _replace_invalid_chars(text: str) -> str:
    return _INVALID_XML_CHARS.sub("\ufffd", text)
