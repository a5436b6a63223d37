"""What a search finds, in numbers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice, pairwise
from statistics import fmean, median
from typing import Any

from revisit.ports.backend import Backend
from revisit.presenters.documents import moment, number
from revisit.stac.item_search import MOST, Found, find
from revisit.stac.search_query import Wanted

_DAY_S = 86_400


def statistics(backend: Backend, wanted: Wanted, owner: str) -> dict[str, Any]:
    """Counts, sizes, clouds and gaps of what is wanted; of the latest 10,000 where there is more."""
    found = list(islice(find(backend, wanted, owner), MOST + 1))
    return {"complete": len(found) <= MOST, **summed(found[:MOST])}


def summed(found: Sequence[Found]) -> dict[str, Any]:
    """Of some items."""
    sizes = [one.product.size for one in found]
    clouds = [one.product.cloud_cover for one in found]
    months: defaultdict[str, list[Found]] = defaultdict(list)
    for one in found:
        months[f"{one.product.sensing_time:%Y-%m}"].append(one)
    return {
        "count": len(found),
        "size": None if any(size is None for size in sizes) else sum(size or 0 for size in sizes),
        "cloud_cover": {"mean": _mean(clouds), "known": sum(cloud is not None for cloud in clouds)},
        "months": [{"month": month, "count": len(those), "cloud_cover": _mean(one.product.cloud_cover for one in those)}
                   for month, those in sorted(months.items())],
        "platforms": dict(sorted(Counter(one.product.platform for one in found).items())),
        "revisit": _gaps(found),
    }


def _gaps(found: Iterable[Found]) -> dict[str, Any]:
    """How long it took until the place was seen again: from pass to pass, however many tiles and products each has."""
    passes: dict[tuple[str, str], datetime] = {}
    for one in found:
        passed = (one.product.platform, one.product.datatake)
        passes[passed] = min(passes.get(passed, one.product.sensing_time), one.product.sensing_time)
    gaps = [(later - earlier, earlier, later) for earlier, later in pairwise(sorted(passes.values()))]
    if not gaps:
        return dict.fromkeys(("median_days", "longest_days", "longest_from", "longest_to"))
    longest = max(gaps)
    return {"median_days": number(median(gap.total_seconds() for gap, _, _ in gaps) / _DAY_S), "longest_days": number(longest[0].total_seconds() / _DAY_S),
            "longest_from": moment(longest[1]), "longest_to": moment(longest[2])}


def _mean(clouds: Iterable[float | None]) -> float | None:
    known = [cloud for cloud in clouds if cloud is not None]
    return number(fmean(known)) if known else None
