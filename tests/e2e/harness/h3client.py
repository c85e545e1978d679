"""An HTTP/3 client of one connection on aioquic's engines, over a datagram socket of its own that a test may change."""

import socket
import ssl
import time

from aioquic.h3.connection import H3_ALPN, H3Connection, HeadersState
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StopSendingReceived, StreamReset
from aioquic.quic.stream import QuicStreamSender

from .h2client import Answer
from .scale import limit


def _reset_once(sender, error_code, reset=QuicStreamSender.reset):
    """A STOP_SENDING may come again (RFC 9000 13.3), which the library takes for a mistake of its own."""
    if sender._reset_error_code is None:
        reset(sender, error_code)


QuicStreamSender.reset = _reset_once


class Closed(AssertionError):
    """The connection has ended while something was awaited."""


def _number(value, bits, flags):
    """RFC 7541 5.1"""
    most = (1 << bits) - 1
    if value < most:
        return bytes([flags | value])
    data, value = [flags | most], value - most
    while value >= 128:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def literals(fields):
    """A field section of literals alone (RFC 9204 4.5.6)."""
    return b"\0\0" + b"".join(_number(len(name), 3, 0x20) + name + _number(len(value), 7, 0) + value
                              for name, value in fields)


class Http(H3Connection):
    """What the library leaves out: 1xx before the response, that an answer to HEAD has no content, long fields."""

    def __init__(self, quic):
        super().__init__(quic)
        self.heads = set()  # streams of HEAD requests

    def _handle_request_or_push_frame(self, frame_type, frame_data, stream, stream_ended):
        events = super()._handle_request_or_push_frame(frame_type, frame_data, stream, stream_ended)
        for event in events:
            if isinstance(event, HeadersReceived) and event.headers[0][1].startswith(b"1"):
                stream.headers_recv_state = HeadersState.INITIAL
        return events

    def _encode_headers(self, stream_id, headers):
        if max(len(value) for _, value in headers) > 2000:
            return literals(headers)
        return super()._encode_headers(stream_id, headers)

    def _check_content_length(self, stream):
        if stream.stream_id not in self.heads:
            super()._check_content_length(stream)


class Client:
    """WINDOW: what one stream may receive that was not read. A test may set `deaf`: nothing is received any more."""

    def __init__(self, address, timeout=10, connect=True, window=None, versions=None, token=b"", ticket=None):
        configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE,
                                          server_name="localhost", token=token, session_ticket=ticket,
                                          idle_timeout=60)
        if window is not None:
            configuration.max_stream_data = window
            configuration.max_data = 16 * window
        if versions:
            configuration.supported_versions = versions
        self.tickets, self.tokens = [], []
        self.address, self.timeout = address, limit(timeout)
        self.socket = self._new_socket()
        self.quic = QuicConnection(configuration=configuration, session_ticket_handler=self.tickets.append,
                                   token_handler=self.tokens.append)
        self.http = Http(self.quic)
        self.answers, self.terminated, self.connected, self.stopped = {}, None, False, {}
        self.quic.connect(address, now=time.monotonic())
        if connect:
            self.wait(lambda: self.connected, "the handshake")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.terminated is None:
            self.quic.close()
            self.flush()
        self.socket.close()

    def _new_socket(self):
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        fresh = socket.socket(family, socket.SOCK_DGRAM)
        fresh.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        return fresh

    def move(self):
        """As a client whose address changes (RFC 9000 section 9)."""
        self.socket.close()
        self.socket = self._new_socket()

    # --- datagrams

    def flush(self):
        for data, _ in self.quic.datagrams_to_send(now=time.monotonic()):
            self.socket.sendto(data, self.address)

    def _events(self):
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self.connected = True
            elif isinstance(event, ConnectionTerminated):
                self.terminated = event
            elif isinstance(event, StreamReset):
                self.answer(event.stream_id).reset = event.error_code
            elif isinstance(event, StopSendingReceived):
                self.stopped[event.stream_id] = event.error_code
            for told in self.http.handle_event(event):
                self._told(told)

    def _told(self, event):
        answer = self.answer(event.stream_id)
        if isinstance(event, HeadersReceived):
            fields = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
            status = dict(fields).get(":status")
            if status and int(status) < 200:
                answer.informational.append(fields)
            elif answer.status is None and status:
                answer.status, answer.fields = int(status), [f for f in fields if f[0] != ":status"]
            else:
                answer.trailers = fields
        elif isinstance(event, DataReceived):
            answer.body += event.data
        answer.ended = answer.ended or getattr(event, "stream_ended", False)

    def step(self, most=0.05):
        """Sends what there is, and receives for at most MOST seconds."""
        self.flush()
        due = self.quic.get_timer()
        wait = most if due is None else max(0.0, min(most, due - time.monotonic()))
        self.socket.settimeout(wait or 0.0001)
        try:
            data, source = self.socket.recvfrom(65536)
            self.quic.receive_datagram(data, source, now=time.monotonic())
            self.socket.settimeout(0)
            while True:
                data, source = self.socket.recvfrom(65536)
                self.quic.receive_datagram(data, source, now=time.monotonic())
        except (TimeoutError, BlockingIOError):
            pass
        except ConnectionRefusedError:
            pass
        if (due := self.quic.get_timer()) is not None and time.monotonic() >= due:
            self.quic.handle_timer(now=time.monotonic())
        self._events()
        self.flush()

    def wait(self, condition, what, progress=lambda: None):
        """PROGRESS: something that changes as long as it goes on; then there is time again. A client that stood still for
        some seconds looks to its server like one that far away, and is sent ten packets in such a time at first."""
        end, seen = time.monotonic() + self.timeout, progress()
        while not condition():
            if (now := progress()) != seen:
                end, seen = time.monotonic() + self.timeout, now
            if self.terminated is not None and not condition():
                raise Closed(f"closed while waiting for {what}: {self.terminated}")
            assert time.monotonic() < end, f"waited in vain for {what}"
            self.step()

    # --- requests

    def answer(self, stream):
        return self.answers.setdefault(stream, Answer())

    def send(self, path, method="GET", fields=(), body=None, end=True, authority="localhost", trailers=None):
        stream = self.quic.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path), *fields]
        last = end and body is None and trailers is None
        if method == "HEAD":
            self.http.heads.add(stream)
        self.http.send_headers(stream, [(n.encode(), v.encode("latin-1")) for n, v in head], end_stream=last)
        if body is not None:
            self.http.send_data(stream, body, end_stream=end and trailers is None)
        if trailers is not None:
            self.http.send_headers(stream, [(n.encode(), v.encode()) for n, v in trailers], end_stream=True)
        self.answer(stream)
        self.flush()
        return stream

    def raw_stream(self, data, end=True):
        stream = self.quic.get_next_available_stream_id()
        self.quic.send_stream_data(stream, data, end)
        self.answer(stream)
        self.flush()
        return stream

    def finished(self, stream):
        answer = self.answer(stream)
        return answer.ended or answer.reset is not None

    def get(self, path, **more):
        stream = self.send(path, **more)
        answer = self.answer(stream)
        self.wait(lambda: self.finished(stream), f"the answer to {path}", lambda: len(answer.body))
        return answer
