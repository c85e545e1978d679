"""What control gives to edges alone: certificates of sites, sealed in the store and in no configuration, and the keys of TLS
tickets, so that a client resumes at another edge."""

import json
import re
import socket
import ssl
import time

import pytest

from harness.client import Conn
from harness.control import SERVER, Control
from harness.earlydata import exchange, get_ticket
from harness.edge import run
from harness.origin import reply
from harness.scale import seconds, wait_until
from test_control import curl

pytestmark = [pytest.mark.skipif(SERVER is None, reason="no valkey-server"), pytest.mark.h1_only]

EDGE = """
listeners: [{address: LISTEN}]
admin: unix:ADMIN
memory: 16MiB
threads: 1
fleet: {state: node}
"""
HOST = "www.example.com"
SITE = {"host": HOST, "name": "shop", "certificates": [{"fleet": "shop"}]}


@pytest.fixture
def new_control(tmp_path):
    controls = []

    def make(**more):
        controls.append(Control(tmp_path / f"c{len(controls)}", **more))
        return controls[-1].start()
    yield make
    for control in controls:
        print(control.log()[-6000:])
        control.stop()


@pytest.fixture
def control(new_control):
    return new_control()


@pytest.fixture
def new_node(new_edge):
    def make(control, name, text=EDGE):
        edge = new_edge.text(text, start=False)
        edge.configuration = text.replace("LISTEN", edge.listen).replace("ADMIN", edge.admin_path)
        edge.arguments = ["--join", control.url, control.invite(), "--name", name]
        return edge.start()
    return make


@pytest.fixture
def made(authority):
    """made(names, label): a certificate and its key; each call is another pair."""
    count = [0]

    def make(*names, **more):
        count[0] += 1
        return authority.files(names=[f"DNS:{name}" for name in names], label=f"given{count[0]}", **more)
    return make


def put(control, name, pair, **more):
    return control.ask("cert", "put", name, "--cert", str(pair[0]), "--key", str(pair[1]), **more)


def site(origin, **more):
    origin.default = reply(b"body", fields=[("Cache-Control", "max-age=0")])
    return {**SITE, "origin": origin.url, **more}


def connect(edge, authority, **more):
    return Conn(edge.address, tls=authority.client(), server_name="www.example.com", **more)


def shown(edge, authority):
    """The serial number of the certificate that the edge shows; None: no handshake."""
    try:
        with connect(edge, authority) as conn:
            return conn.socket.getpeercert()["serialNumber"]
    except (ssl.SSLError, OSError):
        return None


def serial_of(pair):
    return ssl._ssl._test_decode_cert(str(pair[0]))["serialNumber"]


# --- certificates ---------------------------------------------------------------------------------------------------


def test_life(control, new_node, origin, authority, made):
    """Given, used by a site, replaced without a connection lost, kept for a start without control, taken away; and no key
    lies anywhere but sealed, and at the edges for their user alone."""
    edge = new_node(control, "a")
    first, second = made("www.example.com"), made("www.example.com", "example.com")
    put(control, "shop", first)
    control.apply([site(origin)])
    wait_until(lambda: shown(edge, authority) == serial_of(first), 15, "the certificate")
    kept = edge.directory / "node" / "certificates" / "shop.pem"
    assert kept.stat().st_mode & 0o777 == 0o600 and first[1].read_text() in kept.read_text()
    with connect(edge, authority) as conn:
        assert conn.request("GET", "/", host=HOST).status == 200
        put(control, "shop", second)
        wait_until(lambda: shown(edge, authority) == serial_of(second), 15, "the second one")
        assert conn.request("GET", "/", host=HOST).status == 200  # on the connection of before
    assert "shop " in control.ask("cert", "list") and "example.com" in control.ask("cert", "list")
    control.ask("cert", "remove", "shop", fails="the configuration uses it, for the site shop")
    control.kill()
    edge.process.kill()
    edge.process.wait()
    edge.start(wait=False)
    edge.wait_ready(2)
    assert shown(edge, authority) == serial_of(second)
    everything = b"".join(path.read_bytes() for path in (control.directory / "state").rglob("*") if path.is_file())
    assert b"SKS1" in everything
    for pair in (first, second):
        assert pair[1].read_bytes().splitlines()[1] not in everything
    control.start()
    control.apply([site(origin, certificates=[])])
    control.ask("cert", "remove", "shop")
    wait_until(lambda: not kept.exists(), 20, "its file to go")
    assert control.has_done("certificate", "shop: for www.example.com, example.com, until ")
    assert control.has_done("certificate taken away", "shop")
    assert second[1].read_text().splitlines()[1] not in json.dumps(control.ask("history"))


def test_store_that_has_lost_it(control, new_node, origin, authority, made):
    """A failover has lost the certificate, or brings an older one back: edges go on with what they have. Who can write to
    the store puts nothing of his own there."""
    edge = new_node(control, "a")
    first, second = made("www.example.com"), made("www.example.com")
    put(control, "shop", first)
    old = stored(control, "shop")
    put(control, "shop", second)
    put(control, "other", made("other.example.com"))
    control.apply([site(origin)])
    wait_until(lambda: shown(edge, authority) == serial_of(second), 15, "the certificate")
    for value, what in ((old, "older"), (stored(control, "other"), "another's"), (b"SKS1 forged", "forged"), (None, "none")):
        write(control, "shop", value)
        digest = list_of(edge)
        put(control, "other", made("other.example.com"))  # the list is another now, and was taken
        wait_until(lambda: list_of(edge) != digest, 20, f"the list with the {what} one")
        assert shown(edge, authority) == serial_of(second), what
    edge.reload()
    assert shown(edge, authority) == serial_of(second)
    control.wait_log("the store's certificate shop cannot be used")


def list_of(edge):
    return edge.log().count("certificate other has come")


def valkey(control, *words):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(control.directory / "state" / "valkey" / "valkey.sock"))
        client.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        answer = client.recv(1 << 20)
        while answer[:1] == b"$" and len(answer) < int(answer[1:answer.index(b"\r")]):
            answer += client.recv(1 << 20)
        return answer


TABLE = b"skerry:acme:certificates"


def stored(control, name):
    head, _, rest = valkey(control, b"HGET", TABLE, name.encode()).partition(b"\r\n")
    return rest[: int(head[1:])]


def write(control, name, value):
    if value is None:
        valkey(control, b"HDEL", TABLE, name.encode())
    else:
        valkey(control, b"HSET", TABLE, name.encode(), value)


def test_refused(control, made, authority, tmp_path, origin):
    """What is no good certificate does not get as far as an edge; each refusal says why."""
    good, other = made("www.example.com"), made("www.example.com")
    garbage = tmp_path / "garbage"
    garbage.write_text("nothing\n")
    bare = (authority.certificate, authority.key)  # for nobody
    put(control, "shop", (good[0], other[1]), fails="the key does not belong to this certificate")
    put(control, "shop", (garbage, good[1]), fails="holds no certificate in PEM")
    put(control, "shop", (good[0], garbage), fails="holds no private key")
    put(control, "shop", bare, fails="is for no host")
    put(control, "shop", made("www.example.com", dates=("20200101000000Z", "20200201000000Z")), fails="has expired: Sat, 01 Feb 2020")
    put(control, "shop", made("www.example.com", dates=("20990101000000Z", "20990201000000Z")), fails="is not valid before")
    put(control, "../shop", good, fails="name: expected")
    put(control, "shop", (tmp_path / "none", good[1]), fails="none")
    control.ask("cert", "remove", "shop", fails="there is no such certificate")
    control.apply([site(origin)], fails="sites[0].certificates[0].fleet: found shop, which there is not")
    put(control, "shop", made("www.example.com", "example.com"))
    control.apply([site(origin, host=None, hosts=["www.example.com", "example.com"])])
    put(control, "shop", made("elsewhere.example"), fails="does not cover www.example.com of the site shop, as the present one does")
    put(control, "shop", good, fails="does not cover example.com of the site shop")
    put(control, "shop", made("*.example.com", "example.com"))
    assert [each["names"] for each in control.ask("cert", "list", "--json")["certificates"]] == ["*.example.com, example.com"]
    sites = tmp_path / "alone.yaml"
    sites.write_text("sites: [{origin: 'http://127.0.0.1:1', certificates: [{fleet: shop}]}]\n")
    assert "but no fleet.state" in run("check", sites).stderr


def test_scopes(control, made, origin):
    """The right is one of its own; a token of a site gives certificates of that site's hosts, and touches no other's."""
    control.apply([site(origin, certificates=[]), {"host": "other.example.com", "name": "other", "origin": origin.url}])
    reader = control.token("reader", "read")
    all_of_it = control.token("all", "certificates")
    shop = control.directory / "shop.token"
    shop.write_text(control.ask("control", "token", "--name", "shop", "--rights", "certificates", "--site", "shop")["token"] + "\n")
    good, others = made("www.example.com"), made("other.example.com")
    put(control, "shop", good, token=reader, fails="does not have that right")
    control.ask("cert", "list", token=reader, fails="does not have that right")
    put(control, "shop", others, token=shop, fails="other.example.com, which is no host of the token's site shop")
    put(control, "shop", made("*.example.com"), token=shop, fails="*.example.com, which is no host of the token's site")
    put(control, "shop", good, token=shop)
    put(control, "other", others, token=all_of_it)
    put(control, "other", good, token=shop, fails="is not of the token's site")
    control.ask("cert", "remove", "other", token=shop, fails="is not of the token's site")
    assert [each["name"] for each in control.ask("cert", "list", "--json", token=shop)["certificates"]] == ["shop"]
    assert {each["name"] for each in control.ask("cert", "list", "--json", token=all_of_it)["certificates"]} == {"shop", "other"}
    control.apply([site(origin, certificates=[]), {"host": "other.example.com", "name": "other", "origin": origin.url,
                                                   "certificates": [{"fleet": "shop"}]}])
    put(control, "shop", good, token=shop, fails="is used by the site other")
    assert control.has_done("refused", "/certificates")


def test_doors(control, made, tmp_path):
    """Only edges of the fleet get keys: no router, no stranger, nobody with a token, no edge that was expelled."""
    put(control, "shop", made("www.example.com"))
    assert control.join(tmp_path / "a", "a").returncode == 0
    assert control.join(tmp_path / "r", "r", control.invite(role="route")).returncode == 0
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "roots.pem").write_bytes((tmp_path / "a" / "roots.pem").read_bytes())
    paths = ("/node/secrets", "/node/certificate?name=shop")
    assert b"PRIVATE KEY" in curl(control, tmp_path / "a", "GET", paths[1])[1]
    assert curl(control, tmp_path / "a", "GET", "/node/certificate?name=none")[0] == 404
    for path in paths:
        assert curl(control, tmp_path / "r", "GET", path)[0] == 403
        assert curl(control, tmp_path / "nobody", "GET", path)[0] == 401
    wait_until(lambda: b"\nticket " in curl(control, tmp_path / "a", "GET", paths[0])[1], 15, "a key of tickets")
    before = curl(control, tmp_path / "a", "GET", paths[0])[1]
    assert control.join(tmp_path / "b", "b").returncode == 0
    control.ask("control", "expel", "--node", "spiffe://acme/fra/edge/a")
    for path in paths:
        assert curl(control, tmp_path / "a", "GET", path)[0] == 403
    after = curl(control, tmp_path / "b", "GET", paths[0])[1]  # what it knew of tickets is of no use any more
    tickets = [{line.split()[4] for line in text.splitlines() if line.startswith(b"ticket")} for text in (before, after)]
    assert tickets[0] and tickets[1] and not tickets[0] & tickets[1]


def test_other_root(control, new_node, origin, authority, made):
    """The root changes: what was sealed under the old one opens under the new one, and edges get what comes after."""
    edge = new_node(control, "a")
    first, second = made("www.example.com"), made("www.example.com")
    put(control, "shop", first)
    control.apply([site(origin)])
    sealed = stored(control, "shop")
    control.ask("control", "rotate-root")
    control.wait_log("the old root is trusted no more", 60)
    assert stored(control, "shop")[4:12] != sealed[4:12]
    control.stop()
    control.start()
    assert "www.example.com" in control.ask("cert", "list")
    put(control, "shop", second)
    wait_until(lambda: shown(edge, authority) == serial_of(second), 20, "the one after it")


HAS_KEYS = "TLS tickets are made under the fleet's key"


# --- tickets --------------------------------------------------------------------------------------------------------


def resumes(edge, context, session):
    with socket.create_connection(edge.address, timeout=seconds(10)) as plain, \
            context.wrap_socket(plain, server_hostname="www.example.com", session=session) as tls:
        return tls.session_reused


def session_of(edge, context):
    with Conn(edge.address, tls=context, server_name="www.example.com") as conn:
        assert conn.request("GET", "/", host=HOST).status == 200  # the ticket comes behind the handshake
        return conn.socket.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_session_of_another_edge(control, new_node, origin, authority, made, version):
    """A session of edge A resumes at edge B, also with control gone; with one that was made before B had ever started."""
    put(control, "shop", made("www.example.com"))
    control.apply([site(origin)])
    a = new_node(control, "a")
    wait_until(lambda: shown(a, authority), 15, "the certificate")
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    wait_until(lambda: HAS_KEYS in a.log(), 15, "keys")
    session = session_of(a, context)
    b = new_node(control, "b")
    wait_until(lambda: shown(b, authority), 15, "the certificate at B")
    wait_until(lambda: resumes(b, context, session), 15, "B to have the keys")
    control.kill()
    assert resumes(b, context, session) and resumes(a, context, session_of(b, context))
    control.start()


def test_keys_change(new_control, new_node, origin, authority, made):
    """A new key every ticket_life; the two before it are taken. Without control an edge goes on with the last, and when its
    time is over it makes its own."""
    control = new_control(ticket_life="2s")
    put(control, "shop", made("www.example.com"))
    control.apply([site(origin)])
    a, b = new_node(control, "a"), new_node(control, "b")
    context = authority.client()
    for edge in (a, b):
        wait_until(lambda: shown(edge, authority), 15, "the certificate")
    wait_until(lambda: resumes(b, context, session_of(a, context)), 20, "the same keys at both")

    def generation():
        return max(map(int, re.findall(rb"\$\d+\r\n(\d+)\r\n", valkey(control, b"HKEYS", b"skerry:acme:tickets"))))

    def outlives_a_change():
        """A session, when B has taken it beside the key after its own; None: two more have come before that was seen."""
        before, session = generation(), session_of(a, context)
        if generation() != before:
            return None
        wait_until(lambda: generation() > before, 20, "another key")
        while generation() == before + 1:
            if resumes(b, context, session):
                return session
        return None
    session = wait_until(outlives_a_change, 30, "a session to outlive a change of keys")
    wait_until(lambda: not resumes(b, context, session), 30, "its key to be forgotten")
    wait_until(lambda: resumes(b, context, session_of(a, context)), 20, "the newest at both")
    control.kill()
    wait_until(lambda: not resumes(b, context, session_of(a, context)), 40, "their time to be over")
    assert resumes(a, context, session_of(a, context))  # under its own key
    control.start()


def test_rfc8446_8_early_data_stays_at_its_edge(control, new_node, origin, authority, made, tmp_path):
    """Where early data is allowed, tickets are one edge's own: another takes no 0-RTT with them, nor with those that the
    fleet shares."""
    text = EDGE.replace("{address: LISTEN}", "{address: LISTEN, early_data: true}")
    put(control, "shop", made("www.example.com"))
    control.apply([site(origin, host="localhost")])
    a, b = new_node(control, "a", text), new_node(control, "b", text)
    plain = new_node(control, "c")
    for edge in (a, b, plain):
        wait_until(lambda: edge_answers(edge, authority) and HAS_KEYS in edge.log(), 15, "certificate and keys")
    request = b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    own, shared = get_ticket(a, tmp_path / "own"), get_ticket(plain, tmp_path / "shared")
    got, _ = exchange(a, own, request, enough=lambda got: b"body" in got)
    assert b"body" in got and a.metrics()["skerry_early_data_requests_total"] == 1
    for ticket in (own, shared):
        exchange(b, ticket, request, whole=False)
    time.sleep(seconds(0.2))
    assert b.metrics()["skerry_early_data_requests_total"] == 0


def edge_answers(edge, authority):
    context = authority.client()
    context.check_hostname = False
    try:
        with Conn(edge.address, tls=context) as conn:
            return conn.request("GET", "/", host="localhost").status == 200
    except (ssl.SSLError, OSError):
        return False
