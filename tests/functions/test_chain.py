"""From a product in a folder to an alert: who is matched, what is skipped, and what never happens twice."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread
from types import SimpleNamespace

import pyproj
import pytest

from chain_runner import drain
from data import shared_data
from order_samples import order_acquisitions
from revisit.adapters.local.backend import local_backend
from revisit.chain.refresh import publish_new_products, refresh_source, report_stale_sources
from revisit.domain.alert import Alert
from revisit.domain.aoi import AOI
from revisit.domain.events import RefreshDue
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.errors import PermanentError, TransientError
from revisit.ports.catalog_schema import to_table
from revisit.ports.system_records import CatalogCursor, DeadLetter, SourceState
from revisit.services.operations.status import get_status
from revisit.services.orders.create import get_order
from revisit.services.subscriptions.create import create_subscription
from revisit.services.subscriptions.lifecycle import pause_subscription, resume_subscription

NDVI = Recipe(indices=("NDVI",))


@pytest.fixture
def site():
    """The AOI of one real site, and the products that lie there."""
    archive = shared_data("archive")
    expected = json.loads((archive / "expected.json").read_text())["sites"]["gfmap_31UES"]["dates"]
    return archive, AOI.parse((archive / "aoi" / "gfmap_31UES.geojson").read_bytes()), expected


@pytest.fixture
def backend(tmp_path, site):
    return local_backend(tmp_path / "data", (f"folder:{site[0]}",))


def refresh(backend, at="2026-05-01T10:30:00Z"):
    backend.commit(lambda commit: commit.emit(RefreshDue(at)), completes_event=False)
    return drain(backend)


def alerts_of(backend, subscription):
    return sorted(backend.records.find(Alert, subscription=subscription.id), key=lambda alert: alert.number)


def test_every_clear_acquisition_becomes_one_numbered_alert(backend, site):
    _, aoi, expected = site
    watch = create_subscription(backend, aoi, "Field", NDVI)
    refresh(backend)
    alerts = alerts_of(backend, watch)
    assert {alert.product: alert.cover.clear for alert in alerts} == {
        date["item"]: date["clear_pixels"] for date in expected if date["clear_pixels"]
    }
    assert [alert.number for alert in alerts] == [1, 2, 3]


def test_a_second_refresh_and_redelivered_events_change_nothing(backend, site):
    watch = create_subscription(backend, site[1], "Field", NDVI)
    refresh(backend)
    before = alerts_of(backend, watch), backend.records.find(Job, subscription=watch.id)
    for minute in range(3):
        refresh(backend, f"2026-05-01T10:3{minute}:00Z")
    assert (alerts_of(backend, watch), backend.records.find(Job, subscription=watch.id)) == before


def test_jobs_below_the_clear_limit_are_skipped_with_their_reason(backend, site):
    watch = create_subscription(backend, site[1], "Field", NDVI, min_clear=50)
    refresh(backend)
    assert len(alerts_of(backend, watch)) == 2
    jobs = {job.product.id: job for job in backend.records.find(Job, subscription=watch.id)}
    partly = jobs["S2B_31UES_20231007_L2A_crop"]
    assert (partly.state, partly.reason) == ("skipped", "15.9 % of the AOI is clear, less than 50 %")
    assert partly.assets == ()


def test_a_product_without_a_classification_is_processed_and_notes_what_could_not_be_checked(tmp_path):
    archive = shared_data("archive")
    backend = local_backend(tmp_path / "data", (f"folder:{archive}",))
    aoi = AOI.parse((archive / "aoi" / "majortom_33NZA.geojson").read_bytes())
    watch = create_subscription(backend, aoi, "Forest", NDVI, min_clear=80)
    refresh(backend)
    (alert,) = alerts_of(backend, watch)
    assert (alert.cover.mask, alert.cover.clear_fraction) == ("none", 1.0)
    assert (
        alert.reason == "the product has no scene classification: whether 80 % is clear could not be judged"
    )


def test_scene_cloud_level_and_pause_are_judged_without_pixels(backend, site):
    _, aoi, expected = site
    clear = create_subscription(backend, aoi, "Clear scenes", NDVI, max_cloud=1)
    other_level = create_subscription(backend, aoi, "Top of atmosphere", NDVI, level="L1C")
    paused = create_subscription(backend, aoi, "Paused", NDVI)
    pause_subscription(backend, paused.id)
    refresh(backend)
    worked = {job.product.id for job in backend.records.find(Job, subscription=clear.id)}
    assert worked == {
        product.id for product in _products(backend) if product.tile == "31UES" and product.cloud_cover <= 1
    }
    assert worked
    assert not backend.records.find(Job, subscription=other_level.id)
    assert not backend.records.find(Job, subscription=paused.id)


def _products(backend):
    return backend.catalog().read_additions(0)[0]


def test_jobs_that_end_during_a_pause_make_alerts_after_it(backend, site):
    watch = create_subscription(backend, site[1], "Field", NDVI)
    refresh_source(backend, backend.sources[0])
    for function in ("notify", "extract", "index"):
        drain(backend, functions=(function,))
    pause_subscription(backend, watch.id)
    drain(backend)
    assert alerts_of(backend, watch) == []
    resume_subscription(backend, watch.id)
    drain(backend)
    assert [alert.number for alert in alerts_of(backend, watch)] == [1, 2, 3]


def test_an_aoi_beside_the_footprint_is_not_worked_though_the_tile_is_its_own(backend):
    beside = AOI.parse(
        {
            "type": "Polygon",
            "coordinates": [[[4.4, 51.0], [4.41, 51.0], [4.41, 51.01], [4.4, 51.01], [4.4, 51.0]]],
        }
    )
    assert "31UES" in beside.tiles
    watch = create_subscription(backend, beside, "Beside", NDVI)
    refresh(backend)
    assert not backend.records.find(Job, subscription=watch.id)


def test_coverage_is_a_share_of_the_whole_aoi_though_the_product_ends_within_it(tmp_path, site):
    """The real crop spans 460 x 520 m from (587880, 5685430); an AOI twice as wide from its middle on is
    covered by a quarter."""
    to_degrees = pyproj.Transformer.from_crs(32631, 4326, always_xy=True).transform
    corners = [(588110, 5684990), (589030, 5684990), (589030, 5685390), (588110, 5685390)]
    ring = [list(to_degrees(*corner)) for corner in [*corners, corners[0]]]
    backend = local_backend(tmp_path / "data")
    placed = order_acquisitions(
        backend,
        AOI.parse({"type": "Polygon", "coordinates": [ring]}),
        NDVI,
        source=f"folder:{site[0]}",
        start=datetime(2023, 10, 22, tzinfo=UTC),
        end=datetime(2023, 10, 23, tzinfo=UTC),
    )
    drain(backend)
    cover = backend.get_record(Job, placed.jobs[0]).cover
    assert cover.valid == 23 * 40
    assert cover.aoi == pytest.approx(92 * 40, rel=1e-3)
    assert cover.coverage == pytest.approx(0.25, rel=1e-3)
    aoi = AOI.from_normalized(backend.get_record(Order, placed.id).aoi)
    watch = create_subscription(backend, aoi, "Half seen", NDVI, backfill=datetime(2023, 10, 22, tzinfo=UTC))
    drain(backend)
    jobs = {job.product.id: job for job in backend.records.find(Job, subscription=watch.id)}
    job = jobs["S2A_31UES_20231022_L2A_crop"]
    assert (job.state, job.reason) == ("skipped", "25.0 % of the AOI was seen, less than 50 %")
    assert not alerts_of(backend, watch) and not job.assets


def test_a_reprocessed_product_does_not_alert_twice(tmp_path, site):
    archive, aoi, _ = site
    watched = tmp_path / "archive"
    name = "S2A_31UES_20231022_L2A_crop"
    shutil.copytree(archive / "sentinel-2-l2a" / name, watched / name)
    backend = local_backend(tmp_path / "data", (f"folder:{watched}",))
    watch = create_subscription(backend, aoi, "Field", NDVI)
    refresh(backend)
    again = watched / "S2A_31UES_20231022_reprocessed"
    shutil.copytree(archive / "sentinel-2-l2a" / name, again)
    item = json.loads((again / f"{name}.json").read_text())
    item["id"] = again.name
    item["properties"] |= {"s2:processing_baseline": "05.10", "created": "2026-01-01T00:00:00Z"}
    (again / f"{name}.json").rename(again / f"{again.name}.json")
    (again / f"{again.name}.json").write_text(json.dumps(item))
    refresh(backend, "2026-05-01T11:00:00Z")
    assert len(_products(backend)) == 2
    assert len({product.acquisition for product in _products(backend)}) == 1
    assert len(alerts_of(backend, watch)) == 1


def test_news_that_a_crash_left_unannounced_is_announced_by_the_next_refresh(backend, site):
    """The catalog has the products, and the process died before it said so."""
    watch = create_subscription(backend, site[1], "Field", NDVI)
    source = backend.source(backend.sources[0])
    for batch in source.list_products(
        {}, lambda ids: backend.catalog().missing_mask(source.spec, ids), backend.now()
    ).batches:
        backend.catalog().add(batch)
    assert backend.records.get(CatalogCursor, "catalog") is None
    refresh(backend)
    assert len(alerts_of(backend, watch)) == 3


def test_two_refreshes_at_once_leave_no_gap_and_no_double(tmp_path, site):
    for turn in range(5):
        backend = local_backend(tmp_path / f"data{turn}", (f"folder:{site[0]}",))
        watch = create_subscription(backend, site[1], "Field", NDVI)
        threads = [Thread(target=refresh_source, args=(backend, backend.sources[0])) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(_products(backend)) == 34
        assert len({job.id for job in backend.records.find(Job, subscription=watch.id)}) == len(
            backend.records.find(Job, subscription=watch.id)
        )
        drain(backend)
        assert [alert.number for alert in alerts_of(backend, watch)] == [1, 2, 3]


def test_the_first_listing_of_a_feed_announces_its_last_ten_days_only(backend, site):
    now = datetime(2026, 5, 1, tzinfo=UTC)
    backend = replace(backend, now=lambda: now)
    watch = create_subscription(backend, site[1], "Field", NDVI)
    west, south, east, north = site[1].bounds
    recent, old = (
        Product(
            id=f"S2A_{days}",
            source="stac:https://example.com#s2",
            level="L2A",
            platform="S2A",
            tile="31UES",
            sensing_time=now - timedelta(days=days),
            datatake=f"2026{days:04d}",
            west=west,
            south=south,
            east=east,
            north=north,
        )
        for days in (9, 11)
    )
    backend.catalog().add(to_table([old, recent]))
    assert publish_new_products(backend) == 1
    assert watch.state == "active"
    later = replace(old, id="S2A_late", datatake="20260421T000000")
    backend.commit(lambda commit: commit.put(SourceState(recent.source, first=now)), completes_event=False)
    backend.catalog().add(to_table([later]))
    assert publish_new_products(backend) == 1, "late products of a feed that is known are news"


def test_a_source_that_is_suddenly_empty_is_an_error_that_status_shows(tmp_path, site):
    watched = tmp_path / "archive"
    shutil.copytree(site[0] / "sentinel-2-l2a", watched)
    backend = local_backend(tmp_path / "data", (f"folder:{watched}",))
    refresh(backend)
    shutil.rmtree(watched)
    watched.mkdir()
    with pytest.raises(PermanentError, match="empty|nothing"):
        refresh_source(backend, backend.sources[0])
    refresh(backend, "2026-05-01T12:00:00Z")
    state = backend.records.get(SourceState, backend.sources[0])
    assert "32 products" in state.error or "33 products" in state.error
    assert not backend.records.find(DeadLetter)


def test_a_source_that_fails_keeps_no_other_waiting_and_its_reason_stays_with_it(tmp_path, site, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = f"folder:{site[0]}"
    backend = local_backend(tmp_path / "data", ("folder:missing", archive))
    refresh(backend)
    found = {
        source["source"]: (source["products"] > 0, source["error"])
        for source in get_status(backend)["sources"]
    }
    assert found == {
        archive: (True, None),
        f"folder:{tmp_path}/missing": (
            False,
            f"there is no folder {tmp_path}/missing; create it or name another",
        ),
    }
    shutil.copytree(site[0] / "sentinel-2-l2a", tmp_path / "missing")
    refresh(backend, "2026-05-01T12:00:00Z")
    assert [source["error"] for source in get_status(backend)["sources"]] == [None, None]


def test_a_stale_feed_is_logged_and_a_folder_never(tmp_path, site, caplog):
    now = datetime(2026, 5, 1, tzinfo=UTC)
    feed, dead = "stac:https://example.com#live", "stac:https://example.com#dead"
    backend = local_backend(tmp_path / "data")
    backend = replace(
        backend,
        now=lambda: now,
        source=lambda spec: SimpleNamespace(announces_all=spec.startswith("folder:")),
    )
    backend.catalog().add(
        to_table(
            [
                Product(
                    id=f"S2A_{number}",
                    source=source,
                    level="L2A",
                    platform="S2A",
                    tile="31UES",
                    sensing_time=now - timedelta(hours=hours),
                    datatake=f"20260501T00000{number}",
                    west=0,
                    south=0,
                    east=1,
                    north=1,
                )
                for number, (source, hours) in enumerate(
                    [(feed, 47), (feed, 500), (dead, 49), ("folder:/archive", 9000)]
                )
            ]
        )
    )
    report_stale_sources(backend, [feed, dead, "folder:/archive", "stac:https://example.com#empty"])
    assert [record.line for record in caplog.records] == [{"source": dead, "silent_hours": 49}]


def test_ticks_do_not_pile_up_while_a_source_is_away(tmp_path, site, monkeypatch):
    backend = local_backend(tmp_path / "data", (f"folder:{site[0]}",))

    def away(*_):
        raise TransientError("the disk of the archive does not answer")

    monkeypatch.setattr("revisit.adapters.sources.folder.Folder.list_products", away)
    assert [refresh(backend, f"2026-05-01T10:3{minute}:00Z") for minute in range(3)] == [1, 1, 1]
    assert (
        backend.records.get(SourceState, backend.sources[0]).error
        == "the disk of the archive does not answer"
    )
    assert not backend.records.find(DeadLetter)
    monkeypatch.undo()
    refresh(backend, "2026-05-01T10:40:00Z")
    assert backend.records.get(SourceState, backend.sources[0]).error == ""


def test_what_breaks_a_job_is_its_recorded_reason(tmp_path, site):
    archive, aoi, _ = site
    watched = tmp_path / "archive"
    name = "S2A_31UES_20231022_L2A_crop"
    shutil.copytree(archive / "sentinel-2-l2a" / name, watched / name)
    red = watched / name / "B04.tif"
    red.write_bytes(red.read_bytes()[:2000])
    backend = local_backend(tmp_path / "data")
    placed = order_acquisitions(backend, aoi, NDVI, source=f"folder:{watched}")
    drain(backend)
    job = backend.get_record(Job, placed.jobs[0])
    assert job.state == "failed"
    assert "B04" in job.reason
    assert get_order(backend, placed.id).state == "finished"


def test_a_job_whose_workers_all_die_is_closed_and_its_order_ends(tmp_path, site):
    backend = local_backend(tmp_path / "data")
    placed = order_acquisitions(
        backend,
        site[1],
        NDVI,
        source=f"folder:{site[0]}",
        start=datetime(2023, 10, 22, tzinfo=UTC),
        end=datetime(2023, 10, 23, tzinfo=UTC),
    )
    queue = backend.bus
    for _ in range(8):
        (message,) = queue.lease(("extract",), 1, lease_s=0)
    drain(backend)
    job = backend.get_record(Job, placed.jobs[0])
    assert (job.state, "memory" in job.reason) == ("failed", True)
    assert get_order(backend, placed.id).state == "finished"
