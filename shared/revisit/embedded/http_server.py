"""HTTP server on 127.0.0.1 for one WSGI application; closing it ends its threads and connections."""

import threading
from typing import Any

from revisit.errors import InvalidInputError

REQUEST_THREADS = 8
"""Threads that answer requests, besides those that event streams occupy."""
CLOSE_TIMEOUT_S = 5
"""Longest wait for the connections to close."""


class HttpServer:
    """Serves from `start` until `close`: one thread handles the connections, others run the application.

    waitress ends by ending the process: its `close` frees the pipe that wakes the connection thread while
    request threads still write to it. Their byte then goes to the next file that gets the descriptor, for
    example a database's write-ahead log. Here a request that outlives the server wakes nothing.
    """

    def __init__(
        self, app: Any, port: int, threads: int = REQUEST_THREADS, max_body_bytes: int = 1 << 30
    ) -> None:
        """Open the port; connections wait until `start`.

        Args:
            app: WSGI application.
            port: Port on 127.0.0.1; 0 takes a free one.
            threads: Number of requests that run at a time.
            max_body_bytes: Larger request bodies are refused.

        Raises:
            InvalidInputError: The port is in use or not permitted.
        """
        import waitress

        try:
            self._server: Any = waitress.create_server(
                app,
                host="127.0.0.1",
                port=port,
                threads=threads,
                ident=None,
                max_request_body_size=max_body_bytes,
            )
        except OSError as error:
            raise InvalidInputError(
                f"port {port} on 127.0.0.1 cannot be used ({error.strerror}); choose another with --port, or "
                "0 for any"
            ) from None
        self.url = f"http://127.0.0.1:{self._server.effective_port}"
        self.thread = threading.Thread(target=self._server.run, daemon=True, name="API server")
        """Handles the connections."""
        self._wake_lock = threading.Lock()
        self._closed = False
        self._server.pull_trigger = self._wake

    def start(self) -> None:
        """Accept connections."""
        self.thread.start()

    def close(self) -> None:
        """Close the port and all connections; running requests end at their next write."""
        # Idle request threads end now, the others after their request.
        self._server.task_dispatcher.set_thread_count(0)
        if self.thread.is_alive():
            # Only the thread that polls the connections may close them.
            self._wake(self._close_connections)
            self.thread.join(CLOSE_TIMEOUT_S)
        else:
            self._close_connections()

    def _wake(self, callback: Any = None) -> None:
        """Make the connection thread look for work, and run `callback` there."""
        with self._wake_lock:
            if not self._closed:
                self._server.trigger.pull_trigger(callback)

    def _close_connections(self) -> None:
        with self._wake_lock:
            self._closed = True
            self._server.close()
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
