"""The demo: a backfill over one season of a farm, then its last acquisitions arriving live."""

import json
import os
import shutil
import webbrowser
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from revisit.adapters.local.backend import local_backend, remember_sources
from revisit.chain.refresh import refresh_source
from revisit.demo.archive import make_archive
from revisit.domain.alert import Alert
from revisit.domain.aoi import AOI
from revisit.domain.clock import format_rfc3339
from revisit.domain.conditions import DEFAULT_MIN_COVERAGE
from revisit.domain.events import RefreshDue
from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription
from revisit.embedded.server import EmbeddedServer, run_until
from revisit.ports.backend import Backend
from revisit.services.subscriptions.create import create_subscription

NAME = "Demo farm"
RECIPE = Recipe(indices=("NDVI", "NDMI"))
MIN_CLEAR = 50.0
"""Minimum clear share of the farm, percent; at least 50 % of it must be seen, the default."""
LIVE_COUNT = 3
"""Number of acquisitions that arrive while the demo runs."""
LIVE_INTERVAL_S = 12
BACKFILL_START = datetime(2015, 6, 23, tzinfo=UTC)
"""Launch of Sentinel-2A, the start of the backfill."""
TOLERANCE = 1e-6


def run_live(data: Path, port: int, report: Callable[[str], None], stop: Event) -> None:
    """Serve the demo in a data folder until `stop` is set; a second run continues where the first one ended.

    Args:
        data: The data folder.
        port: Port on 127.0.0.1.
        report: Prints a line for the user.
        stop: Ends the demo.
    """
    _, subscription, arriving, truth = _prepare(data, report)
    area_km2 = AOI.from_normalized(subscription.aoi).area_km2
    with EmbeddedServer(data, port=port) as server:
        report(
            f"\n  Watching {NAME!r} ({area_km2:.1f} km2): processing {len(truth) - len(arriving)} past "
            f"acquisitions; {len(arriving)} more arrive live, one every {LIVE_INTERVAL_S} s.\n\n"
            f"  Open  {server.url}  (stop with Ctrl-C)\n"
        )
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            webbrowser.open(server.url)
        for publish in arriving:
            if server.wait(stop, LIVE_INTERVAL_S):
                break
            report(f"new product: {publish()}")
        server.wait(stop)


def run_once(data: Path, report: Callable[[str], None]) -> dict[str, Any]:
    """Process the whole season and compare it with the values that the archive was made from.

    Returns:
        "alerts": their number; "right": whether every value is as expected; "dates": a row per acquisition.
    """
    backend, subscription, arriving, truth = _prepare(data, report)
    report(f"processing {len(truth) - len(arriving)} past acquisitions, then {len(arriving)} new ones ...")
    for publish in arriving:
        publish()
    backend.commit(
        lambda commit: commit.emit(RefreshDue(format_rfc3339(backend.now()))), completes_event=False
    )

    def processed() -> bool:
        jobs = backend.records.find(Job, subscription=subscription.id)
        return (
            len(jobs) == len(truth)
            and all(job.state in FINISHED_STATES for job in jobs)
            and not backend.bus.depth()
        )

    run_until(backend, data, processed)
    jobs = {job.acquisition: job for job in backend.records.find(Job, subscription=subscription.id)}
    numbers = sorted(alert.number for alert in backend.records.find(Alert, subscription=subscription.id))
    rows = [_compare_job(jobs[date["acquisition"]], date) for date in truth]
    done = sum(row["state"] == "done" for row in rows)
    return {
        "subscription": subscription.id,
        "alerts": len(numbers),
        "dates": rows,
        "right": all(row["right"] for row in rows) and numbers == list(range(1, done + 1)),
    }


def _prepare(
    data: Path, report: Callable[[str], None]
) -> tuple[Backend, Subscription, list[Callable[[], str]], list[dict[str, Any]]]:
    report("generating a season of Sentinel-2 over one farm (synthetic, nothing is downloaded) ...")
    season = make_archive(data / "demo" / "season")
    truth = json.loads((season / "truth.json").read_text())["dates"]
    arriving = _publish_past(season, data / "demo" / "archive", truth)
    spec = f"folder:{(data / 'demo' / 'archive').resolve()}"
    backend = local_backend(data, (spec,))
    remember_sources(data, (spec,))
    refresh_source(backend, spec)
    aoi = AOI.parse((season / "aoi.geojson").read_bytes())
    return (
        backend,
        create_subscription(backend, aoi, NAME, RECIPE, min_clear=MIN_CLEAR, backfill=BACKFILL_START),
        arriving,
        truth,
    )


def _publish_past(season: Path, source_folder: Path, truth: list[dict[str, Any]]) -> list[Callable[[], str]]:
    """Publish all but the last products to the watched folder; returns functions that publish one of the
    rest each."""
    source_folder.mkdir(parents=True, exist_ok=True)
    packages = {
        path.name.removesuffix(".SAFE"): path
        for folder in ("safe", "sentinel-2-l2a")
        for path in (season / folder).iterdir()
        if path.is_dir()
    }
    products = [packages[date["product"]] for date in sorted(truth, key=lambda date: date["datetime"])]
    steps = [partial(_publish_package, package, source_folder) for package in products]
    for step in steps[:-LIVE_COUNT]:
        step()
    return [
        step
        for step, package in zip(steps[-LIVE_COUNT:], products[-LIVE_COUNT:], strict=True)
        if not (source_folder / package.name).exists()
    ]


def _publish_package(package: Path, source_folder: Path) -> str:
    """Move a product into the watched folder atomically."""
    if not (source_folder / package.name).exists():
        unfinished = source_folder.parent / f".{package.name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(package, unfinished, copy_function=os.link)
        unfinished.rename(source_folder / package.name)
    return package.name


def _compare_job(job: Job, date: dict[str, Any]) -> dict[str, Any]:
    """A job beside the expected values of its date."""
    clear = job.cover.clear_fraction if job.cover else 0.0
    seen_share = date["valid_pixels"] / date["aoi_pixels"]
    found = job.indices.get("NDVI")
    wanted = date["NDVI"]
    if 100 * seen_share < DEFAULT_MIN_COVERAGE or 100 * seen_share * date["clear_fraction"] < MIN_CLEAR:
        right = job.state == "skipped"
    else:
        right = bool(
            job.state == "done"
            and found
            and found.mean is not None
            and found.count == wanted["count"]
            and abs(found.mean - wanted["mean"]) < TOLERANCE
        )
    right = right and abs(clear - date["clear_fraction"]) < TOLERANCE
    return {
        "datetime": date["datetime"],
        "acquisition": job.acquisition,
        "product": job.product.id,
        "state": job.state,
        "reason": job.reason,
        "coverage": job.cover.coverage if job.cover else None,
        "clear_fraction": clear,
        "NDVI": round(found.mean, 6) if found and found.mean is not None else None,
        "right": right,
    }
