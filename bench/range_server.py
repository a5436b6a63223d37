"""An HTTP/1.1 file server with ranges, keep-alive and a fixed delay before each answer, in its own process.

`GET /__stats` returns the requests and bytes since its last call.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Server:
    """Serves the files of one folder."""

    def __init__(self, root: Path, delay: float) -> None:
        self.root, self.delay = root, delay
        self.requests = self.bytes = 0
        self.open: dict[str, tuple[int, int]] = {}

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self.answer((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"), writer)
        writer.close()

    async def answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        line, *rest = head.split("\r\n")
        method, path, _ = line.split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, _, value in (header.partition(":") for header in rest)
        }
        if path == "/__stats":
            body = json.dumps({"requests": self.requests, "bytes": self.bytes}).encode()
            self.requests = self.bytes = 0
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            return
        self.requests += 1
        await asyncio.sleep(self.delay)
        name = path.split("?")[0].lstrip("/")
        if name not in self.open:
            if not (self.root / name).is_file():
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            self.open[name] = os.open(self.root / name, os.O_RDONLY), (self.root / name).stat().st_size
        file, size = self.open[name]
        first, last, status = 0, size - 1, "200 OK"
        if (requested := headers.get("range", "")).startswith("bytes="):
            low, _, high = requested[6:].partition("-")
            first, last = (
                (int(low), min(int(high or last), last)) if low else (max(size - int(high), 0), last)
            )
            status = "206 Partial Content"
        fields = f'Content-Length: {last - first + 1}\r\nAccept-Ranges: bytes\r\nETag: "{size}"\r\n'
        if status.startswith("206"):
            fields += f"Content-Range: bytes {first}-{last}/{size}\r\n"
        writer.write(f"HTTP/1.1 {status}\r\n{fields}\r\n".encode())
        if method == "GET":
            self.bytes += last - first + 1
            while first <= last:
                piece = os.pread(file, min(last - first + 1, 1 << 20), first)
                first += len(piece)
                writer.write(piece)
                await writer.drain()


async def serve(root: Path, delay: float) -> None:
    server = await asyncio.start_server(Server(root, delay).connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def run_server(root: Path, delay_ms: float) -> Iterator[str]:
    """Run a server over `root` and yield its address."""
    command = [sys.executable, __file__, str(root), str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def read_counters(address: str) -> dict[str, int]:
    """Requests and bytes since the last call."""
    with urllib.request.urlopen(f"{address}/__stats", timeout=10) as answer:
        return json.load(answer)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2]) / 1e3))
