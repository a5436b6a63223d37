"""Orders as plain JSON values: progress, estimate and usage."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from revisit.domain.conditions import limit_fields
from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.order import Order
from revisit.pixels.read_estimate import Estimate
from revisit.presenters import documents
from revisit.presenters.documents import API_URLS, UrlBuilder

MIN_RETRY_AFTER_S, MAX_RETRY_AFTER_S = 1, 10
"""Range of Retry-After: one second if one job is open, ten if many are."""
JOBS_PER_SECOND = 5


def order_details(
    order: Order, jobs: Sequence[Job], now: datetime, urls: UrlBuilder = API_URLS
) -> dict[str, Any]:
    """An order with its jobs by sensing time."""
    return {
        **documents.order_summary(order),
        **conditions(order),
        **order_status(order, jobs, now),
        "jobs": [documents.job(job, urls) for job in jobs],
    }


def conditions(order: Order) -> dict[str, Any]:
    """The conditions that products of the order must meet."""
    return {
        "level": order.level,
        "per_tile": order.per_tile,
        "max_cloud": order.max_cloud,
        **limit_fields(order),
        "products": list(order.products),
    }


def order_status(order: Order, jobs: Sequence[Job], now: datetime) -> dict[str, Any]:
    """Progress and usage of an order, without its jobs."""
    return {
        "cancelled": documents.json_time(order.cancelled),
        "progress": progress(order, jobs),
        "age_s": age_s(order, now),
        "estimate": order.estimate or None,
        "actual": actual(jobs),
    }


def progress(order: Order, jobs: Sequence[Job]) -> dict[str, Any]:
    """Number of jobs by state; jobs that are not written yet count as open."""
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


def progress_text(progress: dict[str, Any]) -> str:
    """The number of jobs by state as text, such as "3 done, 16 skipped"."""
    states = ("done", "skipped", "failed", "open")
    return ", ".join(f"{progress[name]:,} {name}" for name in states if progress[name]) or "no acquisition"


def age_s(order: Order, now: datetime) -> float:
    """Seconds from its creation to its end, or until now."""
    until = (
        now if order.state in ("selecting", "running") else order.cancelled or order.finished or order.created
    )
    return round(max((until - order.created).total_seconds(), 0.0), 1)


def actual(jobs: Sequence[Job]) -> dict[str, Any]:
    """Usage of the jobs so far; bytes are null if a reader does not count them."""
    processed = [job for job in jobs if job.spent.pixels]
    read = [job.spent.bytes_read for job in processed]
    return {
        "pixels": sum(job.spent.pixels for job in processed),
        "bytes_read": None if None in read else sum(count for count in read if count is not None),
        "bytes_written": sum(asset.size for job in jobs for asset in job.assets),
        "seconds": round(sum(job.spent.seconds for job in jobs), 2),
    }


def estimate(expected: Estimate) -> dict[str, Any]:
    """An estimate, before the order runs."""
    return {
        **expected.record_fields,
        "assumptions": list(expected.assumptions),
        "notes": list(expected.notes),
        "refused": expected.refused,
    }


def retry_after_s(order: Order) -> int:
    """Seconds after which a client should poll again."""
    return min(max(order.open // JOBS_PER_SECOND, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)
