"""The twelve acquisitions of the demo: tile 31TCJ from November 2021 to September 2022.

Each satellite repeats its orbits every 10 days (143 orbits), S2B five days after S2A. Relative orbit 51 sees
the whole tile. Orbit 8, three days (43 orbits) earlier, sees only a part: its swath begins inside the tile.
Products before 2022-01-25 have baseline 03.01 and no radiometric offset, later ones 04.00 and -1000.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from revisit.domain.product_name import ProductName

TILE = "31TCJ"
EPSG = 32631
WEST_M, NORTH_M = 373_800, 4_813_620
"""Upper left corner of the crop: that of the tile, (300000, 4900020), plus whole pixels of 60 m."""
SIZE = 900
"""Width and height in pixels of 10 m."""
LON, LAT = 1.48, 43.43
"""Centre of the crop, degrees."""
SEASON_START = datetime(2021, 11, 1, tzinfo=UTC)
"""Day 0 of the season."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One acquisition, its weather, and the format of its product."""

    datatake: datetime
    platform: str
    relative_orbit: int
    absolute_orbit: int
    package: str
    """"SAFE" or "COG"."""
    cloud_share: float
    """Approximate share of the sky with clouds."""
    aoi_cloud_bias: float
    """How much cloudier than elsewhere it is over the AOI; negative is clearer."""
    haze: float = 0.0
    """Thickness of high cirrus, 0 to 1."""

    @property
    def baseline(self) -> str:
        return "0400" if self.datatake >= datetime(2022, 1, 25, tzinfo=UTC) else "0301"

    @property
    def offset(self) -> int:
        """Offset in DN: reflectance x 10,000 is DN plus this."""
        return -1000 if self.baseline >= "0400" else 0

    @property
    def sensing_time(self) -> datetime:
        """Sensing time of the tile, some minutes after the datatake began over Scandinavia."""
        return self.datatake + timedelta(minutes=4, seconds=53, milliseconds=127)

    @property
    def generated(self) -> datetime:
        return self.datatake.replace(microsecond=0) + timedelta(hours=3, minutes=41, seconds=12)

    @property
    def day(self) -> int:
        """Day of the season, counted from `SEASON_START`."""
        return (self.datatake - SEASON_START).days

    @property
    def name(self) -> str:
        """Name of the product."""
        return str(
            ProductName(
                self.platform, "L2A", self.datatake, self.baseline, self.relative_orbit, TILE, self.generated
            )
        )

    @property
    def cut_by_swath(self) -> bool:
        return self.relative_orbit == 8

    @property
    def sun_angles(self) -> tuple[float, float]:
        """Zenith and azimuth in degrees, to within a degree: declination by day of year, hour angle
        by longitude."""
        day = self.sensing_time.timetuple().tm_yday
        declination = math.radians(-23.44) * math.cos(2 * math.pi * (day + 10) / 365)
        hours = self.sensing_time.hour + self.sensing_time.minute / 60 + LON / 15 - 12
        angle, latitude = math.radians(15 * hours), math.radians(LAT)
        height = math.asin(
            math.sin(latitude) * math.sin(declination)
            + math.cos(latitude) * math.cos(declination) * math.cos(angle)
        )
        azimuth = math.atan2(
            math.sin(angle), math.cos(angle) * math.sin(latitude) - math.tan(declination) * math.cos(latitude)
        )
        return 90 - math.degrees(height), 180 + math.degrees(azimuth)


def _make_acquisition(
    day: str,
    time: str,
    platform: str,
    package: str,
    cloud_share: float,
    aoi_cloud_bias: float,
    haze: float = 0.0,
    orbit: int = 51,
) -> Acquisition:
    datatake = datetime.strptime(f"{day}T{time}Z", "%Y-%m-%dT%H%M%S%z")
    known = {
        "S2A": (datetime(2022, 1, 20, tzinfo=UTC), 34_368),
        "S2B": (datetime(2022, 1, 25, tzinfo=UTC), 25_531),
    }
    day_of, number = known[platform]
    since = (datatake.replace(hour=0, minute=0, second=0) - day_of).days + (3 if orbit == 8 else 0)
    absolute = number + since * 143 // 10 - (43 if orbit == 8 else 0)
    return Acquisition(datatake, platform, orbit, absolute, package, cloud_share, aoi_cloud_bias, haze)


ACQUISITIONS = (
    _make_acquisition("2021-11-21", "105331", "S2A", "SAFE", 0.10, -1.2),
    _make_acquisition("2021-12-16", "105339", "S2B", "COG", 0.85, 1.5),
    _make_acquisition("2022-01-20", "105341", "S2A", "COG", 0.30, -0.2),
    _make_acquisition("2022-02-24", "104959", "S2B", "SAFE", 0.02, -1.5),
    _make_acquisition("2022-03-21", "104731", "S2A", "COG", 0.35, 0.2),
    _make_acquisition("2022-04-15", "104619", "S2B", "SAFE", 0.05, -1.5),
    _make_acquisition("2022-05-10", "104631", "S2A", "COG", 0.25, -1.4),
    _make_acquisition("2022-05-30", "104631", "S2A", "SAFE", 0.75, 1.2),
    _make_acquisition("2022-06-14", "104629", "S2B", "COG", 0.0, -1.5),
    _make_acquisition("2022-07-06", "103641", "S2A", "SAFE", 0.12, -1.0, orbit=8),
    _make_acquisition("2022-08-08", "105041", "S2A", "COG", 0.06, -1.5),
    _make_acquisition("2022-09-22", "105039", "S2B", "SAFE", 0.22, 0.1, haze=0.15),
)
