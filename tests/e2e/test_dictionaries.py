"""Compression with dictionaries that the client has (RFC 9842), made by the edge. The libraries' own decoders judge."""

import base64
import ctypes
import hashlib
import os
import shutil

import pytest
from harness.origin import cacheable
from harness.scale import wait_until

pytestmark = pytest.mark.one_by_one

WORDS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(400)]
OLD = " ".join(WORDS).encode()
NEW = " ".join(WORDS[:200] + ["what is new"] + WORDS[200:]).encode()
SCRIPT = ("Content-Type", "text/javascript")
MAGIC = {"dcb": b"\xff\x44\x43\x42", "dcz": b"\x5e\x2a\x4d\x18\x20\x00\x00\x00"}


def named(content):
    return f":{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def asking(content=OLD, accept="gzip, br, zstd, dcb, dcz", more=()):
    return [("Accept-Encoding", accept), ("Available-Dictionary", named(content)), *more]


def decode(coding, body, dictionary):
    """What a client makes of it: the magic number, the hash of its dictionary, then the stream."""
    magic = MAGIC[coding]
    assert body[:len(magic)] == magic and body[len(magic):len(magic) + 32] == hashlib.sha256(dictionary).digest()
    out = ctypes.create_string_buffer(1 << 20)
    if coding == "dcz":
        zstd = ctypes.CDLL("libzstd.so.1")
        zstd.ZSTD_createDCtx.restype = ctypes.c_void_p
        zstd.ZSTD_decompress_usingDict.restype = ctypes.c_size_t
        zstd.ZSTD_decompress_usingDict.argtypes = [ctypes.c_void_p] + [ctypes.c_char_p, ctypes.c_size_t] * 3
        got = zstd.ZSTD_decompress_usingDict(zstd.ZSTD_createDCtx(), out, len(out), body, len(body), dictionary, len(dictionary))
        assert got <= len(out)
        return out.raw[:got]
    br = ctypes.CDLL("libbrotlidec.so.1")
    br.BrotliDecoderCreateInstance.restype = ctypes.c_void_p
    state = ctypes.c_void_p(br.BrotliDecoderCreateInstance(None, None, None))
    assert br.BrotliDecoderAttachDictionary(state, 0, ctypes.c_size_t(len(dictionary)), dictionary) == 1
    stream = ctypes.create_string_buffer(body[36:], len(body) - 36)
    given, room = ctypes.c_size_t(len(body) - 36), ctypes.c_size_t(len(out))
    source, target = ctypes.c_void_p(ctypes.addressof(stream)), ctypes.c_void_p(ctypes.addressof(out))
    assert br.BrotliDecoderDecompressStream(state, ctypes.byref(given), ctypes.byref(source), ctypes.byref(room),
                                            ctypes.byref(target), None) == 1
    return out.raw[:len(out) - room.value]


@pytest.fixture
def new_tls(new_edge, authority, tmp_path):
    """An edge with a listener for TLS and one without."""
    def make(*origins, **compress):
        cert, key = authority.files()
        pair = {"cert": str(shutil.copy(cert, tmp_path / "cert.pem")), "key": str(shutil.copy(key, tmp_path / "key.pem"))}
        edge = new_edge(*origins, start=False, compress=compress)
        edge.configuration.update(listen=None, certificates=[pair], listeners=[{"address": edge.listen}])
        return edge.start()
    return make


@pytest.fixture
def edge(new_tls, origin):
    return new_tls(origin, dictionaries=True)


@pytest.fixture
def tls(authority):
    return authority.client()


@pytest.fixture
def sites(edge, origin):
    origin.on("/app.1.js", cacheable(OLD, 60, [SCRIPT, ("Use-As-Dictionary", 'match="/app.*.js"')]))
    origin.on("/app.2.js", cacheable(NEW, 60, [SCRIPT, ("ETag", '"two"'), ("Access-Control-Allow-Origin", "https://a.test")]))
    return origin


def made(edge, tls, coding, target="/app.2.js", fields=(), content=OLD):
    """The answer in CODING, once that has been made."""
    found = []

    def there():
        with edge.connect(tls=tls) as conn:
            found.append(conn.get(target, [*fields] or asking(content, f"gzip, {coding}")))
        return found[-1]["content-encoding"] == coding
    wait_until(there, what=coding)
    return found


def learn(edge, tls, target="/app.1.js"):
    with edge.connect(tls=tls) as conn:
        assert conn.get(target).status == 200


@pytest.mark.parametrize("coding", ["dcb", "dcz"])
def test_rfc9842_4_5_and_6_2_what_the_edge_codes_with_a_dictionary(edge, sites, tls, coding):
    learn(edge, tls)
    answers = made(edge, tls, coding)
    assert answers[0]["content-encoding"] == "gzip"  # nobody waits for it
    last = answers[-1]
    assert decode(coding, last.body, OLD) == NEW and len(last.body) < 200 < len(answers[0].body)
    assert last["content-length"] == str(len(last.body)) and last["etag"] == 'W/"two"' and last.hit
    assert [name.strip() for name in last["vary"].split(",")] == ["Accept-Encoding", "Available-Dictionary"]
    assert edge.metrics()[f'skerry_encodes_total{{coding="{coding}"}}'] == 1
    assert sites.count("/app.2.js") == 1


def test_rfc9842_6_2_every_answer_of_such_a_response_varies(edge, sites, tls):
    for fields in ([], [("Accept-Encoding", "br")], asking()):
        with edge.connect(tls=tls) as conn:
            assert conn.get("/app.2.js", fields)["vary"] == "Accept-Encoding, Available-Dictionary"


def test_a_dictionary_outlives_what_stood_at_its_url(edge, origin, tls):
    """The same URL with a new content: a client codes the difference."""
    contents = [OLD, NEW]
    origin.on("/app.js", lambda x: x.reply(contents[0], fields=[
        SCRIPT, ("Cache-Control", "max-age=60"), ("Use-As-Dictionary", 'match="/app.js"')]))
    learn(edge, tls, "/app.js")
    contents.pop(0)
    assert edge.admin("/purge", "POST", body=b'{"url": "https://example.test/app.js"}').status == 200
    assert decode("dcz", made(edge, tls, "dcz", "/app.js")[-1].body, OLD) == NEW


def test_a_304_and_head_speak_of_the_same(edge, sites, tls):
    learn(edge, tls)
    made(edge, tls, "dcz")
    with edge.connect(tls=tls) as conn:
        head = conn.request("HEAD", "/app.2.js", asking(accept="dcz"))
        assert (head["content-encoding"], head["etag"]) == ("dcz", 'W/"two"')
        same = conn.get("/app.2.js", asking(accept="dcz", more=[("If-None-Match", 'W/"two"')]))
        assert (same.status, same["etag"]) == (304, 'W/"two"')


CORS = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "cors")]
WITHOUT = {
    "a dictionary that nobody has": asking(b"other"),
    "no dictionary": [("Accept-Encoding", "gzip, dcz")],
    "a hash that is none": [("Accept-Encoding", "gzip, dcz"), ("Available-Dictionary", ":AAAA:")],
    "a coding that the client does not take": asking(accept="gzip, br"),
    "a coding that the client likes less": asking(accept="gzip, dcz;q=0.5"),
    "RFC 9842 9.3.3: a page of another origin": asking(more=[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")]),
    "RFC 9842 9.3.3: CORS for another origin": asking(more=[*CORS, ("Origin", "https://b.test")]),
    "RFC 9110 14.2: a part": asking(more=[("Range", "bytes=0-99")]),
    "RFC 9111 5.2.1.6: no-transform": asking(more=[("Cache-Control", "no-transform")]),
}


def test_rfc9842_9_3_where_no_dictionary_is_used(edge, sites, tls):
    learn(edge, tls)
    made(edge, tls, "dcz")
    for name, fields in WITHOUT.items():
        with edge.connect(tls=tls) as conn:
            assert conn.get("/app.2.js", fields)["content-encoding"] not in ("dcb", "dcz"), name
    with edge.connect(tls=tls) as conn:
        answer = conn.get("/app.2.js", asking(accept="dcz", more=[*CORS, ("Origin", "https://a.test")]))
        assert answer["content-encoding"] == "dcz"


def test_rfc9842_8_only_in_secure_contexts(new_edge, sites, edge, tls, origin):
    learn(edge, tls)
    made(edge, tls, "dcz")
    plain = new_edge(origin, compress={"dictionaries": True})
    plain.fetch("/app.1.js")
    for _ in range(3):
        assert plain.fetch("/app.2.js", fields=asking(accept="gzip, dcz"))["content-encoding"] == "gzip"
    assert plain.metrics()['skerry_encodes_total{coding="dcz"}'] == 0


def test_another_host_has_no_part_in_it(edge, sites, tls):
    learn(edge, tls)
    made(edge, tls, "dcz")
    with edge.connect(tls=tls) as conn:
        for _ in range(3):
            answer = conn.get("/app.2.js", asking(accept="gzip, dcz"), host="other.test")
            assert answer["content-encoding"] == "gzip"


OFFERS = {
    "off": (SCRIPT, 'match="/*"', {"dictionaries": False}),
    "another type": (SCRIPT, 'match="/*", type=other', {}),
    "no match": (SCRIPT, 'id="a"', {}),
    "coded already": (("Content-Encoding", "identity, x"), 'match="/*"', {}),
}


@pytest.mark.parametrize("name", OFFERS)
def test_what_is_no_dictionary(new_tls, origin, tls, name):
    field, offer, words = OFFERS[name]
    edge = new_tls(origin, **{"dictionaries": True, **words})
    origin.on("/app.1.js", cacheable(OLD, 60, [field, ("Use-As-Dictionary", offer)]))
    origin.on("/app.2.js", cacheable(NEW, 60, [SCRIPT]))
    learn(edge, tls)
    for _ in range(4):
        with edge.connect(tls=tls) as conn:
            assert conn.get("/app.2.js", asking(accept="gzip, dcz"))["content-encoding"] == "gzip"
    assert edge.metrics()['skerry_encodes_total{coding="dcz"}'] == 0


def test_purges_of_the_host_and_of_everything_take_dictionaries_away(edge, sites, tls):
    learn(edge, tls)
    assert edge.admin("/purge", "POST", body=b'{"all": true}').status == 200
    for _ in range(4):
        with edge.connect(tls=tls) as conn:
            assert conn.get("/app.2.js", asking(accept="gzip, dcz"))["content-encoding"] == "gzip"
    assert edge.metrics()['skerry_encodes_total{coding="dcz"}'] == 0


def test_content_that_does_not_shrink_is_tried_once(edge, origin, tls):
    origin.on("/app.1.js", cacheable(OLD, 60, [SCRIPT, ("Use-As-Dictionary", 'match="/*"')]))
    origin.on("/noise", cacheable(os.urandom(4000), 60, [("Content-Type", "text/plain")]))
    learn(edge, tls)
    for _ in range(5):
        with edge.connect(tls=tls) as conn:
            assert conn.get("/noise", asking(accept="dcz"))["content-encoding"] is None
    assert edge.metrics()['skerry_encodes_total{coding="dcz"}'] == 0
