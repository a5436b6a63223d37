"""The whole suite on one computer: the very functions that are deployed, a durable queue, workers, a clock
that ticks, the page.

Only the lock is at hand here: who asks whether a server is running need not wait for Flask.
"""

from revisit.embedded.lock import server_url

__all__ = ["server_url"]
