"""What each product of a job gives to its result."""

from dataclasses import dataclass, field

from revisit.domain.bands import BandFile
from revisit.domain.product import Product

RULE = (
    "the first product with data in every band and in the scene classification gives the pixel; "
    "products of another UTM zone are reprojected, reflectance bilinearly and classes by nearest neighbour; "
    "DN are converted to the scale and offset of the first product"
)
"""How the products are put together, for the receipt."""


@dataclass(slots=True)
class Contribution:
    """What one product gives to a mosaic."""

    product: Product
    files: dict[str, BandFile] = field(default_factory=dict)
    """The files of the bands; empty as long as the product is not opened."""
    pixels: int = 0
    """Pixels of the AOI that come from it."""
    reprojected_from: str = ""
    """Its CRS if it is not that of the grid."""
    reason: str = ""
    """Why it could not be read; empty if it could, or was not needed."""
