"""The admin API of a server on its Unix socket, over one kept connection; and purges that hit next to nothing."""

import http.client
import json
import re
import socket

HOST = "bench.example"
# Each one different, so that the hits beside them stay hits.
PURGES = {
    "prefix": lambda i: {"prefix": f"{HOST}/none{i}/"},
    "tag": lambda i: {"tag": f"none{i}"},
    "glob": lambda i: {"glob": f"{HOST}/none{i}/*.png"},
    "host": lambda i: {"host": f"none.{HOST}"},
}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("admin", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Admin:
    """Connects when something is asked."""

    def __init__(self, path):
        self.connection = UnixConnection(str(path))

    def fresh(self):
        """For after a pause longer than the server keeps an idle connection."""
        self.connection.close()

    def ask(self, method, target, body=None):
        """The answer's text; BODY is bytes, text, or anything else as JSON."""
        text = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        self.connection.request(method, target, body=text)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {target}: {answer.status}: {text.decode()}")
        return text

    def json(self, method, target, body=None):
        return json.loads(self.ask(method, target, body))

    def purge(self, body):
        return self.json("POST", "/purge", body)

    def figure(self, name):
        return float(re.search(rf"(?m)^{name} (\S+)", self.ask("GET", "/metrics").decode()).group(1))
