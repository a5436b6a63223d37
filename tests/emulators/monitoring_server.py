"""Cloud Monitoring's `timeSeries.list`: serves series in the published form, in pages, for the token.

https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "token-of-who-asks"


class MonitoringServer:
    """The figures of some subscriptions: metric -> subscription -> value, measured at `at`, each with an
    older one behind it."""

    def __init__(self, at: str, figures: dict[str, dict[str, int]], page: int = 1000) -> None:
        self.at, self.figures, self.page = at, figures, page
        self.queries: list[dict[str, str]] = []
        self.error_answer: tuple[int, Any] | None = None
        """Answered in place of figures: status, and JSON or text."""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}/v3"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, query: dict[str, str], authorization: str) -> tuple[int, Any]:
        self.queries.append(query)
        if authorization != f"Bearer {TOKEN}":
            return 401, error_body(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if self.error_answer:
            return self.error_answer
        project = re.fullmatch(r"/v3/projects/([^/]+)/timeSeries", path)[1]
        metric = re.search(r'metric\.type = "([^"]+)"', query["filter"])[1]
        there = sorted(self.figures.get(metric, {}).items())
        first = int(query.get("pageToken", "0"))
        series = [self._series(project, metric, *one) for one in there[first : first + self.page]]
        # Fields without a value are left out of JSON.
        answer = {"timeSeries": series, "unit": "1"} if series else {"unit": "1"}
        return 200, answer | (
            {"nextPageToken": str(first + self.page)} if first + self.page < len(there) else {}
        )

    def _series(self, project: str, metric: str, subscription: str, value: int) -> dict[str, Any]:
        return {
            "metric": {"type": metric},
            "resource": {
                "type": "pubsub_subscription",
                "labels": {"project_id": project, "subscription_id": subscription},
            },
            "metricKind": "GAUGE",
            "valueType": "INT64",
            "points": [
                {"interval": {"startTime": moment, "endTime": moment}, "value": {"int64Value": str(figure)}}
                for moment, figure in ((self.at, value), ("2024-06-01T11:51:00Z", value + 1000))
            ],
        }


def error_body(code: int, status: str, message: str) -> dict[str, Any]:
    """An error as Google's REST services state it (google.rpc.Status)."""
    return {"error": {"code": code, "message": message, "status": status}}


def _handler(monitoring: MonitoringServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, answer = monitoring.answer(
                parts.path, dict(parse_qsl(parts.query)), self.headers.get("Authorization", "")
            )
            body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header(
                "Content-Type", "text/html" if isinstance(answer, str) else "application/json; charset=UTF-8"
            )
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
