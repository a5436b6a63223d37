"""Passes foreseen, against those that came."""

from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from data import shared_data
from figures import figure
from products import product
from revisit.domain.passes import predict_passes
from revisit.domain.product import Product
from revisit.domain.product_name import ProductName

TILE = "31UFS"
NOW = datetime(2024, 7, 1, tzinfo=UTC)


def seen(sensed: datetime, platform: str = "S2A", orbit: int = 65, tile: str = "32TNR") -> Product:
    return product(
        1,
        sensing_time=sensed,
        platform=platform,
        relative_orbit=orbit,
        tile=tile,
        id=f"{platform} {orbit} {tile} {sensed}",
    )


@pytest.fixture(scope="module")
def history() -> list[Product]:
    """The real products of five years, as a catalogue of ESA's stated them."""
    rows = pq.read_table(
        shared_data("catalog", "cdse_products.parquet"), columns=["title", "startDate"]
    ).to_pylist()
    parsed = [(ProductName.parse(row["title"]), datetime.fromisoformat(row["startDate"])) for row in rows]
    return [seen(sensed, name.platform, name.relative_orbit, name.tile) for name, sensed in parsed]


def test_of_five_years_of_real_passes_nearly_all_were_foreseen_within_a_minute(history):
    """Every ten days from mid 2017 on, when both satellites flew: learnt from before the day, compared with
    what came after it."""
    came, foreseen, right, result = 0, 0, 0, 0
    day = datetime(2017, 7, 1, tzinfo=UTC)
    while day < datetime(2020, 12, 20, tzinfo=UTC):
        ahead = day + timedelta(days=10)
        coming = predict_passes(
            [one for one in history if one.tile == TILE and one.sensing_time <= day], day, ahead
        )
        result += len(coming)
        real: dict[tuple[str, int], datetime] = {}
        for one in history:
            if one.tile == TILE and day < one.sensing_time <= ahead and one.relative_orbit is not None:
                real.setdefault((one.platform, one.relative_orbit), one.sensing_time)
        for (platform, orbit), sensed in real.items():
            near = [one for one in coming if (one.platform, one.relative_orbit) == (platform, orbit)]
            came += 1
            foreseen += bool(near)
            right += any(abs(one.expected - sensed) <= timedelta(minutes=1) for one in near)
        day = ahead
    figure(
        "passes foreseen within 1 min, of those that came", f"{right} of {came} ({100 * right / came:.1f} %)"
    )
    figure("passes foreseen that came within 1 min", f"{right} of {result} ({100 * right / result:.1f} %)")
    assert came > 450
    assert right / came >= 0.95 and right / result >= 0.95


def test_a_platform_that_stopped_is_expected_no_more_and_its_successor_is():
    cycle = timedelta(days=10)
    stopped = [seen(NOW - timedelta(days=32) - number * cycle) for number in range(3)]
    flying = [seen(NOW - timedelta(days=6) - number * cycle, "S2C") for number in range(3)]
    coming = predict_passes([*stopped, *flying], NOW, NOW + timedelta(days=20))
    assert [(one.platform, one.expected, one.learnt_from) for one in coming] == [
        ("S2C", NOW + timedelta(days=4), 3),
        ("S2C", NOW + timedelta(days=14), 3),
    ]


def test_a_gap_of_two_cycles_is_clouds_of_the_ground_station_and_not_the_end():
    coming = predict_passes(
        [seen(NOW - timedelta(days=24)), seen(NOW - timedelta(days=3), "S2B", 22)],
        NOW,
        NOW + timedelta(days=8),
    )
    assert [(one.platform, one.expected) for one in coming] == [
        ("S2A", NOW + timedelta(days=6)),
        ("S2B", NOW + timedelta(days=7)),
    ]


def test_from_a_catalog_that_ended_long_ago_nothing_is_foreseen():
    assert predict_passes([seen(NOW - timedelta(days=91))], NOW, NOW + timedelta(days=30)) == []
    assert len(predict_passes([seen(NOW - timedelta(days=89))], NOW, NOW + timedelta(days=30))) == 3


def test_tiles_and_levels_of_one_pass_are_one_and_a_drift_goes_on_damped():
    sensed = NOW - timedelta(days=5)
    products = [
        seen(sensed),
        seen(sensed + timedelta(seconds=60), tile="32TNS"),
        seen(sensed + timedelta(seconds=2)),
        seen(sensed - timedelta(days=10, seconds=50)),
        seen(sensed - timedelta(days=3), "S2B"),
    ]
    first, second, third = predict_passes(products, NOW, NOW + timedelta(days=14))
    assert (second.tiles, second.learnt_from) == (
        ("32TNR", "32TNS"),
        2,
    ) and first.platform == third.platform == "S2B"
    assert second.expected == sensed + timedelta(days=10, seconds=40)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_start_that_the_plan_moved_by_minutes_is_not_taken_for_a_drift(sign):
    last = NOW - timedelta(days=5)
    moved = [seen(last), seen(last - timedelta(days=10) - sign * timedelta(minutes=4))]
    (coming,) = predict_passes(moved, NOW, NOW + timedelta(days=9))
    assert coming.expected == last + timedelta(days=10)


def test_what_states_no_orbit_teaches_nothing():
    assert predict_passes([product(20)], NOW, NOW + timedelta(days=30)) == []
