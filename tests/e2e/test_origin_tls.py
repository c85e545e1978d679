"""TLS to origins: what each policy of key exchange agrees on with whom, certificates of ours, expected names.

The tables of docs/tls.md are the cases: what they promise is what is tried here."""

import pathlib
import re
import subprocess

import pytest
from harness import ports
from harness.edge import run
from harness.origin import Origin, reply
from harness.scale import limit, wait_until
from test_tls import group, new_tls, pair, s_client  # noqa: F401 (fixtures)

pytestmark = pytest.mark.one_by_one

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "tls.md"


def table(heading):
    """The table under HEADING: (policy, end, outcome) for each cell."""
    section = re.split(r"^#", DOCUMENT.read_text().split(f"### {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines()
            if line.startswith("|")]
    return [(row[0].split("`")[1], end, cell) for row in rows[2:] for end, cell in zip(rows[0][1:], row[1:])]


CLIENTS = {
    "sends it": ["-groups", "*X25519MLKEM768:*X25519"],
    "knows it": ["-groups", "X25519:X25519MLKEM768"],
    "does not know it": ["-groups", "X25519"],
    "TLS 1.2": ["-tls1_2"],
}
ORIGINS = {
    "prefers it": ["-groups", "X25519MLKEM768 / X25519"],
    "knows it": ["-groups", "X25519 / X25519MLKEM768"],
    "does not know it": ["-groups", "X25519"],
    "TLS 1.2": ["-tls1_2"],
}


@pytest.mark.parametrize("policy, end, outcome", table("Clients"))
def test_listener_policies(new_tls, origin, policy, end, outcome):  # noqa: F811
    edge = new_tls(origin, listener={"pq": policy})
    said = s_client(edge, *CLIENTS[end], "-msg")
    if outcome == "refused":
        assert "alert" in said and group(said) is None, said
        return
    expected = "x25519mlkem768" if "hybrid" in outcome else ("x25519", "ecdh")
    assert group(said) in expected, said
    assert said.count("ClientHello") == (2 if "round trip" in outcome else 1), said


class Server:
    """`openssl s_server` as an origin that says what it knows of its clients."""

    def __init__(self, files, *arguments):
        reservation = ports.Reservation()
        self.port = reservation.port
        reservation.close()
        cert, key = files
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert", str(cert), "-key", str(key), "-www",
             "-msg", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.url = f"https://127.0.0.1:{self.port}"
        self.said = b""
        while b"ACCEPT" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line

    def stop(self):
        self.process.terminate()
        return (self.said + self.process.communicate(timeout=limit(10))[0]).decode(errors="replace")


@pytest.fixture
def new_server(authority):
    servers = []

    def make(*arguments):
        servers.append(Server(authority.files(), *arguments))
        return servers[-1]
    yield make
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.mark.parametrize("policy, end, outcome", table("Origins"))
def test_origin_policies(new_edge, new_server, authority, policy, end, outcome):
    server = new_server(*ORIGINS[end])
    edge = new_edge({"url": server.url, "ca_file": str(authority.certificate), "pq": policy},
                    origin_options={"retries": 0})
    answer = edge.fetch("/")
    said, metrics = server.stop(), edge.metrics()
    if outcome == "refused":
        assert answer.status == 502 and b"TLS handshake" in answer.body
        assert "pq: require" in edge.log() and server.url in edge.log()
        assert metrics["skerry_origin_tls_failed_total"] == 1
        return
    assert answer.status == 200, said
    name = "X25519MLKEM768" if "hybrid" in outcome else "x25519"
    assert metrics[f'skerry_origin_tls_groups_total{{group="{name}"}}'] == 1
    version = "1.2" if end == "TLS 1.2" else "1.3"
    assert metrics[f'skerry_origin_tls_versions_total{{version="{version}"}}'] == 1
    assert sum(value for key, value in metrics.items() if key.startswith("skerry_origin_tls_ciphers_total")) == 1
    assert said.count("ClientHello") == (2 if "round trip" in outcome else 1), said


def test_a_classical_connection_is_not_used_where_hybrids_are_required(new_edge, new_origin, authority):
    """After the reload a connection of the old policy lies in the pool, good and unused."""
    origin = new_origin(tls=authority.server())
    origin.on("/a", reply(b"a"))
    words = {"url": origin, "ca_file": str(authority.certificate), "pq": "off"}
    edge = new_edge(words, threads=1)
    assert edge.fetch("/a").status == 200
    edge.reload({**edge.configuration, "origins": [{**words, "pq": "require"}]})
    wait_until(lambda: edge.fetch("/a").status == 200 and
               edge.metrics()['skerry_origin_tls_groups_total{group="X25519MLKEM768"}'] == 1)
    assert edge.metrics()['skerry_origin_tls_groups_total{group="x25519"}'] == 1


# --- certificates of ours, names of theirs


def test_the_edge_shows_its_certificate(new_edge, new_server, authority):
    server = new_server("-Verify", "1", "-verify_return_error", "-CAfile", authority.certificate)
    cert, key = authority.files(["DNS:edge"], label="edge")
    words = {"url": server.url, "ca_file": str(authority.certificate)}
    with_it = new_edge({**words, "client_cert": str(cert), "client_key": str(key)})
    without = new_edge(words, origin_options={"retries": 0})
    assert with_it.fetch("/").status == 200
    assert without.fetch("/").status == 502
    assert re.search(r"certificate required|handshake failure", without.log())


@pytest.mark.parametrize("carried, expected, accepted", [
    ("URI:spiffe://example.com/edge/7", "spiffe://example.com/edge/7", True),
    ("URI:spiffe://example.com/edge/8", "spiffe://example.com/edge/7", False),
    ("DNS:inner.example.com", "inner.example.com", True),
    ("IP:127.0.0.1", "inner.example.com", False),
])
def test_the_origin_carries_the_expected_name(new_edge, new_origin, authority, carried, expected, accepted):
    origin = new_origin(tls=authority.server([carried], label="named"))
    origin.on("/", reply(b"hello"))
    edge = new_edge({"url": origin, "ca_file": str(authority.certificate), "verify_name": expected},
                    origin_options={"retries": 0})
    assert edge.fetch("/").status == (200 if accepted else 502)
    assert origin.count("/") == (1 if accepted else 0)


@pytest.mark.parametrize("words, said", [
    ({"client_cert": "CERT"}, "expected both or none"),
    ({"verify_name": "x.test", "verify": False}, "verify is false"),
    ({"url": "http://127.0.0.1:1", "pq": "off"}, "the url is not https"),
    ({"client_cert": "CERT", "client_key": "/nonexistent"}, "/nonexistent"),
])
def test_what_does_not_go_together_is_told(new_edge, authority, words, said):
    cert, _ = authority.files(label="told")
    origin = {"url": "https://127.0.0.1:1", **{key: str(cert) if value == "CERT" else value
                                               for key, value in words.items()}}
    edge = new_edge(origin, start=False)
    edge.write(edge.configuration)
    done = run("check", edge.file)
    assert done.returncode == 2 and said in done.stderr, done
