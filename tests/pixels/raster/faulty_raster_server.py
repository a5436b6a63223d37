"""A web server for rasters with faults; it runs in its own process, because GDAL may hold the GIL.

The path selects the fault:
/ok/NAME       none: the file, with ranges  /404/NAME, /403/NAME, /500/NAME   that status
/hang/NAME     no answer                    /cut/NAME      the connection ends in the middle of a body
/moved/NAME    a redirect to /ok/NAME       /whole/NAME    the whole file, whatever range is requested
/short/NAME    ranges that end a byte early /count         the number of requests, without this one
"""

import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root = Path()
    count = 0

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/count":
            self.answer(200, str(Handler.count).encode())
            return
        Handler.count += 1
        _, kind, name = path.split("/", 2)
        if kind == "hang":
            time.sleep(60)
        if kind == "moved":
            self.send_response(302)
            self.send_header("Location", f"/ok/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind.isdigit():
            self.answer(int(kind), b"no")
            return
        content = (self.root / name).read_bytes()
        first, last = 0, len(content) - 1
        wanted = "" if kind == "whole" else self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            low, _, high = wanted[6:].partition("-")
            first, last = (
                (int(low), min(int(high or last), last)) if low else (len(content) - int(high), last)
            )
        body = content[first : last + (kind != "short")]
        self.answer(
            206 if wanted else 200,
            body,
            f"bytes {first}-{last}/{len(content)}" if wanted else "",
            cut=kind == "cut" and 0 < first < len(content) - 2,
        )

    def answer(self, status, body, content_range="", cut=False):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.root = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
