"""An order as plain JSON values: how far it is, what was expected of it and what it took."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.order import Order
from revisit.pixels.read_estimate import Estimate
from revisit.presenters import documents
from revisit.presenters.documents import API_URLS, UrlBuilder

MIN_RETRY_AFTER_S, MAX_RETRY_AFTER_S = 1, 10
"""When to ask again: after one second where a job is left, after ten where many are."""
JOBS_PER_SECOND = 5


def order_details(
    order: Order, jobs: Sequence[Job], now: datetime, urls: UrlBuilder = API_URLS
) -> dict[str, Any]:
    """An order with its jobs by sensing time."""
    return {
        **documents.order_summary(order),
        **conditions(order),
        **order_status(order, jobs, now),
        "jobs": [documents.job(one, urls) for one in jobs],
    }


def conditions(order: Order) -> dict[str, Any]:
    """What was asked of the products."""
    return {
        "level": order.level,
        "max_cloud": order.max_cloud,
        "min_clear": order.min_clear,
        "products": list(order.products),
    }


def order_status(order: Order, jobs: Sequence[Job], now: datetime) -> dict[str, Any]:
    """How far an order is and what it took, without its jobs."""
    return {
        "cancelled": documents.json_time(order.cancelled),
        "progress": progress(order, jobs),
        "age_s": age_s(order, now),
        "estimate": order.estimate or None,
        "actual": actual(jobs),
    }


def progress(order: Order, jobs: Sequence[Job]) -> dict[str, Any]:
    """How many of an order's jobs are where; jobs that are not written yet are open."""
    states = Counter(job.state for job in jobs)
    ended = sum(states[state] for state in FINISHED_STATES)
    total = len(order.jobs)
    return {
        "total": total,
        "open": total - ended,
        **{state: states[state] for state in FINISHED_STATES},
        "share": documents.json_number(ended / total)
        if total
        else 0.0
        if order.state == "selecting"
        else 1.0,
    }


def age_s(order: Order, now: datetime) -> float:
    """Seconds from its beginning to its end, or to now."""
    until = (
        now if order.state in ("selecting", "running") else order.cancelled or order.finished or order.created
    )
    return round(max((until - order.created).total_seconds(), 0.0), 1)


def actual(jobs: Sequence[Job]) -> dict[str, Any]:
    """What the jobs took so far; bytes are null where a reader does not tell them."""
    worked = [job for job in jobs if job.spent.pixels]
    read = [job.spent.bytes_read for job in worked]
    return {
        "pixels": sum(job.spent.pixels for job in worked),
        "bytes_read": None if None in read else sum(count for count in read if count is not None),
        "bytes_written": sum(asset.size for job in jobs for asset in job.assets),
        "seconds": round(sum(job.spent.seconds for job in jobs), 2),
    }


def estimate(expected: Estimate) -> dict[str, Any]:
    """What is expected, before it runs."""
    return {**expected.record_fields, "assumptions": list(expected.assumptions), "refused": expected.refused}


def retry_after_s(order: Order) -> int:
    """After how many seconds asking again is worth while."""
    return min(max(order.open // JOBS_PER_SECOND, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)
