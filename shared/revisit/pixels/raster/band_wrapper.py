"""Base of the readers that change the pixels of one other reader."""

from revisit.pixels.raster.band_reader import BandReader


class BandWrapper:
    """What is the same for every reader around another one, as `BandReader` has it."""

    __slots__ = ()

    band: BandReader
    """The reader of the file, which is closed with this one."""

    @property
    def block(self) -> tuple[int, int]:
        """As `BandReader.block`."""
        return self.band.block

    @property
    def bytes_read(self) -> int | None:
        """As `BandReader.bytes_read`."""
        return self.band.bytes_read

    def close(self) -> None:
        """As `BandReader.close`."""
        self.band.close()
