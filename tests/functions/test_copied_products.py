"""Products that are seen while they are copied into a folder: retried when whole, announced when settled."""

import logging
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from chain_runner import drain
from data import shared_data
from revisit.adapters.local.backend import local_backend
from revisit.chain.refresh import refresh_source
from revisit.domain.alert import Alert
from revisit.domain.aoi import AOI
from revisit.domain.job import Job
from revisit.domain.recipe import Recipe
from revisit.ports.system_records import SourceState
from revisit.services.operations.doctor import check_sources
from revisit.services.operations.status import source_statuses
from revisit.services.subscriptions.create import create_subscription

NAME = "S2A_31UES_20231022_L2A_crop"
"""A real crop as a STAC item: B02, B03, B04, B08 and SCL as GeoTIFF."""


class Copied:
    """A folder that is filled step by step, and a subscription over what comes."""

    def __init__(self, tmp_path):
        self.whole = shared_data("archive") / "sentinel-2-l2a" / NAME
        self.place = tmp_path / "archive" / NAME
        self.place.mkdir(parents=True)
        self.later = timedelta()
        self.spec = f"folder:{tmp_path / 'archive'}"
        self.backend = local_backend(
            tmp_path / "data", (self.spec,), now=lambda: datetime.now(UTC) + self.later
        )
        aoi = AOI.parse((shared_data("archive") / "aoi" / "gfmap_31UES.geojson").read_bytes())
        create_subscription(self.backend, aoi, "Field", Recipe(indices=("NDVI",)))

    def copy(self, *names, size=None):
        for name in names or [path.name for path in self.whole.iterdir()]:
            (self.place / name).write_bytes((self.whole / name).read_bytes()[:size])

    def refresh(self, later=timedelta(seconds=61)):
        self.later += later
        result = refresh_source(self.backend, self.spec)
        drain(self.backend)
        return result

    @property
    def jobs(self):
        return self.backend.records.find(Job)

    @property
    def alerts(self):
        return sorted(self.backend.records.find(Alert), key=lambda alert: alert.number)

    @property
    def ndvi(self):
        return [alert.indices["NDVI"].mean for alert in self.alerts]


@pytest.fixture
def copied(tmp_path):
    return Copied(tmp_path)


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """NDVI of the product where it was never seen in part."""
    one = Copied(tmp_path_factory.mktemp("whole"))
    one.copy()
    one.refresh()
    [value] = one.ndvi
    return value


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: (one.place / "B08.tif").unlink(),
        lambda one: one.copy("B08.tif", size=2000),
        lambda one: one.copy("SCL.tif", size=0),
        lambda one: (one.place / "SCL.tif").unlink(),
    ],
    ids=["missing", "cut off", "empty", "no mask yet"],
)
def test_a_product_that_is_not_whole_yet_is_announced_when_it_is(copied, spoil, right):
    copied.copy()
    spoil(copied)
    result = copied.refresh()
    assert (result.new, len(result.incomplete), copied.jobs) == (1, 1, [])
    [shown] = source_statuses(copied.backend)[0]["incomplete"]
    assert (shown["product"], shown["waiting"]) == (NAME, True)
    [finding] = check_sources(copied.backend, (copied.spec,), "")
    assert NAME in finding.message and "waits for its files" in finding.message
    copied.copy("B08.tif", "SCL.tif")
    copied.refresh()
    assert copied.ndvi == [right] and copied.jobs[0].again == 0
    for _ in range(2):
        assert not copied.refresh().incomplete
    assert len(copied.jobs) == len(copied.alerts) == 1


def test_files_that_arrive_one_by_one_make_one_alert(copied, right):
    names = sorted((path.name for path in copied.whole.iterdir()), key=lambda name: name.endswith(".tif"))
    for name in names:
        copied.copy(name)
        copied.refresh()
    assert copied.ndvi == [right]


def test_a_product_that_stays_incomplete_is_taken_as_it_is_and_begun_again_when_files_come(
    copied, caplog, right
):
    copied.copy()
    copied.copy("B08.tif", size=2000)
    copied.refresh()
    with caplog.at_level(logging.WARNING, "revisit"):
        for _ in range(4):
            copied.refresh(timedelta(minutes=11))
    [job] = copied.jobs
    assert (job.state, "B08" in job.reason) == ("failed", True)
    assert sum("has stopped changing" in each.message for each in caplog.records) == 1
    [finding] = check_sources(copied.backend, (copied.spec,), "")
    assert "B08.tif is cut off" in finding.message
    copied.copy("B08.tif")
    copied.refresh()
    [job] = copied.jobs
    assert (job.state, job.again, copied.ndvi) == ("done", 1, [right])


def test_an_image_that_is_replaced_in_place_updates_the_alert(copied, right):
    copied.copy()
    shutil.copy(copied.whole / "B04.tif", copied.place / "B08.tif")  # NDVI 0 everywhere
    copied.refresh()
    assert copied.ndvi == [0]
    copied.copy("B08.tif")
    copied.refresh()
    assert copied.ndvi == [0, right]
    assert [(alert.kind, alert.updates) for alert in copied.alerts] == [("new", None), ("updated", 1)]


def test_a_product_is_watched_for_two_days_and_times_of_another_clock_hold_nothing_for_ever(copied):
    copied.copy()
    copied.copy("B08.tif", size=2000)
    for path in (copied.place / "B08.tif", copied.place):
        os.utime(path, (4e9, 4e9))
    copied.refresh()
    assert not copied.jobs
    copied.refresh(timedelta(minutes=11))
    assert [job.state for job in copied.jobs] == ["failed"]
    copied.copy("B08.tif")
    os.utime(copied.place)
    copied.refresh()
    [state] = copied.backend.records.find(SourceState)
    assert list(state.listing["watched"]) == [NAME]
    copied.refresh(timedelta(hours=49))
    [state] = copied.backend.records.find(SourceState)
    assert not state.listing["watched"] and len(copied.alerts) == 1
