"""Bands of the MultiSpectral Instrument, and the files of a product's bands.

Wavelengths are those of Sentinel-2A (ESA, Sentinel-2 Spectral Response Functions, COPE-GSEG-EOPG-TN-15-0007).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from revisit.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Band:
    """One band of the instrument, or a layer delivered with its products."""

    name: str
    """Name in the product: B02, B8A, SCL."""
    common_name: str
    """Common name of the STAC eo extension, such as blue or nir08; for layers the lower-case name."""
    resolution_m: int
    """Native ground sampling distance: 10, 20 or 60."""
    wavelength_nm: float | None = None
    """Central wavelength; None for layers."""
    earth_search: str | None = None
    """Asset key of Earth Search v1, if it differs from the common name."""


BANDS: dict[str, Band] = {
    band.name: band
    for band in (
        Band("B01", "coastal", 60, 442.7),
        Band("B02", "blue", 10, 492.7),
        Band("B03", "green", 10, 559.8),
        Band("B04", "red", 10, 664.6),
        Band("B05", "rededge071", 20, 704.1, "rededge1"),
        Band("B06", "rededge075", 20, 740.5, "rededge2"),
        Band("B07", "rededge078", 20, 782.8, "rededge3"),
        Band("B08", "nir", 10, 832.8),
        Band("B8A", "nir08", 20, 864.7),
        Band("B09", "nir09", 60, 945.1),
        Band("B10", "cirrus", 60, 1373.5),
        Band("B11", "swir16", 20, 1613.7),
        Band("B12", "swir22", 20, 2202.4),
        Band("SCL", "scl", 20),
        Band("AOT", "aot", 20),
        Band("WVP", "wvp", 20),
    )
}

SPECTRAL_BANDS = tuple(name for name, band in BANDS.items() if band.wavelength_nm is not None)
"""Names of the reflectance bands in order of wavelength."""

BAND_TITLES = {
    "B01": "Coastal aerosol",
    "B02": "Blue",
    "B03": "Green",
    "B04": "Red",
    "B05": "Red edge 1",
    "B06": "Red edge 2",
    "B07": "Red edge 3",
    "B08": "Near infrared",
    "B8A": "Near infrared, narrow",
    "B09": "Water vapour",
    "B10": "Cirrus",
    "B11": "Short-wave infrared 1",
    "B12": "Short-wave infrared 2",
}
"""Use of each spectral band."""

_BY_ALIAS = {
    alias.lower(): band.name
    for band in BANDS.values()
    for alias in (band.name, band.common_name, band.earth_search or band.name, band.name.replace("B0", "B"))
}


def band_name(alias: str) -> str:
    """Name of a band by that name, its common name or its Earth Search key: "nir" is B08.

    Raises:
        InvalidInputError: There is no such band.
    """
    try:
        return _BY_ALIAS[alias.strip().lower()]
    except KeyError:
        raise InvalidInputError(f"there is no band {alias!r}; choose from {', '.join(BANDS)}") from None


@dataclass(frozen=True, slots=True)
class BandFile:
    """Location and scaling of the pixels of one band of one product."""

    band: str
    """Name of the band: B02, SCL, ..."""
    href: str
    """Absolute local path, or https URL below the root of the product's source; never user input."""
    driver: str
    """GDAL driver that opens it: "GTiff" or "JP2OpenJPEG"."""
    scale: float = 0.0001
    """Reflectance = DN * scale + offset; 1 for classes."""
    offset: float = 0.0
    """Offset in reflectance, -0.1 for the usual RADIO_ADD_OFFSET of -1000; from the metadata, never from
    the date."""
    nodata: int = 0
    """DN that means no data; 0 where nothing is stated that an integer can be."""
    other_offset: float | None = None
    """The offset that may hold instead of `offset`, by what the pixels show; None where `offset` is
    certain."""
    doubt: str = ""
    """Why `offset` is not certain, as a clause."""
    nodata_stated: bool = False
    """Whether item or metadata state `nodata`; a nodata of the file's own counts in either case."""
    moved: float = 0.0
    """Reflectance by which `offset` is lower than stated, since DN are read as larger numbers."""
    saturated: int = 65535
    """DN of a saturated pixel, in files of uint16."""


@dataclass(frozen=True, slots=True, eq=False)
class BandFiles(Mapping[str, BandFile]):
    """The band files of one product by band name, and why files of further bands are not used."""

    files: Mapping[str, BandFile]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Band name -> the reason why its file must not or cannot be read; none of them is in `files`."""
    remark: str = ""
    """What is stated of the files and not used, as a clause."""

    def __getitem__(self, band: str) -> BandFile:
        return self.files[band]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def lack(self, band: str) -> str:
        """Why a band is not among the files, as the end of a sentence that names the band."""
        reason = self.left_out.get(band)
        return f"is not used: {reason}" if reason else "is not in the product"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a product as stored by its source."""

    path: str
    """Path below the product's folder, '/'-separated."""
    href: str
    """Absolute local path, or https URL below the root of the product's source."""
    size: int | None = None
    checksum: str | None = None
    """Algorithm and value, such as md5:..., sha256:... or sha3-256:..., in hexadecimal digits."""
    band: str | None = None
    """Name of the band if it is the image of one: B02, SCL, ..."""
    is_folder: bool = False
    """Whether it is an empty folder of the product; its path ends with '/'."""
