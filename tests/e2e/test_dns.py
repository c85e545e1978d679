"""`skerry route` as others see it: dig, kdig, drill, dnspython and a secondary NSD."""

import json
import random
import signal
import socket
import struct
import subprocess
import threading
import time

import dns.dnssec
import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone
import pytest

from harness.client import fetch
from harness.edge import run
from harness.ports import Reservation
from harness.router import FREE, Router
from harness.secondary import Secondary
from harness.scale import limit, pick

ZONE = """$TTL 3600
@ IN SOA ns1 hostmaster 7 3600 900 604800 300
  NS ns1
  MX 10 mail
ns1 A 127.0.0.1
www 300 A 192.0.2.2
www 300 AAAA 2001:db8::2
alias CNAME www
*.wild TXT "wild card"
mail AAAA 2001:db8::25
sub NS ns.sub
ns.sub A 192.0.2.5
old DNAME www.example.com.
svc HTTPS 1 . alpn=h3,h2
_sip._tcp SRV 0 5 5060 mail
caa CAA 0 issue "ca.example.net"
long TXT "{long}"
""".replace("{long}", '" "'.join("x" * 200 for _ in range(10)))

SITES = [
    {"name": "fra", "latitude": 50.1, "longitude": 8.7, "edges": ["203.0.113.10", "2001:db8:1::1"]},
    {"name": "nyc", "latitude": 40.7, "longitude": -74.0, "edges": ["203.0.113.20", "2001:db8:2::1"]},
]
ROUTING = {
    "sites": SITES,
    "names": [{"name": "cdn.example.com", "ttl": "20s"}],
    "overrides": [{"prefix": "198.51.100.0/24", "sites": ["nyc", "fra"]}, {"prefix": "192.0.2.0/24", "sites": ["fra"]}],
}


@pytest.fixture
def new_router(tmp_path):
    routers = []

    def make(zones=None, **more):
        routers.append(Router(tmp_path, zones or {"example.com": ZONE}, **more))
        return routers[-1].start()

    yield make
    for router in routers:
        router.stop()


@pytest.fixture
def router(new_router):
    return new_router(**ROUTING)


@pytest.fixture
def secondary(tmp_path):
    server = Secondary(tmp_path)
    yield server
    server.stop()


def test_udp_and_tcp_say_the_same(router):
    for name, type_ in (("www.example.com", "A"), ("alias.example.com", "AAAA"), ("x.wild.example.com", "TXT"),
                        ("no.example.com", "A"), ("a.sub.example.com", "A"), ("www.old.example.com", "A"),
                        ("svc.example.com", "HTTPS"), ("caa.example.com", "CAA"), ("_sip._tcp.example.com", "SRV")):
        udp, tcp = router.ask(name, type_), router.ask(name, type_, tcp=True)
        assert udp.rcode() == tcp.rcode() and udp.flags == tcp.flags
        assert (udp.answer, udp.authority, udp.additional) == (tcp.answer, tcp.authority, tcp.additional)
    assert router.ask("no.example.com").rcode() == dns.rcode.NXDOMAIN
    assert router.ask("www.example.net").rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("tool", [["dig"], ["kdig"], ["drill"]])
def test_answers_are_read_by_the_usual_tools(router, tool):
    arguments = [f"@{router.host}", "-p", str(router.port)]
    if tool == ["drill"]:
        arguments = ["-p", str(router.port), f"@{router.host}"]
    for name, type_, expected in (("www.example.com", "A", "192.0.2.2"), ("example.com", "SOA", "hostmaster"),
                                  ("svc.example.com", "TYPE65", ""), ("cdn.example.com", "A", "203.0.113.")):
        out = subprocess.run([*tool, *arguments, name, type_], capture_output=True, text=True, timeout=limit(20))
        assert out.returncode == 0 and expected in out.stdout, out
        assert "alformed" not in out.stdout + out.stderr and "WARNING: M" not in out.stdout


def test_large_answers_are_truncated_over_udp_and_whole_over_tcp(router):
    answer = router.ask("long.example.com", "TXT")
    assert answer.flags & dns.flags.TC and not answer.answer
    answer = router.ask("long.example.com", "TXT", use_edns=0, payload=4096)
    assert answer.flags & dns.flags.TC and len(answer.to_wire()) <= 1232
    assert router.ask("long.example.com", "TXT", tcp=True).answer


def test_client_subnet_chooses_the_site_and_gets_its_scope(router):
    def first(subnet):
        option = dns.edns.ECSOption(*subnet)
        answer = router.ask("cdn.example.com", "A", use_edns=0, options=[option])
        back = [o for o in answer.options if isinstance(o, dns.edns.ECSOption)][0]
        return answer.answer[0][0].address, back.scopelen

    assert first(("198.51.100.0", 24)) == ("203.0.113.20", 24)
    assert first(("192.0.2.0", 24)) == ("203.0.113.10", 24)
    assert first(("198.51.100.7", 32)) == ("203.0.113.20", 24)
    assert router.ask("cdn.example.com", "A").answer[0].ttl == 20
    for type_ in ("AAAA", "HTTPS"):
        assert router.ask("cdn.example.com", type_).answer


def test_cookies_are_taken_back(router):
    out = subprocess.run(["dig", f"@{router.host}", "-p", str(router.port), "+cookie=0123456789abcdef", "www.example.com"],
                         capture_output=True, text=True, timeout=limit(20)).stdout
    assert "COOKIE: 0123456789abcdef01000000" in out and "(good)" in out


def test_many_queries_on_one_connection_are_answered_in_order(router):
    """RFC 7766 6.2.1.1: pipelining."""
    names = [f"n{i}.wild.example.com" for i in range(500)]
    data = b""
    for name in names:
        wire = dns.message.make_query(name, "TXT").to_wire()
        data += struct.pack("!H", len(wire)) + wire
    with socket.create_connection((router.host, router.port), timeout=limit(10)) as s:
        s.sendall(data)
        stream = s.makefile("rb")
        for name in names:
            length = struct.unpack("!H", stream.read(2))[0]
            answer = dns.message.from_wire(stream.read(length))
            assert answer.question[0].name.to_text() == name + "." and answer.answer


def test_a_query_in_small_pieces_and_a_client_that_stays_silent(new_router):
    router = new_router(tcp={"idle": "500ms"})
    wire = dns.message.make_query("www.example.com", "A").to_wire()
    with socket.create_connection((router.host, router.port), timeout=limit(10)) as s:
        for byte in struct.pack("!H", len(wire)) + wire:
            s.send(bytes([byte]))
        assert s.recv(2)
    with socket.create_connection((router.host, router.port), timeout=limit(10)) as s:
        assert s.recv(1) == b""


def test_connections_of_one_client_are_bounded(new_router):
    router = new_router(threads=1, tcp={"connections_per_client": 3})
    with_answer = []
    for _ in range(3):
        s = socket.create_connection((router.host, router.port), timeout=limit(10))
        dns.query.send_tcp(s, dns.message.make_query("www.example.com", "A"))
        assert dns.query.receive_tcp(s)[0].answer
        with_answer.append(s)
    with pytest.raises((ConnectionResetError, EOFError)):
        with socket.create_connection((router.host, router.port), timeout=limit(10)) as refused:
            dns.query.send_tcp(refused, dns.message.make_query("www.example.com", "A"))
            dns.query.receive_tcp(refused)
    for s in with_answer:
        s.close()


def test_reload_takes_the_new_zone_and_keeps_the_old_one_when_it_is_bad(router):
    router.write_zone("example.com", ZONE.replace("192.0.2.2", "192.0.2.99"))
    router.reload()
    assert router.ask("www.example.com").answer[0][0].address == "192.0.2.99"
    router.write_zone("example.com", "@ IN SOA broken\n")
    router.reload("stays in force")
    assert router.ask("www.example.com").answer[0][0].address == "192.0.2.99"
    assert "example.com.zone:1" in router.log()


def test_reloads_lose_no_query(router):
    """A client that asks on and on, each query within a second, while everything is loaded anew time and again."""
    rounds, lost, asked = pick(10, 100), [], 0
    stop = threading.Event()

    def ask():
        nonlocal asked
        while not stop.is_set():
            for name in ("www.example.com", "cdn.example.com"):
                try:
                    assert router.ask(name).answer
                except Exception as error:  # noqa: BLE001: any is one too many
                    lost.append(error)
                asked += 1
    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        for number in range(rounds):
            router.write_zone("example.com", ZONE.replace("hostmaster 7", f"hostmaster {8 + number}"))
            router.reload()
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert not lost and asked > rounds
    assert router.ask("example.com", "SOA").answer[0][0].serial == 7 + rounds


def test_a_flood_is_held_back_but_leaves_the_way_over_tcp(new_router):
    router = new_router(threads=1, rate_limit={**FREE, "answers": 10, "slip": 2})
    whole = cut = 0
    wire = dns.message.make_query("www.example.com", "A").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((router.host, router.port))
        for _ in range(60):
            s.send(wire)
        s.settimeout(0.5)
        try:
            while True:
                answer = dns.message.from_wire(s.recv(2000))
                cut += bool(answer.flags & dns.flags.TC)
                whole += bool(answer.answer)
        except TimeoutError:
            pass
    assert 10 <= whole <= 25 and 10 <= cut <= 30
    assert router.ask("www.example.com", tcp=True).answer


def test_transfer_only_to_whom_it_is_allowed(new_router):
    router = new_router()
    with pytest.raises(dns.query.TransferError):
        list(dns.query.xfr(router.host, "example.com", port=router.port, lifetime=limit(10)))
    router.zones["example.com"]["allow_transfer"] = ["127.0.0.0/8"]
    router.write()
    router.reload()
    zone = dns.zone.from_xfr(dns.query.xfr(router.host, "example.com", port=router.port, lifetime=limit(10)))
    expected = dns.zone.from_text(ZONE, "example.com.")
    assert zone == expected


def test_a_secondary_transfers_is_notified_and_answers_the_same(new_router, secondary):
    router = new_router()
    router.zones["example.com"].update(allow_transfer=["127.0.0.1"], notify=[str(secondary)])
    router.write()
    router.reload()
    secondary.start(router.port).wait_serial(7, "the first transfer")
    for name, type_ in (("www.example.com", "A"), ("alias.example.com", "A"), ("x.wild.example.com", "TXT"),
                        ("no.example.com", "A"), ("x.sub.example.com", "A"), ("caa.example.com", "CAA")):
        ours, theirs = router.ask(name, type_), secondary.ask(name, type_)
        assert ours.rcode() == theirs.rcode() and ours.answer == theirs.answer, name
    router.write_zone("example.com", ZONE.replace("hostmaster 7", "hostmaster 8"))
    router.reload()
    secondary.wait_serial(8, "the transfer that NOTIFY asks for")


def test_random_bytes_never_hurt_and_never_amplify(router):
    rng = random.Random(7)
    base = [dns.message.make_query(n, t, use_edns=0, want_dnssec=True).to_wire()
            for n, t in (("www.example.com", "A"), ("cdn.example.com", "ANY"), ("example.com", "AXFR"))]
    deadline = time.monotonic() + pick(3, 60)
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((router.host, router.port))
        s.setblocking(False)
        while time.monotonic() < deadline:
            data = bytearray(rng.choice(base)) if rng.random() < 0.8 else bytearray(rng.randbytes(rng.randrange(600)))
            for _ in range(rng.randrange(4)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            if data:
                s.send(data)
            sent += 1
            try:
                while True:
                    assert len(s.recv(65535)) <= 1232
            except BlockingIOError:
                pass
    assert sent > 1000
    assert router.ask("www.example.com").answer


def test_answers_come_from_the_address_that_was_asked(new_router):
    """On a wildcard address, over IPv4 and IPv6."""
    router = new_router(listen="::")
    for host in ("127.0.0.1", "127.0.0.2", "::1"):
        answer = dns.query.udp(dns.message.make_query("www.example.com", "A"), host, port=router.port, timeout=limit(5))
        assert answer.answer, host


def test_nothing_is_lost_when_it_stops(new_router):
    router = new_router(threads=1)
    wire = dns.message.make_query("www.example.com", "A").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((router.host, router.port))
        router.process.send_signal(signal.SIGSTOP)
        for _ in range(50):
            s.send(wire)
        router.process.send_signal(signal.SIGTERM)
        router.process.send_signal(signal.SIGCONT)
        s.settimeout(limit(5))
        for _ in range(50):
            assert dns.message.from_wire(s.recv(2000)).answer


def admin(address, method, path, token=None):
    """STATUS, BODY of one request to the admin socket at a Unix path or (host, port)."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(limit(10))
        s.connect(address)
        bearer = f"Authorization: Bearer {token}\r\n" if token else ""
        s.sendall(f"{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{bearer}\r\n".encode())
        data = b""
        while piece := s.recv(65536):
            data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), body.decode()


def test_the_admin_socket_tells_health_and_counts_and_reloads(new_router, tmp_path):
    path = str(tmp_path / "admin.sock")
    router = new_router(admin=f"unix:{path}", **ROUTING)
    for _ in range(5):
        router.ask("www.example.com")
    router.ask("nope.example.com", tcp=True)
    status, body = admin(path, "GET", "/health")
    assert status == 200 and '"zones":1' in body and '"sites":2' in body
    status, body = admin(path, "GET", "/metrics")
    assert status == 200
    for line in ('skerry_dns_queries_total{transport="udp"} 5', 'skerry_dns_queries_total{transport="tcp"} 1',
                 'skerry_dns_answers_total{rcode="nxdomain"} 1'):
        assert line in body, body
    router.write_zone("example.com", ZONE.replace("192.0.2.2", "192.0.2.98"))
    assert admin(path, "POST", "/config/reload") == (200, "in force\n")
    assert router.ask("www.example.com").answer[0][0].address == "192.0.2.98"
    router.write_zone("example.com", "broken")
    assert admin(path, "POST", "/config/reload")[0] == 422
    assert admin(path, "GET", "/config/reload")[0] == 405 and admin(path, "GET", "/nothing")[0] == 404


def test_the_admin_socket_on_tcp_wants_its_token(new_router):
    reservation = Reservation()
    reservation.close()  # it listens without SO_REUSEPORT
    router = new_router(admin=str(reservation), admin_token="0123456789abcdef")
    assert router.ask("www.example.com").answer
    assert admin(reservation.address, "GET", "/health")[0] == 401
    assert admin(reservation.address, "GET", "/health", "0123456789abcdeX")[0] == 401
    assert admin(reservation.address, "GET", "/health", "0123456789abcdef")[0] == 200


SIGNED = {**ROUTING, "names": [{"name": "cdn.example.com"}, {"name": "*.r.example.com"}, {"name": "v4.example.com"}],
          "sites": [{**SITES[0], "edges": ["203.0.113.10"]}, SITES[1]],
          "overrides": [{"prefix": "127.0.0.0/8", "sites": ["fra"]}]}


@pytest.fixture
def signed(new_router):
    router = new_router(**SIGNED)
    router.zones["example.com"].update(keys="keys", allow_transfer=["127.0.0.1"])
    router.write()
    router.reload()
    return router


def test_a_validator_accepts_answers_and_denials(signed, tmp_path):
    """RFC 4035, RFC 9824: answers, wildcards, routed names, and each way of not being there."""
    keys = [k for k in signed.ask("example.com", "DNSKEY", tcp=True).answer[0] if k.flags == 257]
    assert len(keys) == 1
    anchor = tmp_path / "anchor"
    key = keys[0].to_text().split(" ", 3)
    anchor.write_text('trust-anchors { example.com. static-key %s %s %s "%s"; };\n' % (*key[:3], key[3].replace(" ", "")))
    positive = "fully validated"
    for name, type_ in (("example.com", "SOA"), ("www.example.com", "A"), ("www.example.com", "TXT"),
                        ("nope.example.com", "A"), ("a.b.nope.example.com", "AAAA"), ("x.wild.example.com", "TXT"),
                        ("x.wild.example.com", "A"), ("wild.example.com", "A"), ("alias.example.com", "A"),
                        ("alias.example.com", "MX"), ("cdn.example.com", "A"), ("cdn.example.com", "HTTPS"),
                        ("cdn.example.com", "TXT"), ("v4.example.com", "AAAA"), ("q.r.example.com", "A"),
                        ("q.r.example.com", "AAAA"), ("sub.example.com", "DS"), ("example.com", "CDS"),
                        ("example.com", "CDNSKEY"), ("old.example.com", "DNAME"), ("www.old.example.com", "A")):
        out = subprocess.run(["delv", f"@{signed.host}", "-p", str(signed.port), "-a", str(anchor), "+root=example.com",
                              name, type_], capture_output=True, text=True, timeout=limit(20))
        assert positive in out.stdout + out.stderr, (name, type_, out)


def test_compact_denial_says_no_data_unless_the_client_knows_better(signed):
    """RFC 9824 3.1 and 5: NOERROR with NXNAME; NXDOMAIN without DO, and with the CO flag."""
    assert signed.ask("nope.example.com").rcode() == dns.rcode.NXDOMAIN
    compact = signed.ask("nope.example.com", want_dnssec=True)
    assert compact.rcode() == dns.rcode.NOERROR and "TYPE128" in compact.to_text()
    assert signed.ask("nope.example.com", use_edns=0, ednsflags=0x8000 | 0x4000).rcode() == dns.rcode.NXDOMAIN


def test_a_transferred_signed_zone_is_whole(signed, tmp_path):
    out = subprocess.run(["dig", f"@{signed.host}", "-p", str(signed.port), "example.com", "AXFR", "+noall", "+answer"],
                         capture_output=True, text=True, timeout=limit(20)).stdout
    (tmp_path / "axfr").write_text(out)
    result = subprocess.run(["ldns-verify-zone", str(tmp_path / "axfr")], capture_output=True, text=True,
                            timeout=limit(20))
    assert result.returncode == 0 and "complete" in result.stdout + result.stderr, result


def ksks(router):
    """{tag: (in CDS, key)} of what is shown and signs itself."""
    answer = router.ask("example.com", "DNSKEY", tcp=True, want_dnssec=True)
    signers = {record.key_tag for rrset in answer.answer if rrset.rdtype == dns.rdatatype.RRSIG for record in rrset}
    keys = {dns.dnssec.key_id(key): key for rrset in answer.answer if rrset.rdtype == dns.rdatatype.DNSKEY
            for key in rrset if key.flags == 257}
    assert signers == set(keys)
    told = {record.key_tag for record in router.ask("example.com", "CDS", tcp=True).answer[0]}
    return {tag: (tag in told, key) for tag, key in keys.items()}


def validated(router, folder, key):
    words = key.to_text().split(" ", 3)
    anchor = folder / "anchor"
    anchor.write_text('trust-anchors { example.com. static-key %s %s %s "%s"; };\n' % (*words[:3], words[3].replace(" ", "")))
    out = subprocess.run(["delv", f"@{router.host}", "-p", str(router.port), "-a", str(anchor), "+root=example.com",
                          "www.example.com", "A"], capture_output=True, text=True, timeout=limit(20))
    return "fully validated" in out.stdout + out.stderr


def older(folder, pattern, days):
    """What the newest key would be if it had been made so much earlier."""
    path = sorted(folder.glob(pattern))[-1]
    made = int(path.stem.split("-")[1]) - days * 86400
    path.rename(path.with_name(f"{path.stem.split('-')[0]}-{made}{path.suffix}"))


def test_a_key_signing_key_is_rolled_when_the_parent_has_the_next(new_router, tmp_path):
    """RFC 7583 3.3.1, RFC 7344: both are shown and sign; CDS names the new one; the old one goes after the parent's word."""
    path = str(tmp_path / "admin.sock")
    router = new_router(admin=f"unix:{path}")
    router.zones["example.com"].update(keys="keys", ksk_lifetime="100d")
    router.write()
    router.reload()
    keys = tmp_path / "keys"
    (old, (told, old_key)), = ksks(router).items()
    assert told
    older(keys, "ksk-*.pem", 100)
    router.reload()
    (new, (told, new_key)), = [item for item in ksks(router).items() if item[0] != old]
    assert not told and ksks(router)[old][0]
    older(keys, "ksk-*.pem", 3)
    router.reload()
    assert ksks(router)[new][0] and not ksks(router)[old][0]
    assert validated(router, tmp_path, old_key) and validated(router, tmp_path, new_key)

    def say(**members):
        return fetch(path, "/ds-seen", "POST", body=json.dumps(members).encode()).status
    unknown = next(tag for tag in range(1, 9) if tag not in (old, new))
    assert say(zone="example.com", tag=unknown) == 404
    assert say(zone="example.net", tag=new) == say(zone="example.com") == say(zone="example.com", tag=70000) == 400
    assert say(zone="example.com", tag=new) == 200 and set(ksks(router)) == {old, new}
    seen, = keys.glob("*.ds")
    seen.write_text(str(int(seen.read_text()) - 3 * 86400))
    router.reload()
    assert set(ksks(router)) == {new} and len(list(keys.glob("ksk-*"))) == 2
    assert validated(router, tmp_path, new_key) and not validated(router, tmp_path, old_key)


def test_keys_outlive_a_restart(signed):
    before = signed.ask("example.com", "DNSKEY", tcp=True).answer
    reservation, signed.reservation.close = signed.reservation, lambda: None
    signed.stop()
    signed.reservation = reservation
    signed.start()
    assert signed.ask("example.com", "DNSKEY", tcp=True).answer == before


@pytest.mark.parametrize("text, expected", [
    ("zones: [{name: example.com, file: none.zone}]", "none.zone"),
    ("zones: [{name: example.com}]", "zones[0]: has no file"),
    ("zone: []", 'did you mean "zones"?'),
    ("zones: [{name: 'ex ample', file: a}]", "a domain name"),
    ("zones: [{name: example.com, file: a, notify: [nowhere]}]", "notify[0]"),
    ("threads: 1", "no zones"),
])
def test_what_is_wrong_is_told(tmp_path, text, expected):
    (tmp_path / "route.yaml").write_text(text)
    result = run("route", "-c", tmp_path / "route.yaml")
    assert result.returncode == 2 and expected in result.stderr, result.stderr


def test_the_command_line_alone(tmp_path):
    (tmp_path / "z").write_text("$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n")
    assert run("route").returncode == 2
    assert "NAME=FILE" in run("route", "--zone", "example.com").stderr
    assert run("route", "--help").returncode == 0
