"""Judges the radiometry of bands by their pixels: an offset subtracted twice, or a wrong scale.

Clear land has reflectances between 0 and 1; the limits and how they were chosen are in docs/radiometry.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revisit.domain.bands import BANDS, SPECTRAL_BANDS, BandFile
from revisit.errors import PermanentError
from revisit.pixels import masks

LAND_CLASSES = (4, 5)
"""Vegetation and bare soil in the scene classification."""
VEGETATION_CLASS = 4
LOW, HIGH, EXTREME = -0.02, 1.5, 6.0
"""Reflectances that clear land does not have; beyond `EXTREME` no surface has them."""
NOTE_SHARE, REFUSE_SHARE = 0.005, 0.05
"""Share of the clear land pixels of a band beyond LOW or HIGH for a note, and for a refusal."""
DOUBT_SHARE = 0.01
"""The same share that decides between two offsets where the item is in doubt."""
MIN_PIXELS = 4
"""Pixels beyond a limit for a refusal, so that one pixel of a small AOI does not decide."""
DARK_BANDS, DARK = ("B02", "B04"), 0.1
"""Bands in which vegetation absorbs light, and a reflectance that it stays below."""
BRIGHT_SHARE, MIN_VEGETATION = 0.95, 20
"""Share of the vegetation pixels above DARK, and their number, for a note that an offset may be missing."""

_REMEDY = "use another source, such as sentinel-2-c1-l2a of Earth Search"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the pixels of one product say of its radiometry."""

    files: Mapping[str, BandFile]
    """The band files, with the offset that the pixels show where the item is in doubt."""
    notes: tuple[str, ...] = ()

    def restate(self, stated: Mapping[str, BandFile], judged: Mapping[str, BandFile]) -> dict[str, BandFile]:
        """The files as stated, with the offsets that the pixels show; `judged` are the files as read."""
        return {
            band: replace(file, offset=file.offset + (self.files[band].offset - judged[band].offset))
            if band in judged
            else file
            for band, file in stated.items()
        }


def judge_radiometry(
    files: Mapping[str, BandFile],
    dn: Mapping[str, NDArray[Any]],
    inside: NDArray[np.bool_],
    scl: NDArray[Any] | None,
) -> Judgement:
    """Judge the bands read of one product.

    Args:
        files: By band name, at least of the bands in `dn`.
        dn: DN by band name, all of one shape (height, width); 0, the file's `nodata` and saturated DN are
            left out.
        inside: True where the pixel's centre is inside the AOI, same shape.
        scl: Scene classification, same shape; None if there is none, and every pixel is taken for land.

    Raises:
        PermanentError: The pixels contradict the scale or offset of a band, or an offset stays in doubt.
    """
    land = inside if scl is None else inside & np.isin(scl, LAND_CLASSES)
    pixels = {
        band: stored[land & _has_value(stored, files[band])].astype(np.float64)
        for band, stored in sorted(dn.items(), key=lambda entry: [*BANDS].index(entry[0]))
        if band in SPECTRAL_BANDS
    }
    settled, notes = _settle_offsets({band: files[band] for band in pixels}, pixels)
    judged = {**files, **settled}
    for band, numbers in pixels.items():
        notes += _check_range(judged[band], numbers, has_classes=scl is not None)
    if scl is not None:
        notes += _missing_offset_notes(judged, dn, inside & (scl == VEGETATION_CLASS))
    return Judgement(judged, tuple(notes))


def _settle_offsets(
    files: Mapping[str, BandFile], pixels: Mapping[str, NDArray[np.float64]]
) -> tuple[dict[str, BandFile], list[str]]:
    """Decide between the two offsets of bands in doubt, for all of them alike, and note it.

    The smaller offset is wrong where it makes clear land negative; nothing shows that the larger is wrong.
    """
    settled, notes = dict(files), list[str]()
    doubtful = {band: file for band, file in files.items() if file.other_offset is not None}
    if not doubtful:
        return settled, notes
    shares = {
        band: _share(pixels[band] * file.scale + min(file.offset, file.other_offset or 0.0) < LOW)
        for band, file in doubtful.items()
    }
    band, share = max(shares.items(), key=lambda entry: entry[1])
    file = doubtful[band]
    smaller, larger = sorted((file.offset + file.moved, (file.other_offset or 0.0) + file.moved))
    if share <= DOUBT_SHARE:
        raise PermanentError(
            f"the offset of {', '.join(doubtful)} is in doubt: {file.doubt}, and the pixels do not "
            f"show whether it is {smaller:g} or {larger:g}; {_REMEDY}"
        )
    for band, each in doubtful.items():
        settled[band] = replace(each, offset=max(each.offset, each.other_offset or 0.0), other_offset=None)
    notes.append(
        f"{', '.join(doubtful)} used with offset {larger:g}: {file.doubt}; with {smaller:g}, {share:.1%} of "
        f"the clear land pixels of {file.band} would have a reflectance below {LOW:g}"
    )
    return settled, notes


def _check_range(file: BandFile, dn: NDArray[np.float64], has_classes: bool) -> list[str]:
    """Notes on reflectances that clear land does not have, by DN of shape (pixels,).

    Raises:
        PermanentError: They are too many.
    """
    reflectance = dn * file.scale + file.offset
    notes = []
    for beyond, found, refuses in (
        (f"below {LOW:g}", reflectance < LOW, True),
        (f"above {EXTREME:g}", reflectance > EXTREME, True),
        (f"above {HIGH:g}", reflectance > HIGH, has_classes),  # bright clouds have it, without a mask
    ):
        count, share = int(np.count_nonzero(found)), _share(found)
        sentence = (
            f"{file.band} has a reflectance {beyond} in {share:.1%} of the clear land pixels, with scale "
            f"{file.scale:g} and offset {file.offset + file.moved:g}"
        )
        if refuses and share > REFUSE_SHARE and count >= MIN_PIXELS:
            raise PermanentError(f"{sentence}: what the product states of its numbers is wrong; {_REMEDY}")
        if share > NOTE_SHARE or (count and beyond == f"above {EXTREME:g}"):
            notes.append(sentence)
    return notes


def _has_value(dn: NDArray[Any], file: BandFile) -> NDArray[np.bool_]:
    """Pixels with data that are not saturated."""
    found: NDArray[np.bool_] = (dn != 0) & (dn != file.nodata) & ~masks.is_saturated(dn)
    return found


def _share(found: NDArray[np.bool_]) -> float:
    return float(np.mean(found)) if found.size else 0.0


def _missing_offset_notes(
    files: Mapping[str, BandFile], dn: Mapping[str, NDArray[Any]], vegetation: NDArray[np.bool_]
) -> Iterator[str]:
    """Bands in which nearly all vegetation is brighter than vegetation is."""
    for band in DARK_BANDS:
        if band in dn:
            file = files[band]
            pixels = dn[band][vegetation & _has_value(dn[band], file)].astype(np.float64)
            bright = _share(pixels * file.scale + file.offset > DARK)
            if pixels.size >= MIN_VEGETATION and bright > BRIGHT_SHARE:
                yield (
                    f"{band} has a reflectance above {DARK:g} in {bright:.1%} of the vegetation pixels with "
                    f"offset {file.offset + file.moved:g}: haze, or an offset that is not subtracted"
                )
