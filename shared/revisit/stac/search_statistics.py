"""Statistics of the items that a search finds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice, pairwise
from statistics import fmean, median
from typing import Any

from revisit.ports.backend import Backend
from revisit.presenters.documents import json_number, json_time
from revisit.stac.item_search import MAX_ITEMS, SearchHit, find_items
from revisit.stac.search_query import ItemQuery

_DAY_S = 86_400


def summarize_search(backend: Backend, query: ItemQuery, owner: str) -> dict[str, Any]:
    """Counts, sizes, cloud covers and revisit times of the items found; of the latest 10,000 where there
    are more."""
    found = list(islice(find_items(backend, query, owner), MAX_ITEMS + 1))
    return {"complete": len(found) <= MAX_ITEMS, **summarize_items(found[:MAX_ITEMS])}


def summarize_items(hits: Sequence[SearchHit]) -> dict[str, Any]:
    """Statistics of some items."""
    sizes = [one.product.size for one in hits]
    clouds = [one.product.cloud_cover for one in hits]
    months: defaultdict[str, list[SearchHit]] = defaultdict(list)
    for one in hits:
        months[f"{one.product.sensing_time:%Y-%m}"].append(one)
    return {
        "count": len(hits),
        "size": None if any(size is None for size in sizes) else sum(size or 0 for size in sizes),
        "cloud_cover": {"mean": _mean(clouds), "known": sum(cloud is not None for cloud in clouds)},
        "months": [
            {
                "month": month,
                "count": len(those),
                "cloud_cover": _mean(one.product.cloud_cover for one in those),
            }
            for month, those in sorted(months.items())
        ],
        "platforms": dict(sorted(Counter(one.product.platform for one in hits).items())),
        "revisit": _revisit_gaps(hits),
    }


def _revisit_gaps(hits: Iterable[SearchHit]) -> dict[str, Any]:
    """Times between passes over the area, however many tiles and products each has."""
    passes: dict[tuple[str, str], datetime] = {}
    for one in hits:
        passed = (one.product.platform, one.product.datatake)
        passes[passed] = min(passes.get(passed, one.product.sensing_time), one.product.sensing_time)
    gaps = [(later - earlier, earlier, later) for earlier, later in pairwise(sorted(passes.values()))]
    if not gaps:
        return dict.fromkeys(("median_days", "longest_days", "longest_from", "longest_to"))
    longest = max(gaps)
    return {
        "median_days": json_number(median(gap.total_seconds() for gap, _, _ in gaps) / _DAY_S),
        "longest_days": json_number(longest[0].total_seconds() / _DAY_S),
        "longest_from": json_time(longest[1]),
        "longest_to": json_time(longest[2]),
    }


def _mean(clouds: Iterable[float | None]) -> float | None:
    known = [cloud for cloud in clouds if cloud is not None]
    return json_number(fmean(known)) if known else None
