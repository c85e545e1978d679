"""Every kind of answer of `skerry route` as dig, kdig (libknot), drill (ldns), a secondary NSD and a validator read it: all
see the same records."""

import subprocess

import dns.flags
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from harness.router import Router
from harness.scale import limit
from harness.secondary import Secondary

pytestmark = pytest.mark.one_by_one

ZONE = """$TTL 3600
@ IN SOA ns1 hostmaster 7 3600 900 604800 300
  NS ns1
  NS ns2.example.net.
  MX 10 mail
  CAA 0 issue "ca.example.net"
ns1 A 127.0.0.1
www 300 A 192.0.2.2
www 300 A 192.0.2.3
www 300 AAAA 2001:db8::2
alias CNAME www
far CNAME www.example.net.
loop CNAME loop2
loop2 CNAME loop
*.wild TXT "wild card" "\\"quoted\\" \\\\ \\200"
mail AAAA 2001:db8::25
sub NS ns.sub
sub DS 4711 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
ns.sub A 192.0.2.5
bare NS ns.example.net.
old DNAME deep
svc HTTPS 1 . alpn=h3,h2 port=8443 ipv4hint=192.0.2.2 ipv6hint=2001:db8::2
svc SVCB 0 other.example.net.
_sip._tcp SRV 0 5 5060 mail
ptr PTR www
info HINFO "CPU" "OS"
naptr NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
ssh SSHFP 4 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
_443._tcp TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
unknown TYPE4711 \\# 4 01020304
a.b.c.deep A 192.0.2.9
long TXT "{long}"
""".replace("{long}", '" "'.join("x" * 200 for _ in range(10)))

ROUTING = {
    "sites": [{"name": "fra", "latitude": 50.1, "longitude": 8.7, "edges": ["203.0.113.10", "2001:db8:1::1"]}],
    "names": [{"name": "cdn.example.com"}, {"name": "*.r.example.com"}],
}
# Of the zone's own data: a secondary has the same.
STATIC = [(f"{name}.example.com" if name else "example.com", type_) for name, type_ in (
    ("", "SOA"), ("", "NS"), ("", "MX"), ("", "CAA"), ("www", "A"), ("www", "AAAA"), ("alias", "A"), ("far", "A"),
    ("loop", "A"), ("x.wild", "TXT"), ("sub", "DS"), ("a.sub", "A"), ("a.bare", "AAAA"), ("old", "DNAME"), ("a.b.c.old", "A"),
    ("svc", "HTTPS"), ("svc", "SVCB"), ("_sip._tcp", "SRV"), ("ptr", "PTR"), ("info", "HINFO"), ("naptr", "NAPTR"),
    ("ssh", "SSHFP"), ("_443._tcp", "TLSA"), ("unknown", "TYPE4711"), ("long", "TXT"))]
DENIED = [(f"{name}.example.com", type_) for name, type_ in (
    ("no", "A"), ("a.b.no", "MX"), ("www", "MX"), ("c.deep", "A"), ("x.wild", "A"), ("alias", "MX"))]
ROUTED = [("cdn.example.com", "A"), ("cdn.example.com", "AAAA"), ("cdn.example.com", "HTTPS"), ("cdn.example.com", "TXT"),
          ("q.r.example.com", "A"), ("q.r.example.com", "HTTPS")]
KEYS = [("example.com", "DNSKEY"), ("example.com", "CDS"), ("example.com", "CDNSKEY"), ("www.example.com", "NSEC")]


@pytest.fixture(params=["plain", "signed"])
def router(tmp_path, request):
    router = Router(tmp_path, {"example.com": ZONE}, threads=1, **ROUTING)  # one thread: a signature made on the way is the same for all
    router.zones["example.com"].update(allow_transfer=["127.0.0.1"])
    if request.param == "signed":
        router.zones["example.com"]["keys"] = "keys"
    router.signed = request.param == "signed"
    yield router.start()
    router.stop()


def record(name, ttl, type_, data):
    """In a form that depends on no program: names lower-cased, data as on the wire."""
    return name.lower(), int(ttl), type_, data.to_digestable(dns.name.root)


def read(line):
    name, ttl, class_, type_, data = line.replace(" NXNAME", " TYPE128").split(None, 4)  # RFC 9824: new to dnspython
    type_ = dns.rdatatype.from_text(type_)
    return record(name, ttl, type_, dns.rdata.from_text(dns.rdataclass.from_text(class_), type_, data, dns.name.root))


def records(sections, but=()):
    return {record(rrset.name.to_text(), rrset.ttl, rrset.rdtype, data)
            for section in sections for rrset in section if rrset.rdtype not in but for data in rrset}


def asked(argv):
    """What a program shows, as records."""
    out = subprocess.run(argv, capture_output=True, text=True, timeout=limit(30))
    assert out.returncode == 0 and "alformed" not in out.stdout + out.stderr and "WARNING" not in out.stdout, (argv, out)
    return {read(line) for line in out.stdout.splitlines() if line and line[0] not in "; "}


def programs(router, name, type_, dnssec):
    show = ["+noall", "+answer", "+authority", "+additional", "+norec", "+dnssec" if dnssec else "+nodnssec", "+tcp"]
    at = [f"@{router.host}", "-p", str(router.port), name, type_]
    yield asked(["dig", *at, *show])
    yield asked(["kdig", *at, *show])
    yield asked(["drill", "-t", *(["-D"] if dnssec else []), "-p", str(router.port), f"@{router.host}", name, type_])


def test_all_programs_read_the_same(router):
    for name, type_ in STATIC + DENIED + ROUTED + (KEYS if router.signed else []):
        answer = router.ask(name, type_, tcp=True, want_dnssec=router.signed)
        ours = records((answer.answer, answer.authority, answer.additional))
        assert ours or answer.rcode() == dns.rcode.NXDOMAIN
        for number, seen in enumerate(programs(router, name, type_, router.signed)):
            assert seen == ours, (name, type_, number)


def test_a_secondary_answers_the_same(router, tmp_path):
    """RFC 5936: what was transferred is all there is. A signed zone's denials differ in form (RFC 9824 here, RFC 4034 there)
    and hold by a validator in both."""
    secondary = Secondary(tmp_path)
    serial = router.ask("example.com", "SOA").answer[0][0].serial
    try:
        secondary.start(router.port).wait_serial(serial, "the transfer")
        for name, type_ in STATIC:
            ours = router.ask(name, type_, tcp=True, want_dnssec=router.signed)
            theirs = secondary.ask(name, type_, want_dnssec=router.signed)
            assert ours.rcode() == theirs.rcode() and ours.flags & dns.flags.AA == theirs.flags & dns.flags.AA, (name, type_)
            # A wildcard is signed here for the name that was asked, there as a wildcard.
            but = {dns.rdatatype.RRSIG} if ".wild." in name else set()
            assert records([ours.answer], but) == records([theirs.answer], but), (name, type_)
        for name, type_ in DENIED:
            ours, theirs = router.ask(name, type_), secondary.ask(name, type_)
            assert ours.rcode() == theirs.rcode() and ours.authority == theirs.authority, (name, type_)
        if router.signed:
            validate(router, tmp_path, secondary.port)
    finally:
        secondary.stop()


def validate(router, folder, port):
    key = next(k for k in router.ask("example.com", "DNSKEY", tcp=True).answer[0] if k.flags == 257)
    words = key.to_text().split(" ", 3)
    anchor = folder / "anchor"
    anchor.write_text('trust-anchors { example.com. static-key %s %s %s "%s"; };\n' % (*words[:3], words[3].replace(" ", "")))
    for name, type_ in DENIED:
        for at in (router.port, port):
            out = subprocess.run(["delv", f"@{router.host}", "-p", str(at), "-a", str(anchor), "+root=example.com", name, type_],
                                 capture_output=True, text=True, timeout=limit(20))
            assert "fully validated" in out.stdout + out.stderr, (name, type_, at, out)
