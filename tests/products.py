"""Products over one field, known to a local backend, and jobs ended as the chain would end them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from revisit.chain.job_lifecycle import finish
from revisit.domain.job import Job
from revisit.domain.product import Product
from revisit.ports.backend import Backend
from revisit.ports.catalog_schema import to_table

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
FIELD = {
    "type": "Polygon",
    "coordinates": [[[9.3, 45.3], [9.32, 45.3], [9.32, 45.32], [9.3, 45.32], [9.3, 45.3]]],
}
"""Well within tile 32TNR: zone 32 begins east of 9 E, and no neighbour overlaps so far inside."""
WATCH = {"aoi": FIELD, "name": "field", "indices": ["ndvi"], "min_clear": 30}
"""A request for a subscription."""


def product(
    day: int,
    level: str = "L2A",
    tile: str = "32TNR",
    month: int = 6,
    cloud: float | None = 10.0,
    **changes: Any,
) -> Product:
    """A product of that day over the whole of the field's tile."""
    stamp = f"2024{month:02d}{day:02d}T101600"
    sensed = datetime(2024, month, day, 10, 16, tzinfo=UTC)
    fields = {
        "id": f"S2A_MSI{level}_{stamp}_N0510_R065_T{tile}_{stamp}",
        "source": "folder:/archive",
        "level": level,
        "platform": "S2A",
        "tile": tile,
        "sensing_time": sensed,
        "datatake": stamp,
        "west": 8.9,
        "south": 44.5,
        "east": 10.4,
        "north": 45.6,
        "cloud_cover": cloud,
        "baseline": "0510",
        "published": sensed + timedelta(hours=5),
        **changes,
    }
    return Product(**fields)


def add_to_catalog(backend: Backend, *products: Product) -> None:
    """Put products into the catalog."""
    backend.catalog().add(to_table(products))


def end_job(backend: Backend, job: Job, state: str = "done", **changes: Any) -> Job:
    """The job as the chain would leave it."""
    finished = job.with_changes(state=state, finished=backend.now(), **changes)
    backend.commit(lambda commit: finish(commit, finished), completes_event=False)
    return finished
