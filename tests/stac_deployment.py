"""A server on this computer with the real catalogue and some results, as the embedded suite runs it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from werkzeug.serving import make_server

from catalog_samples import sample_products
from order_samples import order_acquisitions
from products import FIELD, end_job, product
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.domain.aoi import AOI
from revisit.domain.job import Cover, Statistics
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.ports.backend import Backend
from revisit.ports.catalog_schema import to_table
from revisit.services.subscriptions.results import list_jobs
from samples import StoppedClock

TOKEN = "of this server"  # is none


@dataclass(frozen=True)
class StacDeployment:
    """Where it answers, and what it knows."""

    url: str
    """Of the landing page."""
    backend: Backend
    products: list[Product]
    jobs: list[str]
    """Ids of the results, by time."""
    app: object


@contextmanager
def serve_stac(folder: Path, token: str = TOKEN) -> Iterator[StacDeployment]:
    backend = local_backend(folder / "data", now=StoppedClock())
    products = [*sample_products(), product(1, cloud=None), product(2), product(3, "L1C")]
    backend.catalog().add(to_table(products))
    placed = order_acquisitions(backend, AOI.parse(FIELD), Recipe(indices=("NDVI",)), "", None, None)
    jobs = []
    for job in list_jobs(backend, placed.id):
        done = end_job(
            backend,
            job,
            "done" if not jobs else "skipped",
            cover=Cover(100, 90, 60, cloud=30) if not jobs else None,
            indices={"NDVI": Statistics(60, 0.5, 0.1, 0.1, 0.9, 0.5)} if not jobs else {},
            reason="" if not jobs else "too cloudy",
        )
        jobs.append(done.id)
    app = create_app(backend, token=token)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield StacDeployment(f"http://127.0.0.1:{server.server_port}/stac", backend, products, jobs, app)
    finally:
        server.shutdown()
