"""Match of products with AOIs."""

from collections.abc import Mapping

from revisit.domain.aoi import AOI
from revisit.domain.footprint import product_footprint
from revisit.domain.product import Product


def match_aois(product: Product, aois: Mapping[str, AOI]) -> list[str]:
    """Ids of the AOIs that intersect a product's footprint, sorted.

    Tests each AOI against the prepared footprint. For 10,000 AOIs on one tile that takes 0.14 s, as long as
    building a tree for each product would, and less than reading their records (0.2 to 0.4 s): see
    bench/aoi_match.

    Args:
        product: The product.
        aois: Id -> AOI; usually those on the product's tile.

    Raises:
        InvalidInputError: There is no such tile.
    """
    import shapely

    footprint = product_footprint(product)
    shapely.prepare(footprint)
    return sorted(id for id, aoi in aois.items() if footprint.intersects(aoi.shape))
