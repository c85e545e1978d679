"""Vary and content negotiation: requests that mean the same share a variant (RFC 9111 4.1, RFC 9110 12.5)."""

import pytest

from harness.origin import cacheable

pytestmark = pytest.mark.one_by_one

FRESH = [("Cache-Control", "max-age=60")]


def echo(origin, name, path="/a"):
    """The origin answers with the value of a request field, and varies by it."""
    def script(x):
        value = x.request.fields.get(name)
        x.reply(b"none" if value is None else value.encode(), fields=[*FRESH, ("Vary", name)])

    origin.on(path, script)


def ask(edge, name, value, path="/a"):
    return edge.fetch(path, fields=[] if value is None else [(name, value)])


# --- Accept-Encoding


CODINGS = {
    "gzip, deflate, br, zstd": "br, gzip, zstd",
    "gzip,br,zstd": "br, gzip, zstd",
    "*": "br, gzip, zstd",
    "gzip;q=1.0, br;q=0": "gzip",
    "X-GZIP, compress": "gzip",
    "": "identity",
    "identity": "identity",
    "br;q=high": "identity",
    "*;q=0": "identity;q=0",
}


@pytest.mark.parametrize("value", CODINGS)
def test_rfc9110_12_5_3_the_origin_is_asked_with_the_normal_form(edge, origin, value):
    echo(origin, "Accept-Encoding")
    assert ask(edge, "Accept-Encoding", value).body.decode() == CODINGS[value]


def test_rfc9110_12_5_3_requests_that_accept_the_same_share_a_variant(edge, origin):
    echo(origin, "Accept-Encoding")
    for value, normal in CODINGS.items():
        assert ask(edge, "Accept-Encoding", value).body.decode() == normal
    assert origin.count() == len(set(CODINGS.values()))


def test_rfc9111_4_1_no_accept_encoding_is_a_variant_of_its_own(edge, origin):
    echo(origin, "Accept-Encoding")
    assert ask(edge, "Accept-Encoding", None).body == b"none"
    assert ask(edge, "Accept-Encoding", "").body == b"identity"
    assert ask(edge, "Accept-Encoding", None).hit
    assert origin.count() == 2


def test_without_vary_the_origin_sees_the_normal_form_too(edge, origin):
    """Otherwise two requests of one key could get different responses."""
    origin.on("/a", cacheable(b"x"))
    edge.fetch("/a", fields=[("Accept-Encoding", "gzip;q=0.3, x-odd, br")])
    assert origin.last().fields.get("accept-encoding") == "br, gzip"


def test_what_the_origin_coded_is_not_given_to_a_client_that_does_not_take_it(edge, origin):
    """Although the origin forgot Vary: otherwise the first client decides what all others get."""
    def script(x):
        coded = "gzip" in (x.request.fields.get("accept-encoding") or "")
        x.reply(b"coded" if coded else b"plain", fields=[*FRESH, *([("Content-Encoding", "gzip")] if coded else [])])

    origin.on("/a", script)
    for _ in range(2):
        response = ask(edge, "Accept-Encoding", "gzip")
        assert response.body == b"coded" and response["vary"] == "Accept-Encoding"
        assert ask(edge, "Accept-Encoding", None).body == b"plain"
    assert origin.count() == 2


# --- the classes that a site opts in to


def test_rfc4647_3_4_languages_become_those_of_the_site(new_edge, origin):
    edge = new_edge(origin, vary={"languages": ["en", "de", "pt-BR"]})
    echo(origin, "Accept-Language")
    asked = {"de-CH, de;q=0.9, en;q=0.8": "de", "DE": "de", "fr, de;q=0.1": "de", "pt": "pt-BR", "fr": "en",
             "en-GB, *;q=0.1": "en", None: "none"}
    for value, expected in asked.items():
        assert ask(edge, "Accept-Language", value).body.decode() == expected, value
    assert origin.count() == 4


def test_media_types_become_those_of_the_site(new_edge, origin):
    edge = new_edge(origin, vary={"accept": ["image/avif", "image/webp"]})
    echo(origin, "Accept")
    asked = {"image/avif,image/webp,image/*,*/*;q=0.8": "image/avif, */*;q=0.1",
             "image/webp, */*": "image/webp, */*;q=0.1", "*/*": "*/*", "text/html": "*/*"}
    for value, expected in asked.items():
        assert ask(edge, "Accept", value).body.decode() == expected, value
    assert origin.count() == 3


def test_user_agents_become_classes_and_the_log_has_the_real_one(new_edge, origin):
    edge = new_edge(origin, vary={"user_agent": "classes"})
    echo(origin, "User-Agent")
    mobile = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148"
    assert ask(edge, "User-Agent", mobile).body == ask(edge, "User-Agent", "x Android y").body
    assert ask(edge, "User-Agent", "x Firefox/130.0").body != ask(edge, "User-Agent", "Googlebot/2.1").body
    assert origin.count() == 3
    assert mobile in [entry["user_agent"] for entry in edge.access_log(count=4)]


def test_without_opting_in_fields_are_as_they_came(edge, origin):
    echo(origin, "Accept-Language")
    assert ask(edge, "Accept-Language", "de;q=0.9,  en").body == b"de;q=0.9,  en"


def test_what_the_cache_does_not_look_at_goes_on_as_it_came(new_edge, origin):
    edge = new_edge(origin, vary={"languages": ["en", "de"]})
    origin.on("/a", lambda x: x.reply(b"x"))
    fields = [("Accept-Language", "fr"), ("Accept-Encoding", "gzip;q=0.5")]
    edge.fetch("/a", "POST", fields=fields)
    seen = origin.last().fields
    assert (seen.get("accept-language"), seen.get("accept-encoding")) == ("fr", "gzip;q=0.5")


def test_a_request_that_passes_by_does_not_make_its_url_uncacheable(edge, origin):
    origin.on("/a", cacheable(b"x"))
    edge.fetch("/a", "POST")
    edge.fetch("/a")
    assert edge.fetch("/a").hit


# --- the bound


def test_variants_of_one_url_are_bounded_and_counted(edge, origin):
    echo(origin, "X-V")
    with edge.connect() as conn:
        for i in range(1030):
            assert conn.get("/a", fields=[("X-V", str(i))]).body == b"%d" % i
    assert edge.metrics()["skerry_cache_variant_bounds"] == 1
