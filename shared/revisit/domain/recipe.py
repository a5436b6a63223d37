"""Recipes: what to make of the pixels."""

import re
from dataclasses import dataclass, replace

from revisit.domain.bands import SPECTRAL_BANDS, band_name
from revisit.domain.ids import derive_id
from revisit.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Recipe:
    """Bands to deliver and indices to compute."""

    bands: tuple[str, ...] = ()
    """Bands to deliver as reflectance, besides those that the indices need."""
    indices: tuple[str, ...] = ()
    """Names from the Awesome Spectral Indices catalogue, such as NDVI or EVI, and formulas of the user's own
    with their names, such as "wet=(B8A - B11) / (B8A + B11)"."""
    resolution_m: float | None = None
    """Pixel size of the result; None keeps the native grid of the finest band that is read."""
    resampling: str = "bilinear"
    """Resampling of reflectance to a finer grid, "bilinear" or "nearest"; to a coarser one it is averaged.
    Classes are always resampled by nearest neighbour.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "bands", tuple(dict.fromkeys(band_name(band) for band in self.bands)))
        object.__setattr__(self, "indices", tuple(dict.fromkeys(self.indices)))
        if unknown := [band for band in self.bands if band not in SPECTRAL_BANDS]:
            raise InvalidInputError(
                f"band {unknown[0]} is a layer, not a reflectance band; choose from "
                f"{', '.join(SPECTRAL_BANDS)}"
            )
        plain = (name for name in self.indices if "=" not in name)
        if bad := [name for name in plain if not re.fullmatch(r"[A-Za-z0-9_\-]{1,32}", name)]:
            raise InvalidInputError(
                f"{bad[0][:60]!r} is not the name of a spectral index; a formula of your own has a name too, "
                "as in ratio=B08/B04"
            )
        if self.resampling not in ("bilinear", "nearest"):
            raise InvalidInputError(
                f"resampling {self.resampling!r} is not offered; choose bilinear or nearest"
            )
        if self.resolution_m is not None and not 1 <= self.resolution_m <= 10_000:
            raise InvalidInputError(f"a resolution of {self.resolution_m} m is not within 1 to 10,000 m")
        if not self.bands and not self.indices:
            raise InvalidInputError("a recipe names at least one band or index, such as NDVI")

    @property
    def id(self) -> str:
        """Id derived from everything that changes the result; the order of names does not."""
        return derive_id(
            "recipe",
            ",".join(sorted(self.bands)),
            ",".join(sorted(self.indices)),
            str(self.resolution_m),
            self.resampling,
        )

    @property
    def index_names(self) -> tuple[str, ...]:
        """The names of the indices; those of results."""
        return tuple(index_name(definition) for definition in self.indices)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the indices and bands."""
        return (*self.index_names, *self.bands)

    def with_indices(self, indices: tuple[str, ...]) -> "Recipe":
        """The same recipe with its indices under other names (aliases resolved)."""
        return replace(self, indices=indices)


def index_name(definition: str) -> str:
    """The name of an index of a recipe: "wet" for "wet=(B8A - B11) / (B8A + B11)"."""
    return definition.partition("=")[0].strip()
