"""product.new: starts a job for each subscription that the product serves."""

from revisit.chain.job_lifecycle import start_jobs
from revisit.domain.aoi import AOI
from revisit.domain.conditions import limit_fields
from revisit.domain.events import ProductNew
from revisit.domain.job import Job, job_id
from revisit.domain.matching import match_aois
from revisit.domain.product import Product
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend
from revisit.ports.pagination import find_all
from revisit.runtime import on


@on(ProductNew)
def notify(event: ProductNew, backend: Backend) -> None:
    product = backend.get_record(Product, event.product)
    on_tile = find_all(backend.records, Subscription, tiles=product.tile, state="active")
    candidates = {
        subscription.id: subscription
        for subscription in on_tile
        if not subscription.rejection_reason(product)
    }
    # Most products have no candidates: the geometry library is then not even imported.
    matched = (
        match_aois(
            product, {id: AOI.from_normalized(subscription.aoi) for id, subscription in candidates.items()}
        )
        if candidates
        else []
    )
    start_jobs(backend, [job_for(candidates[id], product, backend) for id in matched])


def job_for(subscription: Subscription, product: Product, backend: Backend) -> Job:
    """The job that a product requires for a subscription."""
    return Job(
        id=job_id(subscription.id, product.acquisition, subscription.recipe),
        product=product,
        aoi=subscription.aoi,
        recipe=subscription.recipe,
        created=backend.now(),
        owner=subscription.owner,
        subscription=subscription.id,
        **limit_fields(subscription),
    )
