"""A client that sends exactly the bytes it is told to, when it is told to."""

import socket
import ssl
import struct
import time

from .message import BadMessage, Response, build, parse_fields
from .scale import limit


class Closed(AssertionError):
    """The peer closed (or reset) the connection where more was expected."""


class Conn:
    """One connection. ADDRESS is (host, port) or the path of a Unix socket."""

    def __init__(self, address, timeout=10, source=None, receive_buffer=None, tls=None):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self.socket = socket.socket(family, socket.SOCK_STREAM)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.timeout = limit(timeout)
        self.socket.settimeout(self.timeout)
        self.socket.connect(address)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.input = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- sending

    def send(self, data):
        self.socket.sendall(data)
        return self

    def send_slowly(self, data, interval, step=1):
        """STEP bytes at a time. Stops without complaint when the peer has closed; returns what was sent."""
        for at in range(0, len(data), step):
            try:
                self.socket.sendall(data[at : at + step])
            except OSError:
                return at
            time.sleep(interval)
        return len(data)

    def request(self, method="GET", target="/", fields=(), **more):
        self.send(build(method, target, fields, **more))
        return self.response(method)

    def get(self, target="/", fields=(), **more):
        return self.request("GET", target, fields, **more)

    def unread(self):
        """Bytes on their way, or in the other end's socket, that the program there has not read."""
        here, there = (f":{port:04X}" for _, port in (self.socket.getsockname()[:2], self.socket.getpeername()[:2]))
        table = "/proc/net/tcp6" if self.socket.family == socket.AF_INET6 else "/proc/net/tcp"
        with open(table) as file:
            for line in file:
                words = line.split()
                if words[1].endswith(there) and words[2].endswith(here):
                    return int(words[4].split(":")[1], 16)
        return 0

    # --- receiving

    def _fill(self):
        """More input, or False at the end of the stream."""
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise AssertionError(f"nothing came for {self.timeout:.1f} s; unread so far: {self.input[:200]!r}") from None
        except (ConnectionResetError, ssl.SSLError) as error:
            raise Closed(f"{error}; unread so far: {self.input[:200]!r}") from None
        self.input += data
        return bool(data)

    def _take(self, count=None):
        """COUNT bytes of the input, or all of it."""
        data = bytes(self.input[:count])
        del self.input[: len(data)]
        return data

    def _line_end(self, mark):
        while (at := self.input.find(mark)) < 0:
            if not self._fill():
                raise Closed(f"end of stream where a response was expected; unread so far: {self.input[:200]!r}")
        return at

    def head(self):
        """The next response head, 1xx or final."""
        at = self._line_end(b"\r\n\r\n")
        return Response(self._take(at + 4)[:at])

    def response(self, method="GET", allow_cut=False):
        """The next final response with its body. ALLOW_CUT: an incomplete one is returned with .complete False."""
        informational = []
        while (response := self.head()).status < 200 and response.status != 101:
            informational.append(response)
        response.informational = informational
        self.body(response, method, allow_cut)
        return response

    def body(self, response, method="GET", allow_cut=False):
        response.body = b""
        if method == "HEAD" or response.status in (101, 204, 304):
            if response.status == 204 and ("content-length" in response.fields or "transfer-encoding" in response.fields):
                raise BadMessage("204 with framing fields (RFC 9110 8.6)")
            return
        try:
            if response.framing == "chunked":
                self._chunks(response)
            elif response.framing == "close":
                if not response.closes:
                    raise BadMessage(f"no framing and no Connection: close: {response}")
                while self._fill():
                    pass
                response.body = self._take()
            else:
                self._length(response, response.framing)
        except Closed:
            if not allow_cut:
                raise
            response.complete = False

    def _length(self, response, length):
        while len(self.input) < length:
            if not self._fill():
                response.body = self._take()
                raise Closed(f"body cut off after {len(response.body)} of {length} bytes")
        response.body = self._take(length)

    def _chunks(self, response):
        parts = []
        try:
            while size := self._chunk_size():
                while len(self.input) < size + 2:
                    if not self._fill():
                        parts.append(self._take(size))
                        raise Closed("cut off inside a chunk")
                if self.input[size : size + 2] != b"\r\n":
                    raise BadMessage("chunk data is not followed by CRLF")
                parts.append(self._take(size))
                self._take(2)
        finally:
            response.body = b"".join(parts)
        self._trailers(response)

    def _chunk_size(self):
        at = self._line_end(b"\r\n")
        line = self._take(at + 2)[:at]
        try:
            return int(line.partition(b";")[0], 16)
        except ValueError:
            raise BadMessage(f"bad chunk size {line!r}") from None

    def chunk(self):
        """The content of the next chunk."""
        content = self.read(self._chunk_size())
        self.read(2)
        return content

    def _trailers(self, response):
        while not (self.input.startswith(b"\r\n") or b"\r\n\r\n" in self.input):
            if not self._fill():
                raise Closed("cut off inside the trailer section")
        if self.input.startswith(b"\r\n"):
            self._take(2)
            return
        block = self._take(self.input.index(b"\r\n\r\n") + 4)
        response.trailers = parse_fields(block[:-4])

    def read(self, count):
        """Exactly COUNT raw bytes."""
        while len(self.input) < count:
            if not self._fill():
                raise Closed(f"end of stream after {len(self.input)} of {count} bytes: {self.input[:200]!r}")
        return self._take(count)

    def read_available(self):
        """Whatever comes next, at least one byte; b'' at the end of the stream."""
        if not self.input:
            self._fill()
        return self._take()

    # --- the connection's end

    def read_to_end(self, timeout=None):
        """All bytes until the peer closes (a reset counts as an end)."""
        if timeout is not None:
            self.socket.settimeout(limit(timeout))
        try:
            while self._fill():
                pass
        except Closed:
            pass
        finally:
            self.socket.settimeout(self.timeout)
        return self._take()

    def assert_closed(self, timeout=None):
        """The peer has closed (or does so within TIMEOUT) and sent nothing more."""
        rest = self.read_to_end(timeout)
        assert rest == b"", f"more bytes before the connection's end: {rest[:300]!r}"

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


def fetch(address, target="/", method="GET", fields=(), timeout=10, source=None, **more):
    """One request on a connection of its own."""
    with Conn(address, timeout, source) as conn:
        return conn.request(method, target, fields, **more)
