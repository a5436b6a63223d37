"""Series: the values of an index over an AOI over time."""

from dataclasses import dataclass
from datetime import datetime

from revisit.domain.job import Job, Statistics


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of a series."""

    sensing_time: datetime
    acquisition: str
    job: str
    clear_fraction: float
    """Share of the AOI's valid pixels that are clear, 0 to 1."""
    coverage: float
    """Share of the AOI that has data, 0 to 1."""
    statistics: Statistics


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
                    job.cover.clear_fraction,
                    job.cover.coverage,
                    statistics,
                )
            )
    return sorted(observations, key=lambda seen: (seen.sensing_time, seen.acquisition))
