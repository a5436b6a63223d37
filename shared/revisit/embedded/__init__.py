"""The whole suite on one computer: the very functions that are deployed, a durable queue, workers, a clock that ticks, the page."""

from revisit.embedded.lock import server_of
from revisit.embedded.suite import Suite, run_until

__all__ = ["Suite", "run_until", "server_of"]
