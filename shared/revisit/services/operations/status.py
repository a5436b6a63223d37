"""Status of queue, sources, jobs, alerts and deliveries."""

from dataclasses import replace
from typing import Any

from revisit import __version__
from revisit.chain.refresh import normalize_spec
from revisit.domain.alert import Alert
from revisit.domain.delivery import Delivery
from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend
from revisit.ports.event_bus import QueueDepth
from revisit.ports.pagination import find_all
from revisit.ports.system_records import DeadLetter, SourceState
from revisit.presenters.documents import json_time

MAX_INCOMPLETE_SHOWN = 20
"""Incomplete products of a source that are named."""

JOB_STATES = ("started", "extracted", *FINISHED_STATES)


def get_status(backend: Backend) -> dict[str, Any]:
    """The status that `revisit status` and GET /status show, as plain JSON values."""
    count = backend.records.count
    return {
        "version": __version__,
        "queue": queue_status(backend),
        "sources": source_statuses(backend),
        "subscriptions": {state: count(Subscription, state=state) for state in ("active", "paused")},
        "jobs": {state: count(Job, state=state) for state in JOB_STATES},
        "alerts": count(Alert),
        "deliveries": {state: count(Delivery, state=state) for state in ("due", "delivered", "failed")},
        "dead_letters": count(DeadLetter),
    }


def queue_status(backend: Backend) -> dict[str, Any]:
    """Number of messages that are ready, leased or delayed, and the age of the oldest.

    In a deployment this includes the messages in Pub/Sub, as measured at `as_of`, or a note why they are
    unknown.
    """
    carried = backend.bus.statistics()
    depths: dict[tuple[str, str], QueueDepth] = {}
    for depth in (*backend.bus.depth(), *carried.depths):
        there = depths.get((depth.function, depth.lane))
        depths[depth.function, depth.lane] = _add_depths(there, depth) if there else depth
    return {
        "ready": sum(depth.ready for depth in depths.values()),
        "leased": sum(depth.leased for depth in depths.values()),
        "delayed": sum(depth.delayed for depth in depths.values()),
        "oldest_s": round(max((depth.oldest_s for depth in depths.values()), default=0.0), 1),
        "functions": [
            {
                "function": depth.function,
                "lane": depth.lane,
                "ready": depth.ready,
                "leased": depth.leased,
                "delayed": depth.delayed,
                "oldest_s": round(depth.oldest_s, 1),
            }
            for _, depth in sorted(depths.items())
        ],
        "as_of": json_time(carried.measured_at),
        "note": carried.note or None,
    }


def _add_depths(one: QueueDepth, other: QueueDepth) -> QueueDepth:
    return replace(
        one,
        ready=one.ready + other.ready,
        leased=one.leased + other.leased,
        delayed=one.delayed + other.delayed,
        oldest_s=max(one.oldest_s, other.oldest_s),
    )


def source_statuses(backend: Backend) -> list[dict[str, Any]]:
    """Each source with its freshness and the result of its last refresh."""
    fresh = {entry.source: entry for entry in backend.catalog().freshness()}
    known = {state.id: state for state in find_all(backend.records, SourceState)}
    statuses = []
    refreshed = [normalize_spec(backend, spec) for spec in backend.sources]
    for spec in dict.fromkeys((*refreshed, *sorted(fresh), *sorted(known))):
        entry, state = fresh.get(spec), known.get(spec)
        latest = entry.last_sensing if entry else None
        statuses.append(
            {
                "source": spec,
                "products": entry.rows if entry else 0,
                "last_sensing": json_time(entry.last_sensing) if entry else None,
                "last_published": json_time(entry.last_published) if entry else None,
                "lag_hours": round((backend.now() - latest).total_seconds() / 3600, 1) if latest else None,
                "refreshed": json_time(state.refreshed) if state else None,
                "rejected": state.rejections if state else 0,
                "rejections": [
                    {"row": name, "reason": reason} for name, reason in state.rejection_examples.items()
                ]
                if state
                else [],
                "incomplete": incomplete_products(state) if state else [],
                "removed": state.removed if state else 0,
                "error": (state.error or None) if state else None,
            }
        )
    return statuses


def incomplete_products(state: SourceState) -> list[dict[str, Any]]:
    """Products of a source whose files are incomplete, with what is missing and whether they wait for it."""
    return [
        {"product": product, "missing": missing, "waiting": product in state.held}
        for product, missing in sorted(state.incomplete.items())[:MAX_INCOMPLETE_SHOWN]
    ]
