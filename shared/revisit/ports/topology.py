"""Which function hears which events and uses which ports; one folder under functions/ each."""

TRIGGER_TOPICS: dict[str, str] = {
    "refresh": "order.created",
    "notify": "product.new",
    "extract": "job.started",
    "index": "job.extracted",
    "deliver": "job.finished",
}
"""Function -> the topic that starts it."""

SCHEDULED_TOPICS: dict[str, str] = {"refresh": "catalog.refresh", "deliver": "deliveries.due"}
"""Function -> the topic of the scheduler that also starts it."""

PORTS: dict[str, tuple[str, ...]] = {
    "refresh": ("records", "catalog", "listing"),
    "notify": ("records",),
    "extract": ("records", "assets", "bands"),
    "index": ("records", "assets"),
    "deliver": ("records", "bus"),
    "api": ("records", "bus", "catalog", "assets", "listing", "sign_in"),
}
"""Function -> the ports it uses, and so the libraries that are installed with it. A source answers two: its
listing, and the bands of
its products."""

LAST_STAGE_FIRST = tuple(reversed(TRIGGER_TOPICS))
"""Workers that serve several functions take messages in this order, so that what is begun is finished before
more is begun."""

PIXEL_FUNCTIONS = tuple(name for name in LAST_STAGE_FIRST if name in ("extract", "index"))
"""Functions that work on pixels: the embedded suite runs them in processes of their own."""


def functions_for(topic: str) -> tuple[str, ...]:
    """Functions that an event on this topic goes to."""
    return tuple(
        dict.fromkeys(
            name
            for table in (TRIGGER_TOPICS, SCHEDULED_TOPICS)
            for name, heard in table.items()
            if heard == topic
        )
    )
