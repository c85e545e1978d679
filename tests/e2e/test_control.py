"""A fleet's control: joining, configurations, tokens, the record; and what must be refused at its doors."""

import http.client
import json
import os
import signal
import socket
import ssl
import time

import pytest

from harness import scale
from harness.client import fetch
from harness.control import SERVER
from harness.edge import run
from harness.scale import wait_until

pytestmark = pytest.mark.skipif(SERVER is None, reason="no valkey-server")

EDGE = """
listen: [LISTEN]
admin: unix:ADMIN
memory: 64MiB
threads: 1
fleet: {state: DIR/node}
"""


@pytest.fixture
def origin(new_origin):
    return serving(new_origin())


def serving(origin):
    origin.default = lambda x: x.reply(b"body", fields=[("Cache-Control", "max-age=0")])
    return origin


@pytest.fixture
def new_node(new_edge, control):
    """Starts an edge that has joined."""
    def make(name, pop="fra", start=True, text=EDGE):
        edge = new_edge.text(text, start=False)
        edge.write(text.replace("LISTEN", edge.listen).replace("ADMIN", edge.admin_path)
                   .replace("DIR", str(edge.directory)))
        done = control.join(edge.directory / "node", name, control.invite(pop))
        assert done.returncode == 0, done.stderr
        return edge.start() if start else edge
    return make


def site(origin, **more):
    return {"host": "www.example.com", "origin": origin.url, **more}


def ask(edge, path="/"):
    return fetch(edge.address, path, host="www.example.com")


def metric(edge, name):
    return edge.metrics()[name]


def curl(control, folder, method, path, content=b""):
    """A call with the identity in FOLDER, as a node would make it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(folder / "roots.pem")
    if (folder / "node.pem").exists():
        context.load_cert_chain(folder / "node.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", control.port, context=context, timeout=scale.limit(15))
    try:
        connection.request(method, path, body=content)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


REPORT = json.dumps({"in_force": 1, "refused": 0, "why": "", "roots": "", "expelled": "", "requests": 0, "errors": 0,
                     "p99_us": 0, "version": "test"}).encode()


# --- one fleet, one configuration ---------------------------------------------------------------------------------


def test_life(control, new_node, origin):
    """Join, apply, rollback, restart with control dead, and back in touch with it."""
    edge = new_node("a")
    assert ask(edge).status in (404, 421)
    assert control.apply([site(origin)])["number"] == 1
    wait_until(lambda: ask(edge).status == 200, 10, "the configuration")
    wait_until(lambda: control.node("a")["configuration"] == 1, 10, "the report")
    control.apply([{"host": "other.example.com", "origin": origin.url}])
    wait_until(lambda: ask(edge).status != 200, 10, "the second")
    assert [each["number"] for each in control.ask("history")["configurations"]] == [2, 1]
    assert control.ask("rollback", "1")["number"] == 3
    wait_until(lambda: ask(edge).status == 200, 10, "the first again")
    wait_until(lambda: "configuration 3 (" in edge.log(), 10, "it to be kept")
    assert "+- host: other.example.com" in control.ask("diff", str(control.directory / "sites.yaml"))
    control.kill()
    assert ask(edge).status == 200
    edge.process.send_signal(signal.SIGKILL)
    edge.process.wait()
    edge.start(wait=False)
    edge.wait_ready(2)
    assert ask(edge).status == 200
    control.start()
    edge_log = edge.log
    wait_until(lambda: "answers again" in edge_log() or control.node("a")["state"] == "alive", 30, "touch")
    control.apply([site(origin, name="again")])
    wait_until(lambda: control.node("a")["configuration"] == 4, 20, "the fourth")
    assert control.ask("control", "audit", "verify")["whole"]


def test_bad_plans(control, new_node, origin):
    """Empty, with a machine's keys, a second document, not YAML: nothing is numbered. What only the edge can see, it
    refuses, tells, and goes on with what it had."""
    edge = new_node("a", text=EDGE + "limits: {header_fields: 64}\n")
    control.apply([site(origin)])
    wait_until(lambda: ask(edge).status == 200, 10, "the configuration")
    control.apply("", fails="empty")
    control.apply("sites: []\n", fails="found no sites")
    control.apply("limits: {header_bytes: 8KiB}\n", fails="found no sites")
    control.apply(f"sites: [{{origin: '{origin.url}'}}]\nlisten: ':80'\n", fails="belongs to each machine's own file")
    control.apply(f"---\nsites: [{{origin: '{origin.url}'}}]\n", fails="")
    control.apply("sites: [", fails="")
    assert len(control.ask("history")["configurations"]) == 1
    control.apply(f"sites: [{{host: www.example.com, origin: '{origin.url}'}}]\n"
                  "limits: {header_fields: 32}\n")  # which this machine's own file has too
    control.wait_log("refuses: configuration 2")
    assert control.node("a")["configuration"] == 1 and control.node("a")["refused"] == 2
    assert ask(edge).status == 200
    assert metric(edge, "skerry_fleet_configurations_refused_total") == 1
    assert metric(edge, "skerry_fleet_configuration") == 1


def test_damaged_on_disk(control, new_node, origin):
    """A half-written, older or foreign file in the place of the last good one is not used; control gives it again."""
    edge = new_node("a")
    kept = edge.directory / "node" / "snapshot"
    control.apply([site(origin)])
    wait_until(lambda: kept.exists(), 10, "the first")
    control.apply([site(origin, name="second")])
    wait_until(lambda: control.node("a")["configuration"] == 2, 10, "the second")
    whole = kept.read_bytes()
    edge.process.send_signal(signal.SIGKILL)
    edge.process.wait()
    kept.write_bytes(whole[: len(whole) // 2])
    edge.start(wait=False)
    edge.wait_ready(2)
    assert "is not used" in edge.log()
    wait_until(lambda: ask(edge).status == 200, 15, "it came again")
    wait_until(lambda: kept.read_bytes() == whole, 10, "it is kept again")


def test_not_kept(control, new_node, origin):
    """What cannot be kept on disk is not put in force: a start after it would be with the one before. It is said why,
    and tried again by itself."""
    edge = new_node("a")
    kept = edge.directory / "node" / "snapshot"
    control.apply([site(origin)])
    wait_until(lambda: control.node("a")["configuration"] == 1, 10, "the first")
    first = kept.read_bytes()
    kept.unlink()
    (kept / "in the way").mkdir(parents=True)
    control.apply([{"host": "other.example.com", "origin": origin.url}])
    wait_until(lambda: control.node("a")["refused"] == 2 or "configuration 2 is in force" in edge.log(), 10, "a word")
    assert control.node("a")["configuration"] == 1 and ask(edge).status == 200
    control.wait_log("refuses: configuration 2: it cannot be kept on disk")
    (kept / "in the way").rmdir()
    kept.rmdir()
    kept.write_bytes(first)
    wait_until(lambda: ask(edge).status != 200, 30, "the second")
    assert kept.read_bytes() != first
    wait_until(lambda: control.node("a")["configuration"] == 2 and control.node("a")["refused"] == 0, 10, "the report")
    assert metric(edge, "skerry_fleet_configurations_refused_total") == 1


# --- doors --------------------------------------------------------------------------------------------------------


def test_invitations(control, new_control, tmp_path):
    """Issue 6, attacks: a reused, an expired, a foreign and an invented invitation; a name that is taken."""
    token = control.invite()
    assert control.join(tmp_path / "a", "a", token).returncode == 0
    again = control.join(tmp_path / "b", "b", token)
    assert again.returncode == 1 and "used before" in again.stderr
    assert not (tmp_path / "b" / "node.pem").exists()
    taken = control.join(tmp_path / "b", "a")
    assert taken.returncode == 1 and "expel it first" in taken.stderr
    head, _, secret = control.invite().rpartition(".")
    wrong = control.join(tmp_path / "b", "b", head + "." + ("A" if secret[0] != "A" else "B") + secret[1:])
    assert wrong.returncode == 1 and "secret is wrong" in wrong.stderr
    other = new_control("o").start()
    foreign = control.join(tmp_path / "b", "b", other.invite())
    assert foreign.returncode == 1 and "nothing was sent" in foreign.stderr
    deceived = control.join(tmp_path / "b", "b", control.invite(), other.url)
    assert deceived.returncode == 1 and "nothing was sent" in deceived.stderr
    assert control.has_done("join refused", "used before")
    assert control.has_done("join refused", "secret is wrong")
    assert list(control.nodes()) == ["spiffe://acme/fra/edge/a"]


def test_expired_invitation(new_control, tmp_path):
    control = new_control(invite_life="1s").start()
    token = control.invite()
    time.sleep(2.1)
    assert "expired" in control.join(tmp_path / "a", "a", token).stderr
    assert control.has_done("join refused", "expired")


def test_expelled(control, new_node, origin):
    """A removed node's certificate is of no use, on the connection it has too; the other one goes on. It may come back
    by another invitation."""
    gone, stays = new_node("gone"), new_node("stays")
    control.apply([site(origin)])
    wait_until(lambda: all(node["configuration"] == 1 for node in control.nodes().values()), 10, "both")
    assert curl(control, gone.directory / "node", "POST", "/node/report", REPORT)[0] == 200
    control.ask("control", "expel", "--node", "spiffe://acme/fra/edge/gone")
    status, _ = curl(control, gone.directory / "node", "POST", "/node/report", REPORT)
    assert status == 403
    assert curl(control, gone.directory / "node", "GET", "/node/snapshot?number=1")[0] == 403
    assert curl(control, gone.directory / "node", "POST", "/node/renew", b"")[0] == 403
    control.wait_log("was expelled")
    control.apply([site(origin, name="second")])
    wait_until(lambda: control.node("stays")["configuration"] == 2, 10, "the one that stays")
    assert control.node("gone")["configuration"] == 1 and control.node("gone")["state"] == "expelled"
    expelled = (stays.directory / "node" / "expelled")
    wait_until(lambda: expelled.exists() and "edge/gone" in expelled.read_text(), 10, "the list at the edges")
    assert ask(gone).status == 200  # it serves on with what it had
    gone.stop()
    time.sleep(1.1)  # certificates tell seconds
    assert control.join(gone.directory / "node", "gone").returncode == 0
    assert curl(control, gone.directory / "node", "POST", "/node/report", REPORT)[0] == 200


def test_verbs(control, tmp_path):
    """A node asks only what is its own: people's calls are refused with a node's certificate, nodes' calls without one,
    and a node's certificate signs no other's name."""
    assert control.join(tmp_path / "a", "a").returncode == 0
    for method, path in (("GET", "/nodes"), ("POST", "/expel?node=spiffe://acme/fra/edge/a"), ("POST", "/configuration"),
                         ("POST", "/tokens?name=x&rights=read"), ("POST", "/invitations?role=edge&pop=fra"),
                         ("GET", "/audit"), ("POST", "/roots/rotate")):
        assert curl(control, tmp_path / "a", method, path, b"x" if method == "POST" else b"")[0] == 401, path
    time.sleep(1.1)  # the log tells of one a second
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "roots.pem").write_bytes((tmp_path / "a" / "roots.pem").read_bytes())
    for method, path in (("POST", "/node/report"), ("POST", "/node/renew"), ("GET", "/node/snapshot?number=1")):
        assert curl(control, tmp_path / "nobody", method, path, REPORT)[0] == 401, path
    control.wait_log("refused: somebody without a certificate")
    assert control.ask("history")["configurations"] == []


def test_strangers_certificate(control, new_control, tmp_path):
    """A certificate of another fleet's root of the same name does not get as far as a request."""
    other = new_control("o").start()
    assert other.join(tmp_path / "a", "a").returncode == 0
    assert control.join(tmp_path / "b", "b").returncode == 0
    (tmp_path / "a" / "roots.pem").write_bytes((tmp_path / "b" / "roots.pem").read_bytes())
    with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
        curl(control, tmp_path / "a", "POST", "/node/report", REPORT)
    control.wait_log("refused: certificate not accepted")


def test_old_tls(control):
    """TLS 1.2 and plain HTTP are not spoken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(socket.create_connection(("127.0.0.1", control.port), 10))
    with socket.create_connection(("127.0.0.1", control.port), 10) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            assert b"200" not in plain.recv(1000)
        except ConnectionResetError:
            pass


def test_tokens(control, tmp_path):
    """Rights are obeyed, tokens are taken back at once, nobody gives what they have not, and no secret is kept."""
    reader, maker = control.token("reader", "read"), control.token("maker", "tokens,read")
    control.ask("history", token=reader)
    control.ask("control", "audit", token=reader, fails="does not have that right")
    control.ask("control", "invite", "--role", "edge", "--pop", "fra", token=reader, fails="does not have that right")
    control.ask("control", "token", "--name", "x", "--rights", "apply", token=maker, fails="have not")
    (tmp_path / "none").write_text("ska1.AAAA\n")
    control.ask("history", token=tmp_path / "none", fails="malformed")
    control.ask("control", "revoke", "--id", reader.read_text().split(".")[2])
    control.ask("history", token=reader, fails="not known")
    kept = b"".join(path.read_bytes() for path in (control.directory / "state").rglob("*") if path.is_file())
    assert maker.read_text().split(".")[3].strip().encode() not in kept
    assert control.has_done("refused", "/audit")


def test_unauthenticated(control):
    control.join(control.directory / "a", "a")
    folder = control.directory / "nobody"
    folder.mkdir()
    (folder / "roots.pem").write_bytes((control.directory / "a" / "roots.pem").read_bytes())
    assert curl(control, folder, "POST", "/configuration", b"sites: []\n")[0] == 401
    assert curl(control, folder, "GET", "/nodes")[0] == 401
    assert curl(control, folder, "GET", "/health")[0] == 200
    paths = json.loads(curl(control, folder, "GET", "/openapi.json")[1])["paths"]
    assert "security" in paths["/configuration"]["post"] and "security" not in paths["/health"]["get"]
    control.wait_log("refused: somebody without a token asks for /configuration")


def test_replayed_snapshot(control, new_node, origin):
    """Issue 6, attacks: who can write to Valkey gives an old configuration a new number, and then half of the newest one,
    and one that nobody signed. Edges refuse them all, tell it, and lose nothing; the next true one is taken."""
    edge = new_node("a")
    table = b"skerry:acme:configurations"
    control.apply([site(origin)])
    control.apply([site(origin, name="second")])
    wait_until(lambda: control.node("a")["configuration"] == 2, 10, "the second")
    first, second = (bulk(valkey(control, b"HGET", table, number)) for number in (b"1", b"2"))
    forged = second.replace(b"second", b"seconD")
    for number, content in ((b"3", first), (b"4", second[: len(second) // 2]), (b"5", forged)):
        assert content and valkey(control, b"HSET", table, number, content) == b":1\r\n"
        valkey(control, b"HSET", b"skerry:acme:state", b"rollout", number + b" 2 all 1 - -")
        control.wait_log(f"refuses: configuration {number.decode()}")
        assert control.node("a")["configuration"] == 2 and ask(edge).status == 200
    assert metric(edge, "skerry_fleet_configurations_refused_total") == 3
    control.apply([site(origin, name="third")])
    wait_until(lambda: control.node("a")["configuration"] == 6, 10, "a true one")
    assert ask(edge).status == 200


@pytest.mark.parametrize("restarted", [False, True], ids=["goes on", "restarted"])
def test_forgotten_configuration(control, new_node, origin, restarted):
    """A failover has lost the newest configuration, which edges have: its number is not given to another text."""
    edge = new_node("a")
    control.apply([site(origin)])
    control.apply([{"host": "lost.example.com", "origin": origin.url}])
    wait_until(lambda: control.node("a")["configuration"] == 2, 10, "the second")
    assert valkey(control, b"HDEL", b"skerry:acme:configurations", b"2") == b":1\r\n"
    valkey(control, b"HSET", b"skerry:acme:state", b"head", b"1", b"rollout", b"1 0 all 1 - -")
    if restarted:
        control.stop()
        control.start()
    assert control.apply([site(origin, name="other")])["number"] == 3
    wait_until(lambda: ask(edge).status == 200, 10, "the third")
    assert [each["number"] for each in control.ask("history")["configurations"]] == [3, 1]


def bulk(answer):
    head, _, rest = answer.partition(b"\r\n")
    return rest[: int(head[1:])]


# --- the record ---------------------------------------------------------------------------------------------------


def valkey(control, *words):
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(control.directory / "state" / "valkey" / "valkey.sock"))
    client.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
    answer = client.recv(65536)
    client.close()
    return answer


@pytest.mark.parametrize("edit", ["changed", "taken out", "cut off"])
def test_record_shows_edits(control, edit):
    for pop in ("one", "two", "three"):
        control.invite(pop)
    assert control.ask("control", "audit", "verify") == {"whole": True, "lines": 3,
                                                         "text": "every line follows from the one before"}
    if edit == "changed":
        line = json.dumps({**control.audit()[1], "who": "nobody"}).encode()
        assert valkey(control, b"HSET", b"skerry:acme:audit", b"2", line) == b":0\r\n"
    elif edit == "taken out":
        valkey(control, b"HDEL", b"skerry:acme:audit", b"2")
    else:
        valkey(control, b"HDEL", b"skerry:acme:audit", b"3")
    done = run("control", "audit", "verify", "--control", control.admin)
    assert done.returncode == 1 and '"whole":false' in done.stderr


# --- Valkey, certificates, roots ----------------------------------------------------------------------------------


def test_valkey_dies(control):
    control.invite()
    with open(control.directory / "state" / "valkey" / "valkey.log") as log:
        pid = int(log.read().split(":", 1)[0])
    os.kill(pid, signal.SIGKILL)
    control.wait_log("Valkey has ended")
    wait_until(lambda: run("control", "nodes", "--control", control.admin).returncode == 0, 15, "it is there again")
    assert len(control.audit()) == 1  # what was answered is on disk


def test_valkey_left_behind(control):
    """A control that is killed leaves its Valkey behind: the next one ends it before it starts its own."""
    control.invite()
    control.process.send_signal(signal.SIGKILL)
    control.process.wait()
    control.start()
    assert "left behind" in control.log() and len(control.audit()) == 1


@pytest.mark.begins_first
def test_renewal(new_control, new_edge, origin):
    control = new_control(certificate_life="6s").start()
    edge = new_edge.text(EDGE, start=False)
    edge.write(EDGE.replace("LISTEN", edge.listen).replace("ADMIN", edge.admin_path)
               .replace("DIR", str(edge.directory)))
    assert control.join(edge.directory / "node", "a").returncode == 0
    node = edge.directory / "node" / "node.pem"
    first = node.read_bytes()
    edge.start()
    wait_until(lambda: node.read_bytes() != first, 20, "another certificate")
    second = node.read_bytes()
    wait_until(lambda: node.read_bytes() != second, 20, "and another")
    control.apply([site(origin)])
    wait_until(lambda: ask(edge).status == 200, 10, "it is still a node")
    edge.stop()


@pytest.mark.begins_first
def test_root_rotation_under_traffic(control, new_node, origin):
    """The root changes by overlap while clients are served; afterwards the old root is trusted nowhere, and an edge
    restarts from disk with control dead."""
    edges = [new_node("a"), new_node("b", "ams")]
    control.apply([site(origin)])
    wait_until(lambda: all(ask(edge).status == 200 for edge in edges), 10, "the configuration")
    before = (edges[0].directory / "node" / "roots.pem").read_text()
    control.ask("control", "rotate-root")
    failed = []

    def over():
        failed.extend(edge for edge in edges if ask(edge).status != 200)
        return "the old root is trusted no more" in control.log()
    wait_until(over, 60, "the rotation")
    assert not failed
    roots = control.ask("control", "roots")
    assert roots != before and roots.count("BEGIN") == 1
    for edge in edges:
        wait_until(lambda: (edge.directory / "node" / "roots.pem").read_text() == roots, 10, "the new root alone")
    wait_until(lambda: all(node["configuration"] == 2 for node in control.nodes().values()), 10, "signed anew")
    control.kill()
    edges[0].process.send_signal(signal.SIGKILL)
    edges[0].process.wait()
    edges[0].start(wait=False)
    edges[0].wait_ready(2)
    assert ask(edges[0]).status == 200
    control.start()


# --- rollouts -----------------------------------------------------------------------------------------------------


@pytest.mark.begins_first
def test_staged(control, new_node, new_origin):
    """Canary, PoP, all: when it is good; and back by itself when the canary's clients get errors."""
    good, bad = serving(new_origin()), new_origin()
    edges = {name: new_node(name, pop) for name, pop in (("a", "ams"), ("b", "ams"), ("f", "fra"))}
    control.apply([site(good)])
    wait_until(lambda: all(node["configuration"] == 1 for node in control.nodes().values()), 15, "the first")
    control.apply([site(good, name="second")], "--staged")
    assert control.ask("control", "rollout")["stage"] == "canary"
    wait_until(lambda: control.ask("control", "rollout")["stage"] == "pop", 30, "the PoP")
    assert control.node("f")["configuration"] == 1
    wait_until(lambda: control.ask("control", "rollout")["stage"] == "all", 30, "all")
    wait_until(lambda: all(node["configuration"] == 2 for node in control.nodes().values()), 15, "the second")
    bad.stop()
    control.apply([site(bad)], "--staged")

    def stopped():
        for _ in range(20):
            ask(edges["a"])
        return "rollout stopped" in control.log()
    wait_until(stopped, 40, "the stop")
    wait_until(lambda: all(node["configuration"] == 4 for node in control.nodes().values()), 15, "back")
    assert ask(edges["a"]).status == 200 and ask(edges["f"]).status == 200
    assert not any("configuration 3 (" in edges[name].log() for name in ("b", "f"))
    assert control.has_done("rollout stopped", "configuration 3: spiffe://acme/ams/edge/a fares worse with it")
