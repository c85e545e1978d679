"""An HTTP/2 client of one connection over TLS, on python3-h2 or by frames made by hand."""

import socket
import struct

import h2.config
import h2.connection
import h2.events
import h2.settings

from .scale import limit

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Answer:
    def __init__(self):
        self.status, self.fields, self.body, self.trailers = None, [], bytearray(), None
        self.informational, self.ended, self.reset = [], False, None

    def __getitem__(self, name):
        return dict(self.fields).get(name)

    def __repr__(self):
        return f"<{self.status} {self.fields} {len(self.body)} bytes ended={self.ended} reset={self.reset}>"


def connect(address, tls, timeout=10):
    tls.set_alpn_protocols(["h2"])
    plain = socket.create_connection(address, timeout=limit(timeout))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wrapped = tls.wrap_socket(plain, server_hostname="localhost")
    assert wrapped.selected_alpn_protocol() == "h2"
    return wrapped


class Client:
    """AUTO: flow control windows are opened as content comes. CHECKED: the library refuses to send what is wrong."""

    def __init__(self, address, tls, auto=True, checked=True, window=None):
        self.socket, self.auto = connect(address, tls), auto
        self.timeout = self.socket.gettimeout()
        config = h2.config.H2Configuration(client_side=True, header_encoding="latin-1",
                                           validate_outbound_headers=checked, normalize_outbound_headers=checked)
        self.connection = h2.connection.H2Connection(config=config)
        if window is not None:
            self.connection.local_settings = h2.settings.Settings(
                client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.connection.initiate_connection()
        self.answers, self.goaway, self.closed, self.settings, self.pings = {}, None, False, None, 0
        self.input = b""
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        if data := self.connection.data_to_send():
            self.socket.sendall(data)

    def head(self, method="GET", path="/", fields=(), authority="example.test", end=True, pseudo=None):
        """Sends a head; returns the stream's number."""
        stream = self.connection.get_next_available_stream_id()
        start = pseudo if pseudo is not None else [(":method", method), (":scheme", "https"),
                                                   (":authority", authority), (":path", path)]
        self.connection.send_headers(stream, [*start, *fields], end_stream=end)
        self.answers[stream] = Answer()
        self.flush()
        return stream

    def send(self, stream, data, end=False):
        """All of DATA, waiting for the peer's windows."""
        while data or end:
            room = min(self.connection.local_flow_control_window(stream), self.connection.max_outbound_frame_size)
            if data and not room:
                self.read()
                continue
            piece, data = data[:room], data[room:]
            self.connection.send_data(stream, piece, end_stream=end and not data)
            self.flush()
            if not data:
                return

    def trailers(self, stream, fields):
        self.connection.send_headers(stream, fields, end_stream=True)
        self.flush()

    def read(self):
        """One receive. False when the connection has ended."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        self.input += data
        while len(self.input) >= 9 and len(self.input) >= (whole := 9 + int.from_bytes(self.input[:3], "big")):
            one, self.input = self.input[:whole], self.input[whole:]
            for event in self.connection.receive_data(one):  # one by one: see what a GOAWAY does in _take
                self._take(event)
        try:
            self.flush()
        except OSError:
            self.closed = True
        return True

    def _take(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event
            if not event.error_code:  # the library thinks that all is over then
                self.connection.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.settings = event.changed_settings
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1
        elif answer is None:
            return
        elif isinstance(event, h2.events.InformationalResponseReceived):
            answer.informational.append(list(event.headers))
        elif isinstance(event, h2.events.ResponseReceived):
            fields = list(event.headers)
            answer.status, answer.fields = int(fields[0][1]), fields[1:]
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = list(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self.auto and event.flow_controlled_length:
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = int(event.error_code)

    def answer(self, stream, until=None):
        """Reads until STREAM has ended, was reset, or UNTIL(answer)."""
        answer = self.answers[stream]
        until = until or (lambda a: a.ended or a.reset is not None)
        while not until(answer):
            assert self.read(), f"the connection ended: {answer} {self.goaway}"
        return answer

    def get(self, path="/", fields=(), **more):
        return self.answer(self.head("GET", path, fields, **more))

    def wait_closed(self):
        while not self.closed:
            self.read()
        return self.goaway


class Raw:
    """Frames by hand; reads until the peer closes."""

    def __init__(self, address, tls, settings=b""):
        self.socket = connect(address, tls)
        self.goaway_code, self.received = None, b""
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """False when the peer has closed."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def flood(self, data, times):
        """True when the peer ended it before all was sent, or after."""
        for _ in range(times):
            if not self.send(data):
                break
        return self.read_to_end()

    def read_to_end(self):
        try:
            while data := self.socket.recv(65536):
                self.received += data
        except TimeoutError:
            return False
        except OSError:
            pass
        self._scan()
        return True

    def _scan(self):
        at = 0
        while at + 9 <= len(self.received):
            length = int.from_bytes(self.received[at:at + 3], "big")
            if self.received[at + 3] == GOAWAY and at + 17 <= len(self.received):
                self.goaway_code = int.from_bytes(self.received[at + 13:at + 17], "big")
            at += 9 + length
