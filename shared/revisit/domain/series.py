"""Series: the values of an index over an AOI over time."""

from dataclasses import dataclass
from datetime import datetime

from revisit.domain.job import Cover, Job, Statistics
from revisit.domain.product import Product


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of a series, and the product and pixels that it comes from."""

    sensing_time: datetime
    acquisition: str
    job: str
    product: Product
    """The product that decides the grid."""
    contributors: tuple[Product, ...]
    """The products whose pixels it holds."""
    cover: Cover
    statistics: Statistics

    @property
    def coverage(self) -> float:
        """Share of the AOI that has data, 0 to 1."""
        return self.cover.coverage

    @property
    def clear_fraction(self) -> float:
        """Share of the AOI's valid pixels that are clear, 0 to 1."""
        return self.cover.clear_fraction


def build_series(jobs: list[Job], index: str) -> list[Observation]:
    """Observations of one index or band from finished jobs, oldest first; jobs without a clear pixel give
    none."""
    observations = []
    for job in jobs:
        statistics = job.indices.get(index) or job.bands.get(index)
        if job.state == "done" and job.cover and statistics and statistics.count:
            observations.append(
                Observation(
                    job.product.sensing_time,
                    job.acquisition,
                    job.id,
                    job.product,
                    job.contributors,
                    job.cover,
                    statistics,
                )
            )
    return sorted(observations, key=lambda seen: (seen.sensing_time, seen.acquisition))
