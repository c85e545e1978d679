"""A fleet without control: a Valkey server of its own, identities, a publisher (tests/tools/fleetkit)."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from .edge import binary, execution_environment
from .scale import limit, wait_until


def kit():
    path = Path(binary()).parent / "tests/tools/fleetkit/fleetkit"
    assert path.exists(), f"{path} is not built"
    return str(path)


class Valkey:
    """A valkey-server on a Unix socket; keeps nothing on disk. PROGRAM may be redis-server."""

    def __init__(self, program="valkey-server", *options):
        self.directory = tempfile.mkdtemp(prefix="skerry-valkey-")  # a socket's path is short
        self.path = f"{self.directory}/socket"
        self.url = f"unix:{self.path}"
        self.program, self.options, self.process = program, options, None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--port", "0", "--unixsocket", self.path, "--dir", self.directory, "--save", "",
             *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: self.says("PING") == b"+PONG", 20, "the server to answer")
        except AssertionError:
            self.stop()
            raise

    def says(self, *words):
        """The first line of the answer to one command; None when there is no server."""
        import socket
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(limit(5))
            try:
                connection.connect(self.path)
                connection.sendall(b"*%d\r\n" % len(words) + b"".join(
                    b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words))
                return connection.recv(65536).split(b"\r\n")[0]
            except OSError:
                return None

    def ask(self, *words):
        """The answer to one command: bytes, a number, a list, None."""
        import socket
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(limit(5))
            connection.connect(self.path)
            words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            return _reply(connection.makefile("rb"))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self, stopped=True):
        self.process.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def stop(self):
        self.pause(False)
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def _reply(file):
    line = file.readline()
    kind, rest = line[:1], line[1:-2]
    assert kind != b"-", rest
    if kind == b"$":
        return None if rest == b"-1" else file.read(int(rest) + 2)[:-2]
    if kind == b"*":
        return [_reply(file) for _ in range(int(rest))]
    return int(rest) if kind == b":" else rest


class Publisher:
    """The control whose identity is in FOLDER, as far as it publishes purges."""

    def __init__(self, folder, valkey, log):
        with open(log, "ab") as stderr:
            self.process = subprocess.Popen([kit(), "publish", str(folder), valkey.url], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=stderr, text=True, bufsize=1,
                                            env={**os.environ, **execution_environment()})

    def purge(self, request):
        """What came of it, when every living edge has applied it or five seconds are over."""
        self.process.stdin.write(json.dumps(request) + "\n")
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer
        return answer

    def stop(self):
        """Closes its epoch."""
        self.process.stdin.close()
        assert self.process.wait(limit(20)) == 0
        self.process.stdout.close()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Fleet:
    """EDGES identities e0, e1, ... and one of a control, c; started edges and publishers."""

    def __init__(self, directory, new_edge, edges, **configuration):
        self.directory, self.new_edge, self.configuration = directory, new_edge, configuration
        subprocess.run([kit(), "make", str(directory), "acme", "control/c", *(f"edge/e{i}" for i in range(edges))],
                       check=True, env={**os.environ, **execution_environment()})
        self.valkey, self.edges, self.publishers = Valkey(), [], []

    def edge(self, *origins, **more):
        state = self.directory / f"e{len(self.edges)}"
        fleet = {"state": str(state), "bus": self.valkey.url, **more.pop("fleet", {})}
        edge = self.new_edge(*origins, fleet=fleet, **{**self.configuration, **more})
        self.edges.append(edge)
        return edge

    def publisher(self):
        publisher = Publisher(self.directory / "c", self.valkey, self.directory / "publisher.log")
        self.publishers.append(publisher)
        for edge in self.edges:
            wait_until(lambda edge=edge: edge.metrics()["skerry_bus_entries_total"] > 0, 10, "the edges to hear it")
        return publisher

    def stop(self):
        for publisher in self.publishers:
            publisher.kill()
        self.valkey.stop()
