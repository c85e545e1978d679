"""An origin that does what a test tells it, path by path, and remembers every byte that it received.

    origin.on("/a", reply(b"hello", fields=[("Cache-Control", "max-age=60")]))
    origin.on("/b", lambda x: x.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nfive!").close())
    ...
    assert origin.count("/a") == 1

A script runs on the connection's thread with an Exchange. A script registered with eager=True runs before the
request's body is read.
"""

import email.utils
import socket
import ssl
import struct
import threading
import time

from .message import BadMessage, Request, chunk, parse_fields
from .scale import limit, seconds, wait_until

KEPT_BYTES = 1 << 20  # of what a connection received; beyond, bytes are only counted


class Gone(Exception):
    """The peer closed the connection, or the script did."""


class Exchange:
    """One request, and the means to answer it."""

    def __init__(self, connection, request):
        self.connection = connection
        self.origin = connection.origin
        self.request = request
        self.keep = True  # the connection goes on after the script

    def send(self, data):
        self.connection.send(data)
        return self

    def sleep(self, duration):
        time.sleep(seconds(duration))
        return self

    def wait(self, event, timeout=20):
        """Parks the script until the test sets EVENT."""
        if not event.wait(limit(timeout)):
            self.origin.errors.append(f"{self.request}: the test never let the script go on")
        return self

    def head(self, status=200, reason="OK", fields=(), length=None, chunked=False, date=True):
        lines = [f"HTTP/1.1 {status} {reason}"]
        if date and not any(name.lower() == "date" for name, _ in fields):
            lines.append(f"Date: {email.utils.formatdate(usegmt=True)}")
        lines += [f"{name}: {value}" for name, value in fields]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        return self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    def reply(self, body=b"", status=200, reason="OK", fields=(), chunked=False, trailers=(), pieces=1, date=True):
        """A whole response. CHUNKED sends BODY in PIECES chunks and then TRAILERS."""
        has_body = self.request.method != "HEAD" and status not in (204, 304)
        if not has_body:
            return self.head(status, reason, fields, None if status in (204, 304) else len(body), date=date)
        if not chunked:
            self.head(status, reason, fields, len(body), date=date)
            return self.send(body)
        self.head(status, reason, fields, chunked=True, date=date)
        step = max(1, -(-len(body) // pieces))
        for at in range(0, len(body), step):
            self.send(chunk(body[at : at + step]))
        ends = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in trailers)
        return self.send(b"0\r\n" + ends + b"\r\n")

    def read_body(self):
        """The whole request body (also in request.body)."""
        if self.request.body is None:
            self.connection.read_body(self.request)
        return self.request.body

    def read(self, count):
        """Raw bytes after the head: for tunnels and bodies read by halves."""
        return self.connection.read(count)

    def read_some(self):
        return self.connection.read_some()

    def close(self):
        self.connection.shut()
        self.keep = False
        return self

    def reset(self):
        self.connection.reset()
        self.keep = False
        return self


def reply(body=b"", status=200, reason="OK", fields=(), **more):
    """A script that sends one whole response."""
    return lambda x: x.reply(body, status, reason, fields, **more)


def cacheable(body, max_age=3600, fields=(), **more):
    return reply(body, fields=[("Cache-Control", f"max-age={max_age}"), *fields], **more)


def sequence(*scripts):
    """A script for each request in turn; the last one stays."""
    lock, left = threading.Lock(), list(scripts)

    def run(x):
        with lock:
            script = left.pop(0) if len(left) > 1 else left[0]
        script(x)

    return run


class Connection:
    def __init__(self, origin, sock, number):
        self.origin, self.socket, self.number = origin, sock, number
        self.input = bytearray()
        self.received = bytearray()  # the first KEPT_BYTES
        self.received_count = 0
        self.requests = 0
        self.open = True

    def _fill(self):
        try:
            data = self.socket.recv(65536)
        except (OSError, ssl.SSLError):
            raise Gone from None
        if not data:
            raise Gone
        self.received_count += len(data)
        self.received += data[: KEPT_BYTES - len(self.received)]
        self.input += data

    def read(self, count):
        while len(self.input) < count:
            self._fill()
        return self._take(count)

    def read_some(self):
        """What comes next; b'' at the end of the stream."""
        if not self.input:
            try:
                self._fill()
            except Gone:
                return b""
        return self._take(len(self.input))

    def _take(self, count):
        data = bytes(self.input[:count])
        del self.input[:count]
        return data

    def read_until(self, mark):
        while (at := self.input.find(mark)) < 0:
            self._fill()
        return self._take(at + len(mark))[:at]

    def read_request(self):
        return Request(self.read_until(b"\r\n\r\n"), self.number)

    def read_body(self, request):
        parts = []
        try:
            if request.length is None:
                while size := int(self.read_until(b"\r\n").partition(b";")[0], 16):
                    parts.append(self.read(size))
                    if self.read(2) != b"\r\n":
                        raise BadMessage("chunk data is not followed by CRLF")
                if not self.input.startswith(b"\r\n"):
                    while not (self.input.startswith(b"\r\n") or b"\r\n\r\n" in self.input):
                        self._fill()
                if self.input.startswith(b"\r\n"):
                    self._take(2)
                else:
                    request.trailers = parse_fields(self.read_until(b"\r\n\r\n"))
            else:
                parts.append(self.read(request.length))
        except Gone:
            request.cut = True
            request.body = b"".join(parts) + bytes(self.input)
            raise
        request.body = b"".join(parts)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (OSError, ssl.SSLError):
            raise Gone from None

    def shut(self):
        """Ends the connection without a reset, whatever is unread."""
        self.open = False
        try:
            self.socket.shutdown(socket.SHUT_WR)
            self.socket.settimeout(0.2)
            while self.socket.recv(65536):
                pass
        except (OSError, ssl.SSLError, ValueError):
            pass
        self.socket.close()

    def reset(self):
        self.open = False
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Origin:
    """Listens on a port of its own from the start. TLS is an ssl.SSLContext."""

    def __init__(self, tls=None, host="127.0.0.1", port=0, listen=True):
        self.tls = tls
        self.scheme = "https" if tls else "http"
        self.scripts = {}
        self.eager = set()
        self.default = reply(b"not here\n", 404, "Not Found", [("Cache-Control", "no-store")])
        self.on_connect = None  # called with the Connection instead of reading requests
        self.lock = threading.Lock()
        self.requests = []
        self.connections = []
        self.errors = []
        self.closing = False
        self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.host, self.port = self.listener.getsockname()[:2]
        self.threads = []
        if listen:
            self.start()

    def start(self):
        self.listener.listen(1024)
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self.threads.append(thread)
        return self

    @property
    def url(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def on(self, path, script, eager=False):
        self.scripts[path] = script
        if eager:
            self.eager.add(path)
        return self

    # --- what it saw

    def count(self, path=None):
        with self.lock:
            return sum(1 for request in self.requests if path in (None, request.path))

    def seen(self, path=None):
        with self.lock:
            return [request for request in self.requests if path in (None, request.path)]

    def last(self, path=None):
        return self.seen(path)[-1]

    def wait_for(self, path=None, count=1, timeout=10):
        wait_until(lambda: self.count(path) >= count, timeout, f"{count} requests for {path} at the origin")
        return self.last(path)

    @property
    def received(self):
        """Bytes received on all connections (after TLS)."""
        with self.lock:
            return sum(connection.received_count for connection in self.connections)

    def received_bytes(self):
        with self.lock:
            return b"".join(bytes(connection.received) for connection in self.connections)

    def open_connections(self):
        with self.lock:
            return sum(connection.open for connection in self.connections)

    def forget(self):
        """Starts counting anew; connections stay."""
        with self.lock:
            self.requests.clear()
            self.connections = [connection for connection in self.connections if connection.open]
            for connection in self.connections:
                connection.received.clear()
                connection.received_count = 0

    # --- serving

    def _accept(self):
        while not self.closing:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                connection = Connection(self, sock, len(self.connections))
                self.connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()

    def _serve(self, connection):
        try:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                connection.socket = self.tls.wrap_socket(connection.socket, server_side=True)
            if self.on_connect:
                self.on_connect(connection)
            else:
                while self._exchange(connection):
                    pass
        except (Gone, ssl.SSLError, ConnectionError):
            pass
        except Exception as error:  # the test must hear of it, whatever it is
            if not self.closing:
                self.errors.append(f"{type(error).__name__}: {error}")
        finally:
            connection.open = False
            try:
                connection.socket.close()
            except OSError:
                pass

    def _exchange(self, connection):
        request = connection.read_request()
        connection.requests += 1
        request.at = time.monotonic()
        with self.lock:
            self.requests.append(request)
        exchange = Exchange(connection, request)
        if request.path not in self.eager and "upgrade" not in request.fields:
            exchange.read_body()
        self.scripts.get(request.path, self.default)(exchange)
        if exchange.keep and request.body is None:
            exchange.read_body()
        if "close" in [element.lower() for element in request.fields.elements("connection")]:
            exchange.close()
        return exchange.keep

    def stop_listening(self):
        """New connections are refused; the open ones are cut."""
        self.closing = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.stop_listening()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
