"""A local backend with the true functions `notify` and `deliver`, and workers that a test moves."""

from products import product
from revisit.adapters.local.backend import local_backend, local_queue
from revisit.chain.job_lifecycle import finish
from revisit.chain.refresh import put_products
from revisit.domain.alert import Alert
from revisit.domain.events import ProductNew
from revisit.domain.job import Cover, Job, Statistics
from revisit.embedded.function_host import FunctionHost
from revisit.ports import cloudevents
from samples import StoppedClock, subscription

WEST, EAST = 9.30, 9.32
FIELD = {
    "type": "Polygon",
    "coordinates": [[[WEST, 45.3], [EAST, 45.3], [EAST, 45.32], [WEST, 45.32], [WEST, 45.3]]],
}


def half(name: str, west: float, east: float, **changes):
    """A product of one datatake that shows the field between two meridians."""
    ring = [[west, 45.0], [east, 45.0], [east, 45.5], [west, 45.5], [west, 45.0]]
    return product(
        1,
        **{
            "id": f"S2A_MSIL2A_20240601T101600_N0510_R065_T32TNR_{name}",
            "west": west,
            "east": east,
            "south": 45.0,
            "north": 45.5,
            "footprint": {"type": "Polygon", "coordinates": [ring]},
            **changes,
        },
    )


A = half("20240601T150000", 9.0, 9.31)
B = half("20240601T160000", 9.31, 9.4)
SEEN = {A.id: 50, B.id: 50}
"""Percent of the field that each product shows: its cut lies in the middle."""


class Chain:
    """A local backend with the true functions `notify` and `deliver`, and workers that a test moves."""

    def __init__(self, folder):
        self.clock = StoppedClock()
        self.backend = local_backend(folder, now=self.clock)
        self.queue, self.host = local_queue(self.backend), FunctionHost(self.backend)
        self.taken: list[Job] = []
        self.put(subscription(aoi=FIELD))

    def empty(self):
        """Drop all records and events."""
        with self.backend.records._database.transaction(durable=False) as connection:
            for name in ("record", "record_index", "mark", "queue"):
                connection.execute(f"DELETE FROM {name}")
        self.taken.clear()

    def put(self, *records):
        self.backend.records.transact(lambda transaction: [transaction.put(record) for record in records])

    def announce(self, one, files=""):
        def work(commit):
            put_products(commit, [one])
            commit.emit(ProductNew(one.id, one.version, one.source, files))

        self.backend.commit(work, completes_event=False)

    def run(self, function):
        for message in self.queue.lease([function], 1):
            assert self.host.push(message)[0] == 200
            self.queue.ack(message)

    def take(self):
        """A worker takes a job."""
        for message in self.queue.lease(["extract"], 1):
            event = cloudevents.decode(message.body).event
            job = self.backend.get_record(Job, event.job)
            if (job.state, job.again) == ("started", event.again):
                self.taken.append(job)
            self.queue.ack(message)

    def end(self, state="done", **changes):
        """The worker that took its job first ends it."""
        if not self.taken:
            return
        job = self.taken.pop(0)
        valid = sum(SEEN.get(each.id, 0) for each in job.products)
        results = {
            "cover": Cover(100, valid, valid),
            "indices": {"NDVI": Statistics(valid, valid / 200)},
        }
        ended = job.with_changes(state=state, finished=self.clock(), **(results if state == "done" else {}))
        self.backend.commit(
            lambda commit: finish(commit, ended.with_changes(**changes)), completes_event=False
        )

    def settle(self):
        for _ in range(1000):
            self.run("notify")
            self.take()
            self.end()
            self.run("deliver")
            if not self.queue.depth() and not self.taken:
                return
        raise AssertionError("the queue does not run dry")

    @property
    def jobs(self):
        return self.backend.records.find(Job)

    @property
    def alerts(self):
        return sorted(self.backend.records.find(Alert), key=lambda alert: alert.number)
