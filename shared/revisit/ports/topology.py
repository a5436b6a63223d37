"""Topology of the chain: which events trigger a function, and which ports it uses."""

TRIGGER_TOPICS: dict[str, str] = {
    "refresh": "order.created",
    "notify": "product.new",
    "extract": "job.started",
    "index": "job.extracted",
    "deliver": "job.finished",
}
"""Function -> the topic that triggers it."""

SCHEDULED_TOPICS: dict[str, str] = {"refresh": "catalog.refresh", "deliver": "deliveries.due"}
"""Function -> the scheduler's topic that also triggers it."""

PORTS: dict[str, tuple[str, ...]] = {
    "refresh": ("records", "catalog", "listing"),
    "notify": ("records",),
    "extract": ("records", "assets", "bands"),
    "index": ("records", "assets"),
    "deliver": ("records", "bus"),
    "api": ("records", "bus", "catalog", "assets", "listing", "bands", "sign_in"),
}
"""Function -> the ports it uses, which decide on the libraries it is deployed with. A source has two: the
listing of its products, and their bands."""

LAST_STAGE_FIRST = tuple(reversed(TRIGGER_TOPICS))
"""Order in which a worker for several functions takes messages: jobs under way finish before others start."""

PIXEL_FUNCTIONS = tuple(name for name in LAST_STAGE_FIRST if name in ("extract", "index"))
"""Functions that process pixels; the embedded server runs them in separate processes."""


def functions_for(topic: str) -> tuple[str, ...]:
    """The functions that an event on this topic triggers."""
    return tuple(
        dict.fromkeys(
            name
            for table in (TRIGGER_TOPICS, SCHEDULED_TOPICS)
            for name, trigger in table.items()
            if trigger == topic
        )
    )
