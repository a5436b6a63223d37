"""Areas on a sphere by Lambert's cylindrical equal-area projection; edges are straight in lon/lat."""

from typing import Any


def share_of_earth(shape: Any) -> float:
    """Area of a shape in lon/lat degrees as a share of the Earth's surface, 0 to 1."""
    import numpy as np
    import shapely

    projected = shapely.transform(
        shape, lambda at: np.stack([at[:, 0] / 360, np.sin(np.radians(at[:, 1])) / 2], axis=1)
    )
    return float(projected.area)


def covered_share(shape: Any, cover: Any) -> float:
    """Share of a shape's area that another shape covers, 0 to 1; 0 for a shape without area."""
    import shapely

    whole = share_of_earth(shape)
    return share_of_earth(shapely.intersection(shape, cover)) / whole if whole else 0.0
