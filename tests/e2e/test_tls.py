"""TLS listeners: versions, key exchange, certificates by name, tickets, clients with certificates, changed files."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from harness.client import Conn
from harness.edge import run
from harness.message import build
from harness.origin import reply
from harness.scale import limit, wait_until
from test_upgrade_tunnel import UPGRADE, echo


@pytest.fixture
def pair(authority, tmp_path):
    cert, key = authority.files()
    return shutil.copy(cert, tmp_path / "cert.pem"), shutil.copy(key, tmp_path / "key.pem")


@pytest.fixture
def new_tls(new_edge, pair):
    """An edge whose one listener speaks TLS: new_tls(origin, pq="require", ...)."""
    def make(*origins, certificates=(pair,), listener=None, **more):
        edge = new_edge(*origins, start=False, **more)
        named = [{"cert": str(cert), "key": str(key)} for cert, key in certificates]
        edge.configuration.update(listen=None, certificates=named,
                                  listeners=[{"address": edge.listen, **(listener or {})}])
        return edge.start()
    return make


@pytest.fixture
def edge(new_tls, origin):
    return new_tls(origin)


@pytest.fixture
def client(authority):
    return authority.client()


def s_client(edge, *arguments, data=b""):
    """What the openssl command says of a handshake."""
    done = subprocess.run(["openssl", "s_client", "-connect", edge.listen, *map(str, arguments)], input=data,
                          capture_output=True, timeout=limit(20))
    return (done.stdout + done.stderr).decode(errors="replace")


def group(text):
    found = re.search(r"(?:Negotiated TLS1.3 group|Server Temp Key|Peer Temp Key): ([A-Za-z0-9-]+)", text)
    return found and found[1].lower()


def handshake(edge, context, name="localhost"):
    with socket.create_connection(edge.address, timeout=limit(10)) as plain:
        with context.wrap_socket(plain, server_hostname=name) as tls:
            return tls.version(), tls.getpeercert()


# --- requests


def test_a_request_and_a_hit(edge, origin, client):
    origin.on("/a", reply(body=b"hello", fields=[("Cache-Control", "max-age=60")]))
    with edge.connect(tls=client) as conn:
        assert conn.get("/a").body == b"hello"
        assert "hit" in conn.get("/a")["cache-status"]
    assert origin.count("/a") == 1
    first, second = edge.access_log(2)
    assert (first["tls_version"], second["tls_version"]) == ("TLSv1.3", "TLSv1.3")
    assert first["tls_cipher"].startswith("TLS_") and first["tls_group"]
    assert second["hit"] and "tls_resumed" not in second


def test_the_origin_learns_of_https(edge, origin, client):
    with edge.connect(tls=client) as conn:
        conn.get("/")
    assert origin.last("/").fields.get("x-forwarded-proto") == "https"


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 3_000_001])
def test_bodies_of_every_size(edge, origin, client, size):
    content = os.urandom(size)
    origin.on("/b", reply(body=content, fields=[("Cache-Control", "max-age=60")]))
    with edge.connect(tls=client) as conn:
        assert conn.get("/b").body == content
        assert conn.get("/b").body == content


def test_a_slow_reader_gets_all_of_it(edge, origin, client):
    content = os.urandom(8_000_000)
    origin.on("/slow", reply(body=content, fields=[("Cache-Control", "max-age=60")]))
    with edge.connect(tls=client, receive_buffer=16384) as conn:
        conn.send(build(target="/slow"))
        time.sleep(0.5)
        assert conn.response().body == content
        assert conn.get("/slow").body == content


def test_an_upload_over_tls(edge, origin, client):
    content = os.urandom(1_500_000)
    seen = []

    def take(x):
        seen.append(x.read_body())
        x.reply(b"ok")
    origin.on("/up", take)
    with edge.connect(tls=client) as conn:
        assert conn.request("POST", "/up", body=content).status == 200
        assert conn.get("/").status
    assert seen == [content]


def test_pipelined_requests(edge, origin, client):
    origin.on("/p", reply(body=b"p", fields=[("Cache-Control", "max-age=60")]))
    with edge.connect(tls=client) as conn:
        conn.send(build(target="/p") * 30)
        assert [conn.response().body for _ in range(30)] == [b"p"] * 30


def test_a_tunnel_over_tls(edge, origin, client):
    origin.on("/ws", echo)
    with edge.connect(tls=client) as conn:
        assert conn.get("/ws", UPGRADE).status == 101
        for size in (1, 70_000):
            data = os.urandom(size)
            conn.send(data)
            assert conn.read(size) == data


def test_an_answer_that_is_cut_off_shows_no_end(edge, origin, client):
    """RFC 8446 6.1: a close without close_notify is a truncation."""
    def cut(x):
        x.head(200, "OK", [("Connection", "close")])
        x.send(b"half")
        x.reset()
    origin.on("/cut", cut)
    with socket.create_connection(edge.address, timeout=limit(10)) as plain:
        with client.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as tls:
            tls.sendall(b"GET /cut HTTP/1.0\r\nHost: localhost\r\n\r\n")
            with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
                while tls.recv(4096):
                    pass


def test_close_notify_ends_what_ended_well(edge, origin, client):
    with socket.create_connection(edge.address, timeout=limit(10)) as plain:
        with client.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while tls.recv(4096):
                pass


# --- handshakes


def test_tls_1_2_is_spoken_where_it_may(edge, client):
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(edge, client)[0] == "TLSv1.2"


def test_nothing_older_than_1_2(edge):
    assert "alert" in s_client(edge, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


def test_min_version_1_3(new_tls, origin, client):
    edge = new_tls(origin, listener={"min_version": "1.3"})
    assert handshake(edge, client)[0] == "TLSv1.3"
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        handshake(edge, client)


HYBRID, BOTH, LATE, CLASSICAL = "X25519MLKEM768", "X25519MLKEM768:X25519", "X25519:X25519MLKEM768", "X25519"


@pytest.mark.parametrize("pq, offered, agreed", [
    ("off", BOTH, "x25519"), ("off", CLASSICAL, "x25519"), ("off", HYBRID, None),
    ("offer", BOTH, "x25519mlkem768"), ("offer", LATE, "x25519"), ("offer", CLASSICAL, "x25519"),
    ("offer", HYBRID, "x25519mlkem768"),
    ("prefer", BOTH, "x25519mlkem768"), ("prefer", LATE, "x25519mlkem768"), ("prefer", CLASSICAL, "x25519"),
    ("prefer", "SecP256r1MLKEM768", "secp256r1mlkem768"), ("prefer", "SecP384r1MLKEM1024", "secp384r1mlkem1024"),
    ("prefer", "P-256", "ecdh"), ("prefer", "P-384", "ecdh"), ("prefer", "P-521", None),
    ("require", BOTH, "x25519mlkem768"), ("require", LATE, "x25519mlkem768"), ("require", CLASSICAL, None),
])
def test_key_exchange_by_policy(new_tls, origin, pq, offered, agreed):
    edge = new_tls(origin, listener={"pq": pq})
    said = s_client(edge, "-groups", offered)
    if agreed is None:
        assert "handshake failure" in said, said
    else:
        assert group(said) in (agreed, "ecdh" if agreed == "x25519" else agreed), said


def test_require_refuses_1_2(new_tls, origin, client):
    edge = new_tls(origin, listener={"pq": "require"})
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(edge, client)


def test_metrics_tell_the_share_of_post_quantum(edge, client):
    s_client(edge, "-groups", "X25519MLKEM768")
    s_client(edge, "-groups", "X25519")
    s_client(edge, "-groups", "X448")
    wait_until(lambda: edge.metrics()["skerry_tls_handshakes_failed_total"] == 1)
    metrics = edge.metrics()
    assert metrics['skerry_tls_handshakes_total{key_exchange="post_quantum"}'] == 1
    assert metrics['skerry_tls_handshakes_total{key_exchange="classical"}'] == 1


def test_alpn(edge, client):
    client.set_alpn_protocols(["http/1.1"])
    with edge.connect(tls=client) as conn:
        assert conn.socket.selected_alpn_protocol() == "http/1.1"
    client.set_alpn_protocols(["imap"])
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        edge.connect(tls=client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_resumes_on_any_thread(edge, origin, client, version):
    client.maximum_version = version
    with edge.connect(tls=client) as conn:
        conn.get("/")
        session = conn.socket.session
    for _ in range(8):
        with socket.create_connection(edge.address, timeout=limit(10)) as plain:
            with client.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
                assert tls.session_reused
    wait_until(lambda: edge.metrics()["skerry_tls_handshakes_resumed_total"] == 8)


def test_early_data_is_not_taken(edge, tmp_path):
    ticket, early = tmp_path / "ticket", tmp_path / "early"
    early.write_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    s_client(edge, "-sess_out", ticket, data=b"Q\n")
    if ticket.exists():
        assert "Early data was accepted" not in s_client(edge, "-sess_in", ticket, "-early_data", early)


def test_plain_http_to_a_tls_port_is_closed(edge):
    with edge.connect() as conn:
        conn.send(build())
        conn.socket.settimeout(limit(5))
        try:
            while conn.socket.recv(4096):
                pass
        except ConnectionResetError:
            pass
    wait_until(lambda: edge.metrics()["skerry_tls_handshakes_failed_total"] == 1)


def test_a_handshake_may_not_take_for_ever(new_tls, origin):
    edge = new_tls(origin, timeouts={"header": "500ms"})
    with edge.connect() as conn:
        conn.send(b"\x16\x03\x01\x02\x00\x01")
        conn.read_to_end()
    wait_until(lambda: edge.metrics()["skerry_client_timeouts_total"] == 1)


# --- certificates


def names_of(edge, context, name):
    return [value for _, value in handshake(edge, context, name)[1]["subjectAltName"]]


def test_the_certificate_follows_the_name(new_tls, origin, authority, client):
    files = [authority.files([f"DNS:{name}" for name in names], label=f"sni{i}") for i, names in enumerate(
        (["one.test", "also.one.test"], ["*.wild.test", "wild.test"], ["deep.wild.test"]))]
    edge = new_tls(origin, certificates=files)
    assert names_of(edge, client, "one.test")[0] == "one.test"
    assert names_of(edge, client, "ALSO.one.test")[0] == "one.test"
    assert names_of(edge, client, "a.wild.test")[0] == "*.wild.test"
    assert names_of(edge, client, "wild.test")[0] == "*.wild.test"
    assert names_of(edge, client, "deep.wild.test")[0] == "deep.wild.test"
    client.check_hostname = False
    for name in ("other.test", "a.b.wild.test", None):  # RFC 6125 6.4.3: '*' is one label
        assert names_of(edge, client, name)[0] == "one.test"


def test_a_site_brings_its_own(new_edge, origin, authority, client):
    cert, key = authority.files(["DNS:site.test"], label="site")
    edge = new_edge(start=False, sites=[
        {"name": "s", "hosts": ["site.test"], "origins": [origin],
         "certificates": [{"cert": str(cert), "key": str(key)}]}])
    edge.configuration["listen"] = f"https://{edge.listen}"
    edge.start()
    assert names_of(edge, client, "site.test") == ["site.test"]
    assert f"listening on https://{edge.listen}" in edge.log()


def test_ecdsa_and_rsa_side_by_side(new_tls, origin, authority, pair):
    edge = new_tls(origin, certificates=[pair, authority.files(label="rsa", rsa=True)])
    assert "ecdsa" in s_client(edge, "-servername", "localhost").lower()
    assert "rsa_pss" in s_client(edge, "-servername", "localhost", "-sigalgs", "rsa_pss_rsae_sha256").lower()


def test_clients_need_a_certificate_where_asked(new_tls, origin, authority, client):
    edge = new_tls(origin, listener={"client_ca": str(authority.certificate)})
    cert, key = authority.files(["DNS:someone"], label="someone")
    with edge.connect(tls=authority.client(cert, key)) as conn:
        assert conn.get("/").status
        session = conn.socket.session
    assert session
    with pytest.raises((ssl.SSLError, ConnectionResetError, AssertionError)):  # TLS 1.3 tells it with the first read
        with edge.connect(tls=client) as conn:
            conn.get("/")
    assert origin.count("/") == 1


def test_changed_files_are_read_at_a_reload(edge, authority, client, pair):
    serial = handshake(edge, client)[1]["serialNumber"]
    cert, key = authority.files(label="renewed")
    with edge.connect(tls=client) as old:
        shutil.copy(cert, pair[0])
        shutil.copy(key, pair[1])
        edge.reload()
        assert handshake(edge, client)[1]["serialNumber"] != serial
        assert old.get("/").status  # connections stay


def test_bad_files_leave_the_old_ones_in_force(edge, client, pair):
    serial = handshake(edge, client)[1]["serialNumber"]
    with open(pair[0], "w") as file:
        file.write("nonsense\n")
    answer = edge.admin("/config/reload", "POST")
    assert answer.status >= 400
    assert b"holds no certificate" in answer.body
    assert handshake(edge, client)[1]["serialNumber"] == serial


def test_reloads_fail_no_handshake(edge, client):
    for _ in range(20):
        with edge.connect(tls=client) as conn:
            edge.reload()
            assert conn.get("/").status
        handshake(edge, client)


def test_a_listener_may_become_tls_at_a_reload(new_edge, origin, pair, client):
    edge = new_edge(origin)
    assert edge.fetch("/").status
    configuration = dict(edge.configuration)
    configuration["listen"] = f"https://{edge.listen}"
    configuration["certificates"] = [{"cert": str(pair[0]), "key": str(pair[1])}]
    edge.reload(configuration)  # it is answered when every worker has it
    for _ in range(8):
        assert handshake(edge, client)[0] == "TLSv1.3"


# --- what is told


@pytest.mark.parametrize("change, said", [
    (lambda cert, key: shutil.copy(cert, key), "no private key"),
    (lambda cert, key: shutil.copy(key, cert), "no certificate"),
    (lambda cert, key: subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
                                      check=True, capture_output=True), "does not belong"),
])
def test_check_tells_what_is_wrong(tmp_path, pair, change, said):
    change(*pair)
    file = tmp_path / "edge.yaml"
    file.write_text(f"listen: https://:8443\ncertificates: [{{cert: {pair[0]}, key: {pair[1]}}}]\n"
                    "sites: [{origin: 'http://127.0.0.1:1'}]\n")
    done = run("check", file)
    assert done.returncode == 2 and said in done.stderr, done


def test_check_shows_certificates_and_warns(tmp_path, authority):
    cert, key = authority.files(["DNS:old.test"], ("20200101000000Z", "20200201000000Z"), "old")
    file = tmp_path / "edge.yaml"
    file.write_text("listen: https://:8443\nsites:\n  - {hosts: [old.test, new.test], origin: 'http://127.0.0.1:1',\n"
                    f"     certificates: [{{cert: {cert}, key: {key}}}]}}\n")
    done = run("check", file)
    assert done.returncode == 0, done
    assert "ECDSA, to Sat, 01 Feb 2020" in done.stdout and "old.test" in done.stdout
    assert "has expired" in done.stderr and "no certificate covers new.test" in done.stderr


def test_tls_without_a_certificate_is_refused(tmp_path):
    file = tmp_path / "edge.yaml"
    file.write_text("listen: https://:8443\nsites: [{origin: 'http://127.0.0.1:1'}]\n")
    done = run("check", file)
    assert done.returncode == 2 and "found no certificate" in done.stderr


def test_the_command_line_alone(new_edge, origin, pair, client):
    edge = new_edge.bare("--origin", origin.url, "--cert", pair[0], "--key", pair[1], "--threads", 1,
                         "--memory", "64MiB", start=False)
    edge.arguments += ["--listen", f"https://{edge.listen}"]
    plain, edge.listen = edge.listen, "unix:" + str(edge.directory / "plain.sock")
    edge.start()
    edge.listen = plain
    assert handshake(edge, client)[0] == "TLSv1.3"


def test_memory_comes_back_when_idle(new_tls, origin, client):
    """Both buffers of an idle connection are given back: with them it would cost 32 KiB more."""
    edge = new_tls(origin, threads=1)
    origin.on("/m", reply(body=os.urandom(50_000), fields=[("Cache-Control", "max-age=60")]))
    warm = [edge.connect(tls=client) for _ in range(50)]
    for conn in warm:
        conn.get("/m")
    before, count = edge.rss_kib(), 400
    held = [edge.connect(tls=client) for _ in range(count)]
    for conn in held:
        conn.get("/m")

    def each():
        return (edge.rss_kib() - before) / count
    if "build/release" in os.environ["SKERRY_BIN"]:
        wait_until(lambda: each() <= 36, 10, f"{each():.1f} KiB for an idle connection to become 36")
    for conn in warm + held:
        conn.close()
