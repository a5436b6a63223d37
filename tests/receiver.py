"""A receiver of webhooks that does what it is told: answers, hangs, dribbles, resets, redirects."""

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
    here: int = 0
    most: int = 0
    """Requests that waited for their answer at the same time, at most."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def allowed(self):
        return f"127.0.0.1:{self.port}"


@contextmanager
def receiver(*script, tls=None):
    """A receiver on a free port of this computer, until the block ends."""
    told = Receiver(list(script) or [answer(200)])
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    told.port = listener.getsockname()[1]
    thread = threading.Thread(target=_accept, args=(listener, told, tls), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        told.over.set()
        thread.join()
        listener.close()


def answer(status, body=b"", **headers):
    """Answer with a status."""
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return lambda connection, told: connection.sendall(head.encode() + b"\r\n" + body)


@contextmanager
def _waiting(told):
    with told.lock:
        told.here += 1
        told.most = max(told.most, told.here)
    try:
        yield
    finally:
        with told.lock:
            told.here -= 1


def hang(connection, told):
    """Never answer."""
    with _waiting(told):
        told.over.wait(30)


def dribble(text, every_s=0.05):
    """Send one byte now and then, without an end."""
    def act(connection, told):
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(every_s)
        while not told.over.is_set():
            connection.sendall(b"x")
            time.sleep(every_s)
    return act


def flood(head):
    """Send without an end, as fast as it is taken."""
    def act(connection, told):
        connection.sendall(head)
        while not told.over.is_set():
            connection.sendall(b"x" * 65536)
    return act


def reset(connection, told):
    """Drop the connection with an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def after(seconds, act):
    """Think first."""
    def slowly(connection, told):
        with _waiting(told):
            told.over.wait(seconds)
        act(connection, told)
    return slowly


def _accept(listener, told, tls):
    while not told.over.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with told.lock:
            act = told.script[min(told.connections, len(told.script) - 1)]
            told.connections += 1
        threading.Thread(target=_serve, args=(connection, act, told, tls), daemon=True).start()


def _serve(connection, act, told, tls):
    try:
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            request = _read(connection)
            with told.lock:
                told.requests.append(request)
            act(connection, told)
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
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])} | {"": lines[0]}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return headers, body
