"""Nodes of a fleet as people see and steer them: skerry nodes, drain and undrain, heartbeats that count, TLS to Valkey."""

import http.client
import json
import signal
import socket
import subprocess
import time

import pytest
from harness.certs import Authority
from harness.control import SERVER
from harness.device import Mortal
from harness.edge import run
from harness.scale import limit, wait_until

pytestmark = pytest.mark.skipif(SERVER is None, reason="no valkey-server")

HOST = "www.example.com"
HEALTH = "/.well-known/skerry/health"
EDGE = """
listen: [LISTEN]
admin: unix:ADMIN
memory: 16MiB
threads: 2
fleet: {state: DIR/node, bus: "BUS", silence: 10s}
"""


@pytest.fixture
def new_node(new_edge, control, origin):
    """Starts an edge NAME that has joined, and has a site."""
    origin.default = lambda x: x.reply(b"body", fields=[("Cache-Control", "max-age=3600")])

    def make(name, start=lambda edge: edge.start(), more=""):
        edge = new_edge.text(EDGE, start=False)
        bus = f"unix:{control.directory / 'state/valkey/valkey.sock'}"
        edge.write((EDGE + more).replace("LISTEN", edge.listen).replace("ADMIN", edge.admin_path)
                   .replace("DIR", str(edge.directory)).replace("BUS", bus))
        edge.expected_codes = {0, -signal.SIGKILL}
        done = control.join(edge.directory / "node", name)
        assert done.returncode == 0, done.stderr
        start(edge)
        control.apply([{"host": HOST, "origin": origin.url}])
        wait_until(lambda: edge.fetch("/a", host=HOST).status == 200, 15, "the configuration")
        return edge
    return make


def table(control):
    done = run("nodes", "--control", control.admin)
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    return head.split(), {line.split()[0]: line for line in lines}


def serving(control, name):
    return control.node(name).get("serving")


def test_nodes_tells_people_and_programs_how_nodes_are(control, new_node):
    edge = new_node("a")
    wait_until(lambda: serving(control, "a") == "running", 10, "its heartbeat")
    edge.fetch("/a", host=HOST)
    control.ask("purge", "--all", "--wait")
    wait_until(lambda: control.node("a").get("purges_behind") == 0, 10, "its position")
    wait_until(lambda: control.node("a").get("hit_ratio", 0) > 0, 10, "its hits")
    head, lines = table(control)
    assert head == ["NAME", "POP", "ROLE", "STATE", "VERSION", "CONFIG", "BEHIND", "LOAD", "HITS", "CERTIFICATE"]
    words = lines["a"].split()
    assert words[:4] == ["a", "fra", "edge", "running"] and words[5] == "1" and words[6] == "0" and words[-1] == "days"
    assert run("nodes", "--json", "--control", control.admin).stdout.startswith("{")
    edge.stop()
    wait_until(lambda: serving(control, "a") is None, 10, "its leave")


def test_what_others_say_of_a_node_counts_for_nothing(control, new_node):
    """Issue 6, attacks: who can write to Valkey invents a heartbeat, and gives a node's own to another name."""
    from test_control import valkey
    new_node("a")
    wait_until(lambda: serving(control, "a") == "running", 10, "its heartbeat")
    assert control.join(control.directory / "b", "b").returncode == 0
    name = b"spiffe://acme/fra/edge/b"
    said = b"skerry heartbeat 1\nstate running\nname %s\nmade_ms %d\n" % (name, time.time() * 1000)
    valkey(control, b"HSET", b"skerry:member:" + name, b"said", said, b"sig", bytes(3309), b"cert", b"x")
    valkey(control, b"SADD", b"skerry:members", name)
    assert serving(control, "b") is None and serving(control, "a") == "running"
    control.wait_log("edge/b: what it says of itself is not believed")


def health(edge):
    answer = edge.fetch(HEALTH, host=HOST)
    return answer.status, answer.text


def test_drain_and_undrain(control, new_node):
    """Health says no, clients are told to go with their next answer, idle ones are let go, nobody is refused; it holds
    through a restart without control, and ends with undrain."""
    edge = new_node("a")
    assert health(edge)[0] == 200
    busy, idle = (http.client.HTTPConnection(*edge.address, timeout=limit(10)) for _ in range(2))
    for each in (busy, idle):
        each.request("GET", "/a", headers={"Host": HOST})
        assert each.getresponse().read() == b"body"
    done = run("node", "drain", "a", "--control", control.admin)
    assert done.returncode == 0 and json.loads(done.stdout) == {"node": "spiffe://acme/fra/edge/a", "drained": True}
    wait_until(lambda: health(edge)[0] == 503 and "control's wish" in health(edge)[1], 10, "health to say no")
    wait_until(lambda: edge.fetch("/a", host=HOST).fields.get("Connection") == "close", 10, "answers to say close")
    idle.sock.settimeout(limit(10))
    assert idle.sock.recv(1) == b""
    assert edge.fetch("/a", host=HOST).status == 200
    wait_until(lambda: serving(control, "a") == "drained", 10, "its heartbeat")
    assert "drained" in table(control)[1]["a"] and control.node("a")["drained"]
    control.kill()
    edge.stop()
    edge.start(wait=False)
    edge.wait_ready(2)
    assert health(edge)[0] == 503
    control.start()
    control.ask("node", "undrain", "spiffe://acme/fra/edge/a")
    wait_until(lambda: health(edge)[0] == 200, 30, "clients to be taken again")
    wait_until(lambda: edge.fetch("/a", host=HOST).fields.get("Connection") != "close", 10, "connections to be kept")
    wait_until(lambda: serving(control, "a") == "running", 10, "its heartbeat")
    assert control.has_done("drain", "edge/a") and control.has_done("undrain", "edge/a")


def test_drain_is_for_who_may_and_for_nodes_there_are(control, new_node):
    new_node("a")
    control.ask("node", "drain", "b", fails="no such node")
    control.ask("node", "drain", "../b", fails="no node's name")
    control.ask("node", "stop", "a", fails="unknown command")
    control.ask("node", "drain", "a", token=control.token("reader", "read"), fails="does not have that right")
    assert not control.node("a")["drained"]


@pytest.mark.begins_first
def test_a_sick_edge_withdraws_while_enough_others_are_well(control, new_node, origin, tmp_path):
    """Its disk's device takes nothing more: it takes no clients after some seconds, and serves who comes."""
    store, lives = tmp_path / "store", []

    def start(edge):
        lives.append(Mortal(edge, store).start())

    new_node("well")
    sick = new_node("sick", start, f"disk: {{path: {store}, size: 64MiB}}\n")
    try:
        origin.default = lambda x: x.reply(bytes(400_000), fields=[("Cache-Control", "max-age=3600")])
        lives[0].tell("trouble write 1000")

        def withdrawn():
            for i in range(60):  # in the end more than the memory
                rounds.append(i)
                assert sick.fetch(f"/{len(rounds) % 80}", host=HOST).status == 200
            if sick.metrics()["skerry_disk_devices_failed"]:  # and it stays so when it is tried again after ten seconds
                lives[0].tell("trouble read 1000")
            return health(sick) == (503, '{"status":"sick","reason":"sick: see its log"}\n')

        rounds = []
        wait_until(withdrawn, 60, "it to withdraw")
        wait_until(lambda: serving(control, "sick") == "sick", 10, "its heartbeat")
        assert "a device of its disk is out of service" in sick.log() and sick.fetch("/a", host=HOST).status == 200
        lives[0].tell("trouble none")
    finally:
        lives[0].die()


# --- TLS to Valkey


@pytest.fixture
def secure_valkey(tmp_path):
    """(URL, keys of its link): a server that speaks TLS alone, and asks for a certificate."""
    (tmp_path / "ca").mkdir()
    (tmp_path / "v").mkdir()
    authority = Authority(tmp_path / "ca")
    cert, key = authority.files(["IP:127.0.0.1"], label="valkey")
    our_cert, our_key = authority.files(["DNS:client"], label="client")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(tmp_path / "v/log", "wb") as log:
        process = subprocess.Popen(
            [SERVER, "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path / "v"),
             "--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(authority.certificate),
             "--tls-auth-clients", "yes"], stdout=log, stderr=log)

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, 20, "Valkey, " + (tmp_path / "v/log").read_text())
        yield f"127.0.0.1:{port}", {"ca": str(authority.certificate), "cert": str(our_cert), "key": str(our_key)}
    finally:
        process.kill()
        process.wait()


def test_a_fleet_over_tls_to_valkey(secure_valkey, new_control, new_edge, origin):
    where, files = secure_valkey
    origin.default = lambda x: x.reply(b"body", fields=[("Cache-Control", "max-age=3600")])
    control = new_control(valkey=f"valkeys://{where}", **{f"valkey_{name}": path for name, path in files.items()})
    control.start()
    edge = new_edge.text(EDGE, start=False)
    link = "".join(f", bus_{name}: {path}" for name, path in files.items())
    edge.write(EDGE.replace('"BUS"', f'"rediss://{where}"' + link).replace("LISTEN", edge.listen)
               .replace("ADMIN", edge.admin_path).replace("DIR", str(edge.directory)))
    assert control.join(edge.directory / "node", "a").returncode == 0
    edge.start()
    control.apply([{"host": HOST, "origin": origin.url}])
    wait_until(lambda: edge.fetch("/a", host=HOST).status == 200, 15, "the configuration")
    wait_until(lambda: serving(control, "a") == "running", 10, "its heartbeat")
    assert edge.fetch("/a", host=HOST).hit
    answer = control.ask("purge", "--all", "--wait")
    assert "1" in str(answer)
    assert not edge.fetch("/a", host=HOST).hit


@pytest.mark.parametrize("wrong", ["a foreign authority", "no certificate of ours", "another name"])
def test_a_valkey_that_is_not_the_right_one_is_not_spoken_to(tmp_path, secure_valkey, new_control, wrong):
    where, files = secure_valkey
    if wrong == "a foreign authority":
        (tmp_path / "other").mkdir()
        files["ca"] = str(Authority(tmp_path / "other").certificate)
    elif wrong == "no certificate of ours":
        del files["cert"], files["key"]
    else:
        where = where.replace("127.0.0.1", "localhost")
    control = new_control(valkey=f"valkeys://{where}", **{f"valkey_{name}": path for name, path in files.items()})
    control.launch()
    control.wait_log({"a foreign authority": "certificate", "another name": "certificate"}.get(wrong, "TLS|closed|reset"))
    assert run("nodes", "--control", control.admin).returncode == 1


def test_files_of_the_link_that_cannot_be_used_are_told(tmp_path, new_control):
    control = new_control(valkey="valkeys://127.0.0.1:1", valkey_ca=str(tmp_path / "none.pem"))
    control.launch()
    assert control.process.wait(limit(15)) == 2
    control.process = None
    assert "none.pem cannot be used for TLS" in control.log()
