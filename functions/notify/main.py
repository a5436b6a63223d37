"""product.new: starts or restarts the job of its pass for each subscription that the product serves."""

from revisit.chain.pass_jobs import News, announced_product, follow_product, known_products
from revisit.domain.aoi import AOI
from revisit.domain.events import ProductNew
from revisit.domain.matching import match_aois
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend
from revisit.ports.pagination import find_all
from revisit.runtime import on


@on(ProductNew)
def notify(event: ProductNew, backend: Backend) -> None:
    product = announced_product(backend, event)
    on_tile = find_all(backend.records, Subscription, tiles=product.tile, state="active")
    candidates = {
        subscription.id: subscription
        for subscription in on_tile
        if not subscription.rejection_reason(product)
    }
    # Most products have no candidates: the geometry library is then not even imported.
    if not candidates:
        backend.mark_done()
        return
    matched = match_aois(
        product, {id: AOI.from_normalized(subscription.aoi) for id, subscription in candidates.items()}
    )
    subscriptions = [candidates[id] for id in matched]
    tiles = {tile for subscription in subscriptions for tile in subscription.tiles}
    known = known_products(backend, product, tiles) if subscriptions else ()
    follow_product(backend, News(product, known, event.files), subscriptions)
