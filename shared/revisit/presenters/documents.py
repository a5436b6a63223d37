"""Records as plain JSON values, for responses of the API and for `--json`.

Numbers have 9 significant digits, shares run from 0 to 1, instants are RFC 3339 with Z.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from revisit.domain.alert import Alert
from revisit.domain.api_key import ApiKey
from revisit.domain.clock import format_rfc3339
from revisit.domain.conditions import describe_cover, limit_fields
from revisit.domain.delivery import Delivery
from revisit.domain.job import FINISHED_STATES, Asset, Cover, Job, Statistics
from revisit.domain.order import Order
from revisit.domain.passes import Pass
from revisit.domain.preview import AoiSummary, SubscriptionPreview
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.domain.series import Observation
from revisit.domain.subscription import Channel, Subscription, backfill_order_id
from revisit.ports.system_records import DeadLetter
from revisit.presenters import documents


def json_number(value: float | None) -> float | None:
    """A number rounded to 9 significant digits; None if it is not finite."""
    return float(f"{value:.9g}") if value is not None and isfinite(value) else None


def json_time(value: datetime | None) -> str | None:
    """An instant as RFC 3339 text."""
    return format_rfc3339(value) if value else None


def statistics(values: Statistics) -> dict[str, Any]:
    """Statistics of one index or band."""
    return {
        "count": values.count,
        **{name: json_number(getattr(values, name)) for name in ("mean", "std", "min", "max", "median")},
    }


def cover(value: Cover | None) -> dict[str, Any]:
    """Coverage and clear share of the AOI; nulls if no pixel was read."""
    if value is None:
        return {"coverage": None, "clear_fraction": None, "clear_of_aoi": None, "seen": None}
    return {
        "coverage": json_number(value.coverage),
        "clear_fraction": json_number(value.clear_fraction),
        "clear_of_aoi": json_number(value.clear_of_aoi),
        "seen": describe_cover(value),
        "mask": value.mask,
        "aoi_pixels": value.aoi,
        "valid_pixels": value.valid,
        "clear_pixels": value.clear,
        "cloud_pixels": value.cloud,
        "shadow_pixels": value.shadow,
        "snow_pixels": value.snow,
        "saturated_pixels": value.saturated,
    }


@dataclass(frozen=True, slots=True)
class UrlBuilder:
    """Links to the STAC Item and the assets of a job."""

    item: Callable[[Job], str | None]
    """Link to the STAC Item of a finished job."""
    asset: Callable[[Job, Asset], str]


API_URLS = UrlBuilder(
    lambda done: f"/results/{done.id}", lambda done, asset: f"/results/{done.id}/assets/{asset.name}"
)
"""Links as paths of the API."""


def job(record: Job, urls: UrlBuilder = API_URLS) -> dict[str, Any]:
    """A job with its results."""
    return {
        "job": record.id,
        "acquisition": record.acquisition,
        "datetime": json_time(record.product.sensing_time),
        "state": record.state,
        "reason": record.reason or None,
        **cover(record.cover),
        "indices": {name: statistics(values) for name, values in record.indices.items()},
        "bands": {name: statistics(values) for name, values in record.bands.items()},
        "item": urls.item(record) if record.state in FINISHED_STATES else None,
        **origin(record.product, record.contributors),
        "tile": record.product.tile,
        "source": record.product.source,
        "subscription": record.subscription or None,
        "notes": list(record.notes),
        "finished": json_time(record.finished),
        "assets": {
            asset.name: {
                "href": urls.asset(record, asset),
                "type": asset.media_type,
                "size": asset.size,
                "sha256": asset.sha256,
            }
            for asset in record.assets
        },
    }


def origin(main: Product, contributors: Sequence[Product]) -> dict[str, Any]:
    """What a result was made of: what tells its main product, which decides the grid, from others, and the
    further products that gave pixels."""
    return {
        "product": main.id,
        "parts": [each.id for each in contributors if each.id != main.id],
        "level": main.level,
        "baseline": main.baseline,
        "platform": main.platform,
        "relative_orbit": main.relative_orbit,
        "tiles": list(dict.fromkeys(each.tile for each in contributors)),
        "reflectance": main.reflectance,
    }


def order_summary(order: Order) -> dict[str, Any]:
    """An order without its jobs."""
    return {
        "order": order.id,
        "state": order.state,
        "reason": order.reason or None,
        "total": len(order.jobs),
        "open": order.open,
        "done": order.done_jobs,
        "skipped": order.skipped_jobs,
        "failed": order.failed_jobs,
        "recipe": recipe(order.recipe),
        "start": json_time(order.start),
        "end": json_time(order.end),
        "source": order.source or None,
        "subscription": order.subscription or None,
        "notes": list(order.notes),
        "created": json_time(order.created),
        "aoi": order.aoi,
    }


def recipe(value: Recipe) -> dict[str, Any]:
    """A recipe."""
    return {**asdict(value), "bands": list(value.bands), "indices": list(value.indices)}


def subscription(
    record: Subscription, secrets: Mapping[str, str] | None = None, next_pass: datetime | None = None
) -> dict[str, Any]:
    """A subscription.

    Args:
        record: The subscription.
        secrets: Channel id -> signing secret, for webhooks whose secret is shown: at creation.
        next_pass: Predicted time of the next pass, if known.
    """
    return {
        "subscription": record.id,
        "name": record.name,
        "state": record.state,
        "aoi": record.aoi,
        "tiles": list(record.tiles),
        "recipe": recipe(record.recipe),
        "level": record.level,
        "max_cloud": record.max_cloud,
        **limit_fields(record),
        "channels": [channel(one, (secrets or {}).get(one.id, "")) for one in record.channels],
        "backfill": json_time(record.backfill),
        "backfill_order": backfill_order_id(record),
        "created": json_time(record.created),
        "paused": json_time(record.paused),
        "alerts": record.alerts,
        "last_alert": last_alert(record),
        "next_pass": json_time(next_pass),
        "feed": f"/feeds/{record.feed_token}.atom" if record.feed_token else None,
        "calendar": f"/feeds/{record.feed_token}.ics" if record.feed_token else None,
    }


def last_alert(record: Subscription) -> dict[str, Any] | None:
    """The last alert of a subscription, in short."""
    if record.last_alert is None:
        return None
    return {
        "number": record.alerts,
        "datetime": json_time(record.last_sensing),
        "created": json_time(record.last_alert),
    }


def channel(record: Channel, secret: str = "") -> dict[str, Any]:
    """A channel, with its secret only if one is given."""
    document = {
        "id": record.id,
        "kind": record.kind,
        "target": record.target,
        "state": record.state,
        "reason": record.reason or None,
    }
    return {**document, "secret": secret} if secret else document


def alert(record: Alert) -> dict[str, Any]:
    """An alert."""
    return {
        "alert": record.id,
        "number": record.number,
        "kind": record.kind,
        "updates": record.updates,
        "subscription": record.subscription,
        "acquisition": record.acquisition,
        "datetime": json_time(record.sensing_time),
        "created": json_time(record.created),
        "product": record.product,
        "job": record.job,
        "backfill": record.backfill,
        "reason": record.reason or None,
        **cover(record.cover),
        "indices": {name: statistics(values) for name, values in record.indices.items()},
        "item": f"/results/{record.job}",
    }


def delivery(record: Delivery) -> dict[str, Any]:
    """A delivery with its attempts."""
    return {
        "delivery": record.id,
        "alert": record.alert,
        "subscription": record.subscription,
        "target": record.target,
        "state": record.state,
        "created": json_time(record.created),
        "due": json_time(record.due),
        "attempts": [
            {"at": json_time(attempt.at), "outcome": attempt.outcome} for attempt in record.attempts
        ],
    }


def observation(value: Observation) -> dict[str, Any]:
    """One observation of a series; it is also a row of CSV (`csv_table`)."""
    return {
        "datetime": json_time(value.sensing_time),
        "acquisition": value.acquisition,
        **statistics(value.statistics),
        **cover(value.cover),
        "job": value.job,
        **origin(value.product, value.contributors),
    }


def product(record: Product, sources: Sequence[str] = ()) -> dict[str, Any]:
    """A product; flat but for its bounds and sources.

    Args:
        record: The product.
        sources: SPECs of all its sources; by default the one of the record.
    """
    return {
        "product": record.id,
        "acquisition": record.acquisition,
        "tile": record.tile,
        "level": record.level,
        "platform": record.platform,
        "datetime": json_time(record.sensing_time),
        "cloud_cover": record.cloud_cover,
        "baseline": record.baseline,
        "relative_orbit": record.relative_orbit,
        "published": json_time(record.published),
        "source": record.source,
        "sources": list(sources or (record.source,)),
        "bbox": [record.west, record.south, record.east, record.north],
    }


def dead_letter(record: DeadLetter, body: bool = False) -> dict[str, Any]:
    """A dead letter."""
    document = {
        "id": record.id,
        "function": record.function,
        "topic": record.topic,
        "reason": record.reason,
        "at": json_time(record.at),
        "attempts": record.attempts,
    }
    return {**document, "body": record.body} if body else document


def api_key(record: ApiKey, now: datetime) -> dict[str, Any]:
    """An API key without its secret."""
    state = "revoked" if record.revoked else "live" if record.is_usable(now) else "over"
    return {
        "key": record.id,
        "name": record.name,
        "scopes": list(record.scopes),
        "state": state,
        "created": json_time(record.created),
        "expires": json_time(record.expires),
        "used": record.used.isoformat() if record.used else None,
    }


def aoi_summary(summary: AoiSummary) -> dict[str, Any]:
    """Size, tiles and expected cost of an AOI."""
    return {
        "aoi": summary.aoi.geometry,
        "area_km2": json_number(summary.aoi.area_km2),
        "vertices": summary.vertices,
        "parts": summary.parts,
        "bounds": list(summary.aoi.bounds),
        "tiles": list(summary.tiles),
        "passes_per_month": json_number(summary.passes_per_month),
        "next_pass": json_time(summary.next_pass),
        "pixels_10m": summary.pixels_10m,
        "bytes_per_pass": summary.bytes_per_pass,
    }


def subscription_preview(preview: SubscriptionPreview) -> dict[str, Any]:
    """Past acquisitions that match a subscription, by month."""
    return {
        "from": json_time(preview.start),
        "to": json_time(preview.end),
        "acquisitions": len(preview.acquisitions),
        "headline": preview.headline,
        "would_have_fired": preview.alert_count,
        "at_most": preview.most_alerts,
        "basis": preview.basis,
        "too_cloudy": len(preview.too_cloudy),
        "too_little_seen": len(preview.too_little_seen),
        "months": [
            {"month": month, "fired": fired, "passed": passed}
            for month, fired, passed in preview.monthly_counts
        ],
        "clear_share": json_number(preview.clear_share),
        "judged": preview.note,
        "first": json_time(preview.first_sensing),
    }


def expected_pass(predicted: Pass) -> dict[str, Any]:
    """A predicted pass, to the second."""
    return {
        "expected": documents.json_time(predicted.expected.replace(microsecond=0)),
        "platform": predicted.platform,
        "relative_orbit": predicted.relative_orbit,
        "tiles": list(predicted.tiles),
        "learnt_from": predicted.learnt_from,
        "last": documents.json_time(predicted.last),
    }
