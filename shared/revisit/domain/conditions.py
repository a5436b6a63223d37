"""Limits on the coverage and the clear share of an AOI, the reasons for skipping a job, and their wording."""

from fractions import Fraction
from typing import Any, Protocol

from revisit.domain.job import ClearBase, Cover
from revisit.errors import InvalidInputError

DEFAULT_MIN_COVERAGE = 50.0
"""Minimum coverage of a new subscription in percent; an order has no minimum unless it is given."""
CLEAR_BASES: tuple[ClearBase, ...] = ("aoi", "seen")
MAX_DECIMALS = 9


class PixelLimits(Protocol):
    """The limits that pixels decide, as jobs, orders, requests and subscriptions hold them."""

    @property
    def min_coverage(self) -> float | None:
        """Percent of the AOI's pixels that must have data; None accepts any."""
        ...

    @property
    def min_clear(self) -> float | None:
        """Percent that must be clear; None accepts any but 0."""
        ...

    @property
    def min_clear_of(self) -> ClearBase:
        """What `min_clear` is a percentage of: all pixels of the AOI, or the seen ones."""
        ...


def check_limits(limits: PixelLimits, max_cloud: float | None) -> None:
    """Check that every limit is a percentage, and that `min_clear_of` is one of `CLEAR_BASES`.

    Raises:
        InvalidInputError: One is not.
    """
    named = {"max_cloud": max_cloud, "min_clear": limits.min_clear, "min_coverage": limits.min_coverage}
    for name, value in named.items():
        if value is not None and not 0 <= value <= 100:
            raise InvalidInputError(f"{name} is a percentage from 0 to 100, not {value:g}")
    if limits.min_clear_of not in CLEAR_BASES:
        raise InvalidInputError(
            f"min_clear_of {str(limits.min_clear_of)[:40]!r} does not exist; "
            f"choose {' or '.join(CLEAR_BASES)}"
        )


def limit_fields(limits: PixelLimits) -> dict[str, Any]:
    """The limits as fields of a job or of an order."""
    return {
        "min_clear": limits.min_clear,
        "min_coverage": limits.min_coverage,
        "min_clear_of": limits.min_clear_of,
    }


def skip_reason(limits: PixelLimits, cover: Cover) -> str:
    """Why a job with this cover is skipped; empty if it is processed."""
    return no_data_reason(cover) or coverage_reason(limits, cover) or cloud_reason(limits, cover)


def no_data_reason(cover: Cover) -> str:
    """Why there are no data over the AOI; empty if there are."""
    if not cover.aoi:
        return "the AOI contains no pixel centre: it is smaller than the pixels"
    return "" if cover.valid else "the product has no data over the AOI"


def coverage_reason(limits: PixelLimits, cover: Cover) -> str:
    """Why too little of the AOI was seen; empty if enough was, or if there is no limit."""
    limit = limits.min_coverage
    if limit is None or not is_below(cover.valid, cover.aoi, limit):
        return ""
    return f"{percent_below(cover.valid, cover.aoi, limit)} of the AOI was seen, less than {limit:g} %"


def cloud_reason(limits: PixelLimits, cover: Cover) -> str:
    """Why a job's AOI is not clear enough; empty if it is, or if no mask can tell.

    A job without a clear pixel has no statistics, so it is skipped whatever the limit.
    """
    if cover.mask == "none":
        return "" if cover.clear else "every seen pixel of the AOI is saturated"
    limit = limits.min_clear
    of_seen = limits.min_clear_of == "seen"
    total = cover.valid if of_seen else cover.aoi
    if limit is None or not is_below(cover.clear, total, limit):
        return "" if cover.clear else "no pixel of the AOI is clear"
    share = percent_below(cover.clear, total, limit)
    if cover.valid == cover.aoi:
        return f"{share} of the AOI is clear, less than {limit:g} %"
    if of_seen:
        return f"{share} of the seen part of the AOI is clear, less than {limit:g} %"
    seen = 100 * cover.clear_fraction
    return f"{share} of the AOI is clear ({seen:.0f} % of the seen part), less than {limit:g} %"


def unjudged_reason(limits: PixelLimits, cover: Cover) -> str:
    """Which limit cannot be judged with this product; empty if all can."""
    if cover.mask == "none" and limits.min_clear is not None:
        return (
            "the product has no scene classification: "
            f"whether {limits.min_clear:g} % is clear could not be judged"
        )
    return ""


def describe_cover(cover: Cover) -> str:
    """Coverage and clear share in one sentence, such as "36 % of your area was seen, 98 % of that clear"."""
    if not cover.valid:
        return "nothing of your area was seen"
    seen = f"{whole_percent(cover.valid, cover.aoi)} of your area was seen"
    if cover.mask == "none":
        return f"{seen}, without a cloud mask"
    return f"{seen}, {whole_percent(cover.clear, cover.valid)} of that clear"


def describe_limits(limits: PixelLimits) -> str:
    """What the limits require, such as "50 % of the AOI seen and 30 % of it clear"."""
    clear = limits.min_clear or 0
    of = "it" if limits.min_clear_of == "aoi" else "the seen part"
    wanted = f"{clear:g} % of {of} clear" if clear else "a clear pixel"
    if not limits.min_coverage:
        return wanted.replace(" of it ", " of the AOI ")
    return f"{limits.min_coverage:g} % of the AOI seen and {wanted}"


def whole_percent(count: int, total: int) -> str:
    """A share as a whole percentage; 0 % and 100 % are stated only where they are exact."""
    percent = round(100 * count / total) if total else 0
    if percent == 0 and count:
        return "less than 1 %"
    if percent == 100 and count < total:
        return "more than 99 %"
    return f"{percent} %"


def is_below(count: int, total: int, limit: float) -> bool:
    """Whether `count` of `total` pixels are less than `limit` percent, without rounding."""
    return 100 * count < Fraction(str(limit)) * total


def percent_below(count: int, total: int, limit: float) -> str:
    """A share below a limit as a percentage, with one decimal, or as many as tell it from the limit."""
    percent = 100 * count / total
    decimals = next(
        (places for places in range(1, MAX_DECIMALS) if float(f"{percent:.{places}f}") < limit), MAX_DECIMALS
    )
    return f"{percent:.{decimals}f} %"
