"""product.new: find the subscriptions that wait for this product, and start a job for each."""

from revisit.chain.job_lifecycle import start
from revisit.domain.aoi import AOI
from revisit.domain.events import ProductNew
from revisit.domain.job import Job, job_id
from revisit.domain.matching import touching
from revisit.domain.product import Product
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend
from revisit.ports.pagination import every
from revisit.runtime import on


@on(ProductNew)
def notify(event, backend):
    product = backend.record(Product, event.product)
    watching = every(backend.records, Subscription, tiles=product.tile, state="active")
    waiting = {subscription.id: subscription for subscription in watching if not subscription.wants(product)}
    # Nobody waits for most products: what compares shapes is not even imported then.
    touched = touching(product, {id: AOI.of(subscription.aoi) for id, subscription in waiting.items()}) if waiting else []
    start(backend, [job_for(waiting[id], product, backend) for id in touched])


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
