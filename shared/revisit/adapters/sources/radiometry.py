"""Scale and offset of the band files of STAC items: the rules of docs/radiometry.md.

An item, the tags of the file and the processing baseline each may state them. Scale and offset are each
silent for themselves, and what nobody states is refused where the baseline allows an offset.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from revisit.domain.bands import SPECTRAL_BANDS
from revisit.errors import PermanentError

OFFSET_BASELINE = "0400"
"""From this baseline on ESA's products have an offset of -1000 DN (BOA_ADD_OFFSET, RADIO_ADD_OFFSET)."""
TRIAL_BASELINE = "9000"
"""Baselines from here on (N9999) are trials, of which no rule is known."""
OFFSET_START = datetime(2022, 1, 25, tzinfo=UTC)
"""ESA's operational processing has had baseline 04.00 since; what was sensed later has an offset unless its
provider has subtracted it."""
ESA_OFFSET = -0.1
"""-1000 DN, in reflectance."""
ESA_SCALE, ESA_LAYER_SCALE = 0.0001, 0.001
"""1 / quantification value: of reflectance (10,000), of AOT and WVP (1,000)."""

UNCHANGED_FILES = (
    "https://sentinel2l2a01.blob.core.windows.net/",
    "https://eodata.dataspace.copernicus.eu/",
    "https://storage.googleapis.com/gcp-public-data-sentinel-2/",
    "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/sentinel-2-c1-l2a/",
)
"""Addresses of files with ESA's own numbers: Planetary Computer, Copernicus Data Space Ecosystem, Google's
bucket, and Earth Search's Collection 1."""
EARTH_SEARCH_V1_FILES = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/"
"""Files of Earth Search's sentinel-2-l2a, from which the offset is subtracted, but not from all."""

_SCALES = (1e-5, 1e-3)
"""Range of scales that DN of reflectance have."""
_OFFSETS_IN_DN = (-10_000.0, -10.0)


@dataclass(frozen=True, slots=True)
class Statement:
    """What an item or the tags of a file state of a band; None is silence."""

    scale: float | None = None
    offset: float | None = None

    @classmethod
    def parse(cls, band: str, stated: Mapping[str, Any]) -> "Statement":
        """Read the statement of an item.

        A scale of 1 says nothing of reflectance, and an offset of 0 beside it neither: programs write both
        for every file of integers.

        Raises:
            PermanentError: A value is no number, or cannot be a scale or an offset of reflectance.
        """
        scale, offset = _number(band, "scale", stated), _number(band, "offset", stated)
        if band not in SPECTRAL_BANDS:
            return cls(scale, offset)
        if scale == 1:
            scale, offset = None, offset or None
        if scale is not None and not _SCALES[0] <= scale <= _SCALES[1]:
            raise PermanentError(f"the scale of {band} is stated as {scale:g}, which is none of reflectance")
        if offset is not None and _OFFSETS_IN_DN[0] <= offset <= _OFFSETS_IN_DN[1]:
            offset *= scale or ESA_SCALE  # BOA_ADD_OFFSET, stated as it is in ESA's metadata
        if offset is not None and not -1 <= offset <= 0:
            raise PermanentError(
                f"the offset of {band} is stated as {offset:g}, which is none of reflectance"
            )
        return cls(scale, offset)


SILENT = Statement()


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What an item states of all of its files."""

    baseline: str | None
    """Four digits, such as 0511."""
    sensed: datetime | None
    applied: bool | None
    """Whether Earth Search states that it has subtracted the offset (boa_offset_applied)."""

    @property
    def esa_offset(self) -> float | None:
        """The offset of ESA's own numbers in reflectance; None where it does not follow from the baseline."""
        if self.baseline is None or self.baseline >= TRIAL_BASELINE:
            return None
        return ESA_OFFSET if self.baseline >= OFFSET_BASELINE else 0.0


@dataclass(frozen=True, slots=True)
class Radiometry:
    """Reflectance = DN * scale + offset."""

    scale: float
    offset: float
    other_offset: float | None = None
    """The offset that may hold instead; None where `offset` is certain."""
    doubt: str = ""
    """Why, as a sentence."""


def radiometry_of(
    band: str, item: Statement, tags: Statement, facts: ItemFacts, href: str, driver: str
) -> Radiometry:
    """The radiometry of a band file.

    Args:
        band: Name of the band.
        item: What the item states of the band.
        tags: What the file itself states.
        facts: What the item states of all of its files.
        href: Where the file is.
        driver: GDAL driver; Earth Search's flag is about its GeoTIFFs.

    Raises:
        PermanentError: Neither states an offset although the product may have one, or they disagree.
    """
    if band not in SPECTRAL_BANDS:
        return _layer_radiometry(band, item)
    scale = item.scale or tags.scale or ESA_SCALE
    is_cog, is_unchanged = driver == "GTiff", href.startswith(UNCHANGED_FILES)
    offset = item.offset if item.offset is not None else tags.offset
    if facts.applied is True and is_cog:
        other = facts.esa_offset if is_unchanged else tags.offset
        if not other:
            return Radiometry(scale, 0.0)
        holder = "its provider keeps ESA's numbers" if is_unchanged else f"its file states {other:g}"
        return Radiometry(
            scale,
            0.0,
            other,
            f"the item states that its offset is subtracted (boa_offset_applied), but {holder}",
        )
    if offset is None:
        return Radiometry(scale, _unstated_offset(band, facts, href))
    if item.offset is not None and tags.offset is not None and item.offset != tags.offset:
        raise PermanentError(
            f"the item states an offset of {item.offset:g} for {band} and its file one of {tags.offset:g}"
        )
    unreliable = href.startswith(EARTH_SEARCH_V1_FILES) or facts.applied is False
    if facts.esa_offset and is_cog and unreliable:
        return Radiometry(
            scale,
            offset,
            0.0 if offset else facts.esa_offset,
            f"the item states an offset of {offset:g} and not that it is subtracted (boa_offset_applied), "
            "which is wrong for many items of Earth Search's sentinel-2-l2a",
        )
    if offset == 0 and facts.esa_offset and is_unchanged:
        return Radiometry(
            scale,
            offset,
            facts.esa_offset,
            f"the item states an offset of 0 and baseline {facts.baseline}, whose files have one of "
            f"{facts.esa_offset:g} at this provider",
        )
    if offset and facts.esa_offset == 0:
        return Radiometry(
            scale,
            offset,
            0.0,
            f"the item states an offset of {offset:g} and baseline {facts.baseline}, which has none",
        )
    return Radiometry(scale, offset)


def _layer_radiometry(band: str, item: Statement) -> Radiometry:
    """That of SCL, AOT and WVP.

    CDSE states reflectance's scale and offset for AOT and WVP too; ESA quantifies both by 1,000, without an
    offset, at every baseline.
    """
    if band == "SCL":
        return Radiometry(1.0, 0.0)
    if item.offset or item.scale in (None, 1.0, ESA_SCALE):
        return Radiometry(ESA_LAYER_SCALE, 0.0)
    return Radiometry(item.scale or ESA_LAYER_SCALE, 0.0)


def _unstated_offset(band: str, facts: ItemFacts, href: str) -> float:
    if facts.esa_offset == 0:
        return 0.0
    if facts.esa_offset is not None and href.startswith(UNCHANGED_FILES):
        return facts.esa_offset
    if facts.baseline is None and facts.sensed is not None and facts.sensed < OFFSET_START:
        return 0.0
    product = f"baseline {facts.baseline}" if facts.baseline else "a product sensed since 2022-01-25"
    raise PermanentError(f"the item states no radiometric offset of {band}, which {product} may have")


def _number(band: str, key: str, stated: Mapping[str, Any]) -> float | None:
    value = stated.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e18:
        raise PermanentError(f"the {key} of {band} is {value!r}, which is not a number")
    return float(value)
