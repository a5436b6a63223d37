"""product.new: starts, restarts or ends the job of its pass for each subscription that the product serves."""

from revisit.chain.pass_jobs import announced_product, follow_product
from revisit.domain.aoi import AOI
from revisit.domain.aoi_match import match_aois
from revisit.domain.events import ProductNew
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend
from revisit.ports.pagination import find_all
from revisit.runtime import on


@on(ProductNew)
def notify(event: ProductNew, backend: Backend) -> None:
    product = announced_product(backend, event)
    on_tile = find_all(backend.records, Subscription, tiles=product.tile, state="active")
    # Whatever its cloud cover: the best product of a pass is chosen before it is judged.
    candidates = {one.id: one for one in on_tile if one.level == product.level}
    # Most products have no candidates: the geometry library is then not even imported.
    if not candidates:
        backend.mark_done()
        return
    matched = match_aois(
        product, {id: AOI.from_normalized(subscription.aoi) for id, subscription in candidates.items()}
    )
    follow_product(backend, product, [candidates[id] for id in matched], event.files)
