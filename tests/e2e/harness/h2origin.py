"""An origin that speaks HTTP/2, on python3-h2, and does what a test tells it, path by path.

    origin.on("/a", answer(b"hello", fields=[("cache-control", "max-age=60")]))
    origin.on("/b", lambda x: x.reset(REFUSED))

A script runs on the connection's thread when the request has ended (or at its head, when registered as eager)."""

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

from .origin import Gone, Origin

REFUSED, INTERNAL, CANCEL = 7, 2, 8


class Stream:
    def __init__(self, link, number, fields):
        self.link, self.number, self.fields = link, number, [(str(name), str(value)) for name, value in fields]
        self.body, self.trailers, self.ended, self.reset_by_peer, self.served = b"", None, False, None, False

    def __getitem__(self, name):
        return dict(self.fields).get(name)

    @property
    def path(self):
        return self[":path"]

    @property
    def origin(self):
        return self.link.origin

    def head(self, status=200, fields=(), end=False):
        self.link.h2.send_headers(self.number, [(":status", str(status)), *fields], end_stream=end)
        self.link.flush()
        return self

    def data(self, data, end=False):
        """All of DATA, waiting for the peer's windows."""
        while data or end:
            room = min(self.link.h2.local_flow_control_window(self.number), self.link.h2.max_outbound_frame_size)
            if data and not room:
                self.link.read()
                continue
            piece, data = data[:room], data[room:]
            self.link.h2.send_data(self.number, piece, end_stream=end and not data)
            self.link.flush()
            if not data:
                break
        return self

    def finish(self, trailers):
        self.link.h2.send_headers(self.number, list(trailers), end_stream=True)
        self.link.flush()
        return self

    def reset(self, code=INTERNAL):
        self.link.h2.reset_stream(self.number, code)
        self.link.flush()
        return self

    def goaway(self, last=None, code=0):
        """Says GOAWAY and goes on with what was begun, which the library would not."""
        self.raw(b"\0\0\x08\x07\0\0\0\0\0" + (self.number if last is None else last).to_bytes(4, "big")
                 + code.to_bytes(4, "big"))
        return self

    def raw(self, data):
        self.link.flush()
        self.link.connection.send(data)
        return self

    def read_until(self, condition):
        while not condition():
            self.link.read()
        return self

    def close(self):
        raise Gone


def answer(body=b"", status=200, fields=(), trailers=()):
    def run(x):
        length = [] if trailers else [("content-length", str(len(body)))]
        empty = not body and not trailers
        x.head(status, [*length, *fields], end=empty or x[":method"] == "HEAD")
        if empty or x[":method"] == "HEAD":
            return
        x.data(body, end=not trailers)
        if trailers:
            x.finish(trailers)
    return run


class Link:
    """One connection."""

    def __init__(self, origin, connection):
        self.origin, self.connection, self.streams = origin, connection, {}
        config = h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        self.h2 = h2.connection.H2Connection(config=config)
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=origin.settings)
        self.h2.initiate_connection()
        self.pings, self.left = 0, None
        self.flush()

    def flush(self):
        if data := self.h2.data_to_send():
            self.connection.send(data)

    def run(self):
        while True:
            self.read()

    def read(self):
        for event in self.h2.receive_data(self.connection.read_some() or self._gone()):
            self._take(event)
        self.flush()
        for stream in list(self.streams.values()):
            if not stream.served and (stream.ended or stream.path in self.origin.eager):
                stream.served = True
                self.origin.scripts.get(stream.path, answer(b"not here\n", 404))(stream)

    def _gone(self):
        raise Gone

    def _take(self, event):
        if isinstance(event, h2.events.PingReceived):
            self.pings += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.left = int(event.error_code)
        elif isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = Stream(self, event.stream_id, event.headers)
            with self.origin.lock:
                self.origin.requests.append(self.streams[event.stream_id])
        stream = self.streams.get(getattr(event, "stream_id", None))
        if not stream:
            return
        if isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            if self.origin.reads:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset_by_peer = int(event.error_code)


class H2Origin(Origin):
    """SETTINGS are the server's; READS: its windows open as content comes."""

    def __init__(self, tls=None, settings=None, reads=True, **more):
        self.settings = {h2.settings.SettingCodes[name.upper()]: value for name, value in (settings or {}).items()}
        self.reads, self.links = reads, []
        if tls:
            tls.set_alpn_protocols(["h2"])
        super().__init__(tls=tls, **more)
        self.on_connect = self._talk

    def _talk(self, connection):
        if self.tls and connection.socket.selected_alpn_protocol() != "h2":
            raise Gone
        link = Link(self, connection)
        with self.lock:
            self.links.append(link)
        link.run()


__all__ = ["H2Origin", "answer", "REFUSED", "INTERNAL", "CANCEL"]
