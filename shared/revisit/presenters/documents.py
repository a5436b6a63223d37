"""Records as plain JSON values: what the API answers with and `--json` prints.

Numbers have 9 significant digits, shares run from 0 to 1, instants are RFC 3339 with Z.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from revisit.domain.alert import Alert
from revisit.domain.api_key import ApiKey
from revisit.domain.clock import rfc3339
from revisit.domain.delivery import Delivery
from revisit.domain.job import FINISHED, Asset, Cover, Job, Statistics
from revisit.domain.order import Order
from revisit.domain.passes import Pass
from revisit.domain.preview import Extent, Past
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.domain.series import Observation
from revisit.domain.subscription import Channel, Subscription
from revisit.ports.system_records import DeadLetter
from revisit.presenters import documents


def number(value: float | None) -> float | None:
    """A number to 9 significant digits; None where it is not finite."""
    return float(f"{value:.9g}") if value is not None and isfinite(value) else None


def moment(value: datetime | None) -> str | None:
    """An instant as text."""
    return rfc3339(value) if value else None


def statistics(values: Statistics) -> dict[str, Any]:
    """Of one index or band."""
    return {"count": values.count, **{name: number(getattr(values, name)) for name in ("mean", "std", "min", "max", "median")}}


def cover(seen: Cover | None) -> dict[str, Any]:
    """What lay over the AOI; nulls where no pixel was read."""
    if seen is None:
        return {"coverage": None, "clear_fraction": None}
    return {
        "coverage": number(seen.coverage), "clear_fraction": number(seen.clear_fraction), "mask": seen.mask, "aoi_pixels": seen.aoi,
        "valid_pixels": seen.valid, "clear_pixels": seen.clear, "cloud_pixels": seen.cloud, "shadow_pixels": seen.shadow,
        "snow_pixels": seen.snow,
    }


@dataclass(frozen=True, slots=True)
class Places:
    """Where a reader finds what a job made."""

    item: Callable[[Job], str | None]
    """Of a finished job's STAC Item."""
    asset: Callable[[Job, Asset], str]


API = Places(lambda done: f"/results/{done.id}", lambda done, asset: f"/results/{done.id}/assets/{asset.name}")
"""Paths of the API."""


def job(done: Job, places: Places = API) -> dict[str, Any]:
    """A job and what came of it."""
    return {
        "job": done.id, "acquisition": done.acquisition, "datetime": moment(done.product.sensing_time), "state": done.state,
        "reason": done.reason or None, **cover(done.cover),
        "indices": {name: statistics(values) for name, values in done.indices.items()},
        "bands": {name: statistics(values) for name, values in done.bands.items()},
        "item": places.item(done) if done.state in FINISHED else None,
        "product": done.product.id, "level": done.product.level, "tile": done.product.tile, "source": done.product.source,
        "subscription": done.subscription or None, "notes": list(done.notes), "finished": moment(done.finished),
        "assets": {asset.name: {"href": places.asset(done, asset), "type": asset.media_type, "size": asset.size, "sha256": asset.sha256}
                   for asset in done.assets},
    }


def order_line(asked: Order) -> dict[str, Any]:
    """An order without its jobs."""
    return {
        "order": asked.id, "state": asked.state, "total": len(asked.jobs), "open": asked.open, "recipe": recipe(asked.recipe),
        "start": moment(asked.start), "end": moment(asked.end), "source": asked.source or None,
        "subscription": asked.subscription or None, "created": moment(asked.created), "aoi": asked.aoi,
    }


def recipe(wanted: Recipe) -> dict[str, Any]:
    """A recipe."""
    return {**asdict(wanted), "bands": list(wanted.bands), "indices": list(wanted.indices)}


def subscription(watcher: Subscription, secrets: Mapping[str, str] | None = None, next_pass: datetime | None = None) -> dict[str, Any]:
    """A subscription.

    Args:
        next_pass: When a satellite is expected over it, where that is known.
        secrets: Of its webhooks, by the channel's id, where they are told: when it is made.
    """
    return {
        "subscription": watcher.id, "name": watcher.name, "state": watcher.state, "aoi": watcher.aoi, "tiles": list(watcher.tiles),
        "recipe": recipe(watcher.recipe), "level": watcher.level, "max_cloud": watcher.max_cloud, "min_clear": watcher.min_clear,
        "channels": [channel(one, (secrets or {}).get(one.id, "")) for one in watcher.channels], "backfill": moment(watcher.backfill),
        "created": moment(watcher.created), "paused": moment(watcher.paused), "alerts": watcher.alerts,
        "last_alert": last_alert(watcher), "next_pass": moment(next_pass), "feed": f"/feeds/{watcher.feed_token}.atom" if watcher.feed_token else None,
        "calendar": f"/feeds/{watcher.feed_token}.ics" if watcher.feed_token else None,
    }


def last_alert(watcher: Subscription) -> dict[str, Any] | None:
    """Of a subscription's log the last line in short."""
    if watcher.last_alert is None:
        return None
    return {"number": watcher.alerts, "datetime": moment(watcher.last_sensing), "created": moment(watcher.last_alert)}


def channel(way: Channel, secret: str = "") -> dict[str, Any]:
    """A channel, its secret only where it is told."""
    told = {"id": way.id, "kind": way.kind, "target": way.target, "state": way.state, "reason": way.reason or None}
    return {**told, "secret": secret} if secret else told


def alert(line: Alert) -> dict[str, Any]:
    """An alert."""
    return {
        "alert": line.id, "number": line.number, "subscription": line.subscription, "acquisition": line.acquisition,
        "datetime": moment(line.sensing_time), "created": moment(line.created), "product": line.product, "job": line.job,
        "backfill": line.backfill, "reason": line.reason or None, **cover(line.cover),
        "indices": {name: statistics(values) for name, values in line.indices.items()}, "item": f"/results/{line.job}",
    }


def delivery(way: Delivery) -> dict[str, Any]:
    """A delivery with its attempts."""
    return {
        "delivery": way.id, "alert": way.alert, "subscription": way.subscription, "target": way.target, "state": way.state,
        "created": moment(way.created), "due": moment(way.due),
        "attempts": [{"at": moment(attempt.at), "outcome": attempt.outcome} for attempt in way.attempts],
    }


def observation(seen: Observation) -> dict[str, Any]:
    """One value of a series; flat, so that it is also a row of CSV."""
    return {"datetime": moment(seen.sensing_time), "acquisition": seen.acquisition, **statistics(seen.statistics),
            "clear_fraction": number(seen.clear_fraction), "coverage": number(seen.coverage), "job": seen.job}


OBSERVATION = ("datetime", "acquisition", "count", "mean", "std", "min", "max", "median", "clear_fraction", "coverage", "job")
"""Columns of a series as CSV."""


def product(found: Product) -> dict[str, Any]:
    """A product; flat but for its bounds."""
    return {
        "product": found.id, "acquisition": found.acquisition, "tile": found.tile, "level": found.level, "platform": found.platform,
        "datetime": moment(found.sensing_time), "cloud_cover": found.cloud_cover, "baseline": found.baseline,
        "relative_orbit": found.relative_orbit, "published": moment(found.published), "source": found.source,
        "bbox": [found.west, found.south, found.east, found.north],
    }


PRODUCT = ("product", "acquisition", "tile", "level", "platform", "datetime", "cloud_cover", "baseline", "relative_orbit", "published", "source")
"""Columns of a search as CSV."""


def dead_letter(letter: DeadLetter, body: bool = False) -> dict[str, Any]:
    """A dead letter."""
    told = {"id": letter.id, "function": letter.function, "topic": letter.topic, "reason": letter.reason, "at": moment(letter.at),
            "attempts": letter.attempts}
    return {**told, "body": letter.body} if body else told


def key(one: ApiKey, now: datetime) -> dict[str, Any]:
    """A key, without what opens anything."""
    state = "revoked" if one.revoked else "live" if one.live(now) else "over"
    return {"key": one.id, "name": one.name, "scopes": list(one.scopes), "state": state, "created": moment(one.created),
            "expires": moment(one.expires), "used": one.used.isoformat() if one.used else None}


def extent(seen: Extent) -> dict[str, Any]:
    """What an AOI would take."""
    return {
        "aoi": seen.aoi.geometry, "area_km2": number(seen.aoi.area_km2), "vertices": seen.vertices, "parts": seen.parts,
        "bounds": list(seen.aoi.bounds), "tiles": list(seen.tiles), "passes_per_month": number(seen.passes_per_month),
        "next_pass": moment(seen.next_pass), "pixels_10m": seen.pixels_10m, "bytes_per_pass": seen.bytes_per_pass,
    }


def past(seen: Past) -> dict[str, Any]:
    """What a subscription would have done."""
    return {
        "from": moment(seen.start), "to": moment(seen.end), "acquisitions": len(seen.fired) + len(seen.cloudy),
        "would_have_fired": len(seen.fired), "too_cloudy": len(seen.cloudy),
        "months": [{"month": month, "fired": fired, "passed": passed} for month, fired, passed in seen.months],
        "clear_share": number(seen.clear_share), "judged": seen.judged, "first": moment(seen.first),
    }


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV with a header (RFC 4180); a text that a spreadsheet would take for a formula is quoted by an apostrophe."""
    import csv
    from io import StringIO

    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def seen(one: Pass) -> dict[str, Any]:
    """One that is expected, to the second."""
    return {"expected": documents.moment(one.expected.replace(microsecond=0)), "platform": one.platform, "relative_orbit": one.relative_orbit,
            "tiles": list(one.tiles), "learnt_from": one.learnt_from, "last": documents.moment(one.last)}
