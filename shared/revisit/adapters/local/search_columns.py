"""Search columns of the local catalog: one array for each property that searches compare."""

from typing import TYPE_CHECKING, Any

from revisit.adapters.local.catalog_filter import (
    NO_ORBIT,
    UNITS_PER_DEGREE,
    encode_baselines,
    encode_platforms,
)
from revisit.domain.product import LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


COLUMNS = {
    "sensed": "<i8",
    "cloud": "<f8",
    "west": "<i4",
    "south": "<i4",
    "east": "<i4",
    "north": "<i4",
    "level": "u1",
    "source": "u1",
    "platform": "u1",
    "orbit": "u1",
    "baseline": "<u2",
}
"""Search columns, one entry per row: microseconds since 1970, percent or NaN, bounds, and the codes of level,
source, platform, relative orbit and baseline (see `catalog_filter`).
"""


def search_columns(rows: Any, sources: list[str]) -> "dict[str, Array]":
    """Search columns of rows of `stored_schema` (a table or a batch)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    def degrees(name: str, rounded: Any) -> "Array":
        return rounded(rows[name].to_numpy(zero_copy_only=False) * UNITS_PER_DEGREE).astype("<i4")  # type: ignore[no-any-return]

    return {
        "sensed": rows["sensing_time"].cast(pa.int64()).to_numpy(zero_copy_only=False),
        "cloud": pc.fill_null(rows["cloud_cover"], float("nan")).to_numpy(zero_copy_only=False),
        "west": degrees("west", np.floor),
        "south": degrees("south", np.floor),
        "east": degrees("east", np.ceil),
        "north": degrees("north", np.ceil),
        "level": pc.index_in(rows["level"], pa.array(LEVELS)).to_numpy(zero_copy_only=False).astype("u1"),
        "source": pc.index_in(rows["source"], pa.array(sources)).to_numpy(zero_copy_only=False).astype("u1"),
        "platform": encode_platforms(rows["platform"]),
        "baseline": encode_baselines(rows["baseline"]),
        "orbit": pc.fill_null(rows["relative_orbit"], NO_ORBIT).to_numpy(zero_copy_only=False).astype("u1"),
    }
