"""A proxy between the library and its object store that does what networks and stores do on bad days."""

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ANSWERS = {
    "500": (500, "InternalError"),
    "503": (503, "SlowDown"),
    "429": (429, "TooManyRequests"),
    "507": (507, "DiskFull"),
    "skewed": (403, "RequestTimeTooSkewed"),
    "denied": (403, "AccessDenied"),
}
DRIP_PIECES, DRIP_SECONDS = 20, 0.02
STALL_SECONDS = 6.0


@dataclass
class Fault:
    """What happens to each `every`th of the requests whose "METHOD path" matches, at most `times`."""

    kind: str
    pattern: str
    times: int = 1
    every: int = 1
    met: int = field(default=0, init=False)
    hurt: int = field(default=0, init=False)


class Proxy(ThreadingHTTPServer):
    """Forwards to a store, except where a fault says otherwise."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = urlsplit(endpoint).netloc
        self.faults: list[Fault] = []
        self.lock = threading.Lock()
        self.asked: list[str] = []  # "METHOD path" of every request

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, request: str) -> str:
        with self.lock:
            self.asked.append(request)
            for one in self.faults:
                if re.search(one.pattern, request):
                    one.met += 1
                    if one.met % one.every == 0 and one.hurt < one.times:
                        one.hurt += 1
                        return one.kind
        return ""

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what this is about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer in one packet

    def handle_expect_100(self) -> bool:
        going = super().handle_expect_100()
        self.wfile.flush()
        return going

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.server.fault(f"{self.command} {self.path}")  # type: ignore[attr-defined]
        if kind in ANSWERS:
            return self.refuse(*ANSWERS[kind])
        if kind == "reset":
            return self.reset()
        if kind == "stall":
            time.sleep(STALL_SECONDS)
            return self.reset()
        try:
            status, headers, answer = self.ask(flipped(body) if kind == "flipped_upload" else body)
        except OSError:
            return self.reset()  # the store is down
        if kind == "held_answer":
            time.sleep(STALL_SECONDS)
        if kind in ("lost_answer", "held_answer"):
            return self.reset()
        self.answer(status, headers, answer, kind)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = forward

    def ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """The store's own answer; the signed headers go through as they are."""
        store = http.client.HTTPConnection(self.server.target, timeout=30)  # type: ignore[attr-defined]
        store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                store.putheader(name, value)
        store.endheaders(body)
        answer = store.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    def answer(self, status: int, headers: list, body: bytes, kind: str) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers}.get("content-length")
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if kind == "truncated":
            self.wfile.write(body[: len(body) // 2])
            return self.reset()
        if kind == "flipped":
            body = flipped(body)
        if kind == "drip":
            size = max(1, len(body) // DRIP_PIECES)
            for start in range(0, len(body), size):
                self.wfile.write(body[start : start + size])
                self.wfile.flush()
                time.sleep(DRIP_SECONDS)
        elif self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>told to</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reset(self) -> None:
        """Hang up hard: the client gets ECONNRESET."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def flipped(body: bytes) -> bytes:
    """One bit of the middle byte changed."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


@contextmanager
def running(endpoint: str) -> Iterator[Proxy]:
    proxy = Proxy(endpoint)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
