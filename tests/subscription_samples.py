"""What is watched over a field, jobs of it and their alerts; and areas beside it."""

from products import FIELD, NOW, end_job
from revisit.chain.delivery_ledger import create_deliveries
from revisit.domain.job import Cover, Job, Statistics, job_id
from revisit.domain.subscription import Subscription

BOW_TIE = {"type": "Polygon", "coordinates": [[[9, 45], [9.1, 45.1], [9.1, 45], [9, 45.1], [9, 45]]]}
SUBSCRIPTION_BODY = {"aoi": FIELD, "name": "field", "indices": ["NDVI"], "max_cloud": 40}
NEARBY_FIELD = {
    "type": "Polygon",
    "coordinates": [[[9.5, 45.3], [9.52, 45.3], [9.52, 45.32], [9.5, 45.32], [9.5, 45.3]]],
}
DISTANT_FIELD = {
    "type": "Polygon",
    "coordinates": [[[10.6, 45.3], [10.62, 45.3], [10.62, 45.32], [10.6, 45.32], [10.6, 45.3]]],
}
HOOK, HOOK_2 = "https://hooks.example.com/one", "https://hooks.example.com/two"


def add_job(backend, subscription: str, product) -> Job:
    """The job that news of a product means for a subscription, as notify begins it."""
    watched = backend.records.get(Subscription, subscription)
    job = Job(
        job_id(subscription, product.acquisition, watched.recipe),
        product,
        watched.aoi,
        watched.recipe,
        NOW,
        watched.owner,
        subscription,
        min_clear=watched.min_clear,
    )
    backend.commit(lambda commit: commit.put(job), completes_event=False)
    return job


def finish_with_alert(backend, job: Job) -> None:
    """Its job done, and its alert written."""
    end_job(backend, job, cover=Cover(10, 10, 8), indices={"NDVI": Statistics(8, 0.5, 0.1, 0.1, 0.9, 0.5)})
    create_deliveries(job.id, backend)
