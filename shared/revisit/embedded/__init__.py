"""The embedded server: all functions with a durable queue, workers, a scheduler, the API and the page.

This module imports only the lock, so that a command can check for a running server without loading Flask.
"""

from revisit.embedded.lock import server_url

__all__ = ["server_url"]
