"""product.new: find the subscriptions that wait for this product, and start a job for each."""

from revisit.chain.job_lifecycle import start_jobs
from revisit.domain.aoi import AOI
from revisit.domain.events import ProductNew
from revisit.domain.job import Job, job_id
from revisit.domain.matching import match_aois
from revisit.domain.product import Product
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend
from revisit.ports.pagination import find_all
from revisit.runtime import on


@on(ProductNew)
def notify(event, backend):
    product = backend.get_record(Product, event.product)
    watching = find_all(backend.records, Subscription, tiles=product.tile, state="active")
    waiting = {
        subscription.id: subscription
        for subscription in watching
        if not subscription.rejection_reason(product)
    }
    # Nobody waits for most products: what compares shapes is not even imported then.
    touched = (
        match_aois(
            product, {id: AOI.from_normalized(subscription.aoi) for id, subscription in waiting.items()}
        )
        if waiting
        else []
    )
    start_jobs(backend, [job_for(waiting[id], product, backend) for id in touched])


def job_for(subscription: Subscription, product: Product, backend: Backend) -> Job:
    """The job that a product means for a subscription."""
    return Job(
        id=job_id(subscription.id, product.acquisition, subscription.recipe),
        product=product,
        aoi=subscription.aoi,
        recipe=subscription.recipe,
        created=backend.now(),
        owner=subscription.owner,
        subscription=subscription.id,
        min_clear=subscription.min_clear,
    )
