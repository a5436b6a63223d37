"""An order as plain JSON values: how far it is, what was expected of it and what it took."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from revisit.domain.job import FINISHED, Job
from revisit.domain.order import Order
from revisit.pixels.read_estimate import Estimate
from revisit.presenters import documents
from revisit.presenters.documents import API, Places

SOONEST_S, LATEST_S = 1, 10
"""When to ask again: after one second where a job is left, after ten where many are."""
JOBS_A_SECOND = 5


def order(asked: Order, jobs: Sequence[Job], now: datetime, places: Places = API) -> dict[str, Any]:
    """An order with its jobs by sensing time."""
    return {**documents.order_line(asked), **conditions(asked), **standing(asked, jobs, now), "jobs": [documents.job(one, places) for one in jobs]}


def conditions(asked: Order) -> dict[str, Any]:
    """What was asked of the products."""
    return {"level": asked.level, "max_cloud": asked.max_cloud, "min_clear": asked.min_clear, "products": list(asked.products)}


def standing(asked: Order, jobs: Sequence[Job], now: datetime) -> dict[str, Any]:
    """How far an order is and what it took, without its jobs."""
    return {
        "cancelled": documents.moment(asked.cancelled), "progress": progress(asked, jobs), "age_s": age_s(asked, now),
        "estimate": asked.estimate or None, "actual": actual(jobs),
    }


def progress(asked: Order, jobs: Sequence[Job]) -> dict[str, Any]:
    """How many of an order's jobs are where; jobs that are not written yet are open."""
    states = Counter(job.state for job in jobs)
    ended = sum(states[state] for state in FINISHED)
    total = len(asked.jobs)
    return {"total": total, "open": total - ended, **{state: states[state] for state in FINISHED},
            "share": documents.number(ended / total) if total else 1.0}


def age_s(asked: Order, now: datetime) -> float:
    """Seconds from its beginning to its end, or to now."""
    until = now if asked.state == "running" else asked.cancelled or asked.finished or asked.created
    return round(max((until - asked.created).total_seconds(), 0.0), 1)


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
    return {**expected.kept, "assumptions": list(expected.assumptions), "refused": expected.refused}


def wait_s(asked: Order) -> int:
    """After how many seconds asking again is worth while."""
    return min(max(asked.open // JOBS_A_SECOND, SOONEST_S), LATEST_S)
