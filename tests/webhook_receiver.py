"""A receiver of webhooks that follows a script: answers, hangs, dribbles, resets, redirects."""

import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Receiver:
    """Answers each connection by the next line of its script, the last one over and over."""

    script: list
    port: int = 0
    requests: list = field(default_factory=list)
    """(headers, body) of each whole request."""
    connections: int = 0
    waiting_now: int = 0
    max_waiting: int = 0
    """Requests that waited for their answer at the same time, at most."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def host_and_port(self):
        return f"127.0.0.1:{self.port}"


@contextmanager
def receiver(*script, tls=None):
    """A receiver on a free port of this computer, until the block ends."""
    hook = Receiver(list(script) or [answer(200)])
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    hook.port = listener.getsockname()[1]
    thread = threading.Thread(target=_accept, args=(listener, hook, tls), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.stopped.set()
        thread.join()
        listener.close()


def answer(status, body=b"", **headers):
    """Answer with a status."""
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return lambda connection, hook: connection.sendall(head.encode() + b"\r\n" + body)


@contextmanager
def _count_waiting(server):
    with server.lock:
        server.waiting_now += 1
        server.max_waiting = max(server.max_waiting, server.waiting_now)
    try:
        yield
    finally:
        with server.lock:
            server.waiting_now -= 1


def hang(connection, server):
    """Never answer."""
    with _count_waiting(server):
        server.stopped.wait(30)


def dribble(text, every_s=0.05):
    """Send one byte now and then, without an end."""

    def act(connection, server):
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(every_s)
        while not server.stopped.is_set():
            connection.sendall(b"x")
            time.sleep(every_s)

    return act


def flood(head):
    """Send without an end, as fast as it is taken."""

    def act(connection, server):
        connection.sendall(head)
        while not server.stopped.is_set():
            connection.sendall(b"x" * 65536)

    return act


def reset(connection, server):
    """Drop the connection with an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer_after(seconds, act):
    """Think first."""

    def slowly(connection, server):
        with _count_waiting(server):
            server.stopped.wait(seconds)
        act(connection, server)

    return slowly


def _accept(listener, server, tls):
    while not server.stopped.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with server.lock:
            act = server.script[min(server.connections, len(server.script) - 1)]
            server.connections += 1
        threading.Thread(target=_serve, args=(connection, act, server, tls), daemon=True).start()


def _serve(connection, act, server, tls):
    try:
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            request = _read(connection)
            with server.lock:
                server.requests.append(request)
            act(connection, server)
    except OSError:
        pass


def _read(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            raise ConnectionError("the sender went away")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])} | {
        "": lines[0]
    }
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return headers, body
