"""The interface of an open band file."""

from typing import Any, Protocol

import numpy.typing as npt

from revisit.domain.bands import BandFile
from revisit.pixels.raster.grid import Grid


class BandReader(Protocol):
    """One band of a product, open for reading; its header has been read and checked, no pixel has."""

    @property
    def file(self) -> BandFile: ...

    @property
    def grid(self) -> Grid:
        """The grid of the whole band, shape (height, width)."""
        ...

    @property
    def dtype(self) -> str:
        """The numpy name of the dtype of the numbers (DN) that are read."""
        ...

    @property
    def block(self) -> tuple[int, int]:
        """Height and width, in pixels, of a tile or strip: the smallest part that is decoded."""
        ...

    @property
    def bytes_read(self) -> int | None:
        """Compressed bytes read from the file so far; None where the reader cannot tell."""
        ...

    def read(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        """Read a window.

        Args:
            rows: `start` and `stop` in pixels from the top of `grid`, within it and not empty.
            columns: The same from the left.

        Returns:
            Shape (height, width) of the window, dtype `dtype`: a file holds one band, so there is no band
            axis. DN with the scale and offset of `file`; pixels without data hold `file.nodata`, which is 0
            for every band of `open_band`.

        Raises:
            PermanentError: The file is corrupt.
            TransientError: The server does not answer, fails, or breaks off.
        """
        ...

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        ...
