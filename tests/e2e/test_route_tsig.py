"""Transfers with TSIG (RFC 8945), as dnspython and a secondary NSD ask for them."""

import base64
import time

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.zone
import pytest

from harness.router import Router
from harness.scale import limit
from harness.secondary import Secondary

pytestmark = pytest.mark.one_by_one

RECORDS = "\n".join(f"h{i} TXT \"{'x' * 200}\"" for i in range(400))  # some 100 KB: several messages
ZONE = f"$TTL 60\n@ SOA ns h 1 3600 900 604800 300\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n{RECORDS}\n"
SECRET = base64.b64encode(b"sixteen bytes or more, as asked.").decode()
KEY = "transfer.example.com"


def start(folder, algorithm="hmac-sha256", **zone):
    router = Router(folder, {"example.com": ZONE},
                    tsig_keys=[{"name": KEY, "algorithm": algorithm, "secret": SECRET},
                               {"name": "other.example.com", "secret": SECRET}])
    router.zones["example.com"].update({"tsig_key": KEY, **zone})
    return router.start()


@pytest.fixture
def router(tmp_path):
    router = start(tmp_path)
    yield router
    router.stop()


def ring(name=KEY, secret=SECRET, algorithm=dns.tsig.HMAC_SHA256):
    return {dns.name.from_text(name): dns.tsig.Key(name, secret, algorithm)}


def transfer(router, **more):
    return dns.zone.from_xfr(dns.query.xfr(router.host, "example.com", port=router.port, lifetime=limit(10), **more))


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha512"])
def test_a_signed_transfer_is_given_and_signed(tmp_path, algorithm):
    router = start(tmp_path, algorithm)
    zone = transfer(router, keyring=ring(algorithm=dns.name.from_text(algorithm)), keyname=KEY,
                    keyalgorithm=dns.name.from_text(algorithm))
    assert len(zone.nodes) == 403 and zone["www"].rdatasets
    router.stop()


def refused(router, query):
    return router.send(query, tcp=True)


def axfr(**key):
    query = dns.message.make_query("example.com", "AXFR")
    if key:
        query.use_tsig(ring(**key), next(iter(ring(**key))), algorithm=key.get("algorithm", dns.tsig.HMAC_SHA256))
    return query


def test_what_is_not_signed_is_refused(router):
    assert refused(router, axfr()).rcode() == dns.rcode.REFUSED


def test_another_key_that_is_known_is_refused(router):
    assert refused(router, axfr(name="other.example.com")).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("key, error", [({"name": "unknown.example.com"}, dns.tsig.PeerBadKey),
                                        ({"secret": base64.b64encode(b"w" * 32).decode()}, dns.tsig.PeerBadSignature),
                                        ({"algorithm": dns.tsig.HMAC_SHA512}, dns.tsig.PeerBadKey),
                                        ({"algorithm": dns.tsig.HMAC_SHA256_128}, dns.tsig.PeerBadKey)])
def test_rfc8945_5_2_a_wrong_signature_is_notauth(router, key, error):
    for tcp in (True, False):
        query = axfr(**key)
        with pytest.raises(error):
            router.send(query, tcp)


def test_rfc8945_5_2_3_a_wrong_time_is_told_with_ours(router, monkeypatch):
    query = axfr(name=KEY)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1000)
    wire = query.to_wire()
    monkeypatch.undo()
    late = dns.message.from_wire(router_raw_tcp(router, wire), keyring=False, continue_on_error=True)
    assert late.rcode() == dns.rcode.NOTAUTH
    assert late.tsig[0].error == 18 and abs(int.from_bytes(late.tsig[0].other, "big") - now) < limit(60)
    assert len(late.tsig[0].mac) == 32  # signed: the client may believe it


def router_raw_tcp(router, wire):
    import socket
    import struct
    with socket.create_connection((router.host, router.port), limit(5)) as s:
        s.sendall(struct.pack("!H", len(wire)) + wire)
        data = b""
        while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
            more = s.recv(65536)
            assert more
            data += more
    return data[2:]


@pytest.mark.parametrize("tcp", [False, True])
def test_ordinary_queries_are_answered_signed(router, tcp):
    for name, type_, rcode in (("www.example.com", "A", 0), ("example.com", "SOA", 0), ("none.example.com", "A", 3)):
        query = dns.message.make_query(name, type_)
        query.use_tsig(ring(), dns.name.from_text(KEY))
        answer = router.send(query, tcp)  # which checks the signature
        assert answer.had_tsig and answer.rcode() == rcode


def test_an_address_of_another_network_needs_more_than_the_key(tmp_path):
    router = start(tmp_path, allow_transfer=["192.0.2.0/24"])
    assert refused(router, axfr(name=KEY)).rcode() == dns.rcode.REFUSED
    router.stop()


def test_a_secondary_follows_by_signed_notify_and_transfer(tmp_path):
    secondary = Secondary(tmp_path, key=(KEY, "hmac-sha256", SECRET))
    router = start(tmp_path, notify=[str(secondary)])
    try:
        secondary.start(router.port)
        secondary.wait_serial(1, "the first transfer")
        router.write_zone("example.com", ZONE.replace("h 1 3600", "h 2 3600"))
        router.reload()
        secondary.wait_serial(2, "the second transfer, after NOTIFY")
        assert len(secondary.ask("h1.example.com", "TXT").answer[0]) == 1
    finally:
        secondary.stop()
        router.stop()


@pytest.mark.parametrize("change, told", [({"tsig_key": "nobody.example.com"}, "tsig_key is not among"),
                                          ({"secret": "c2hvcnRlciB0aGFu"}, "16 bytes"),
                                          ({"secret": "********************"}, "base64")])
def test_wrong_keys_are_told(router, change, told):
    router.more["tsig_keys"][1].update({k: v for k, v in change.items() if k == "secret"})
    router.zones["example.com"].update({k: v for k, v in change.items() if k == "tsig_key"})
    router.write()
    router.reload("not reloaded")
    assert told in router.log()
