"""No-Vary-Search seen from outside: one stored response for all queries that it calls equivalent, and for no other."""

import pytest

from harness.origin import reply, sequence

pytestmark = pytest.mark.one_by_one


def nvs(rule, *more, age=60):
    """A cacheable answer that shows its target."""

    def script(x):
        fields = [("Cache-Control", f"max-age={age}"), *more]
        if rule is not None:
            fields.append(("No-Vary-Search", rule))
        x.reply(x.request.target.encode(), fields=fields)

    return script


def test_an_equivalent_query_is_a_hit_at_once(edge, origin):
    origin.default = nvs('params=("utm_source" "utm_medium")')
    assert not edge.fetch("/a?id=1&utm_source=x").hit
    for target in ("/a?id=1", "/a?utm_medium=y&id=1", "/a?id=1&utm_source=z", "/a?%69d=1&&", "/a?id=1&utm_source=x"):
        response = edge.fetch(target)
        assert response.hit and response.body == b"/a?id=1&utm_source=x", target
    assert origin.count() == 1


def test_one_that_is_not_equivalent_never_is(edge, origin):
    origin.default = nvs('params=("utm_source")')
    edge.fetch("/a?id=1&b=2")
    for target in ("/a?id=2&b=2", "/a?b=2&id=1", "/a?id=1", "/a", "/a?id=1&b=2&UTM_SOURCE=x", "/b?id=1&b=2"):
        response = edge.fetch(target)
        assert not response.hit and response.body.decode() == target
    assert not edge.fetch("/a?id=1&b=2", host="other.test").hit


def test_the_order_and_everything_but(edge, origin):
    origin.default = nvs('key-order, params, except=("id" "page")')
    edge.fetch("/a?id=1&page=2&x=3")
    assert edge.fetch("/a?y&page=2&id=1").hit and not edge.fetch("/a?id=1&page=3").hit
    edge.fetch("/b")
    assert edge.fetch("/b?x=1").hit and edge.fetch("/b?").hit


@pytest.mark.parametrize("rule", ["params=?0", "unknown", "key-order=1", 'params=("a"), except=("b")', "(", ""])
def test_what_says_nothing_changes_nothing(shared, rule):
    path = f"/{abs(hash(rule))}"
    shared.origin.default = nvs(rule)
    shared.edge.fetch(path + "?a=1")
    assert not shared.edge.fetch(path + "?a=2").hit and shared.edge.fetch(path + "?a=1").hit


def test_the_origin_is_asked_for_what_the_client_asked_for(edge, origin):
    origin.default = nvs("params", age=0)
    edge.fetch("/a?x=1")
    edge.fetch("/a?y=%61&x")
    assert origin.last().target == "/a?y=%61&x"


def test_another_rule_starts_anew(edge, origin):
    """What was stored under the old rule is not found under the new one, whatever they have in common."""
    origin.on("/a", sequence(nvs('params=("x")'), nvs('params=("y")')))
    edge.fetch("/a?x=1&y=1")
    assert edge.fetch("/a?x=2&y=1").hit
    changed = edge.fetch("/a?x=2&y=2")
    assert not changed.hit and changed.cache_status["detail"] == "search-differs"
    assert not edge.fetch("/a?x=2&y=3").hit
    assert edge.fetch("/a?x=2&y=4").body == b"/a?x=2&y=3"
    assert not edge.fetch("/a?x=1&y=1").hit


def test_a_path_may_lose_its_rule(edge, origin):
    origin.on("/a", sequence(nvs("params"), nvs(None)))
    edge.fetch("/a?x=1")
    assert edge.fetch("/a?x=2").hit
    edge.admin("/purge", "POST", body=b'{"all": true}')
    assert not edge.fetch("/a?x=2").hit
    for target in ("/a?x=3", "/a?x=4"):
        assert edge.fetch(target).body.decode() == target
        assert edge.fetch(target).hit


def test_an_error_without_the_field_is_for_its_own_url_alone(edge, origin):
    def script(x):
        if "bad" in x.request.target:
            x.reply(b"no", 404, "No", [("Cache-Control", "max-age=60")])
        else:
            nvs('params=("x")')(x)

    origin.on("/a", script)
    edge.fetch("/a?id=1&x=1")
    assert edge.fetch("/a?id=bad&x=1").status == 404 and edge.fetch("/a?id=bad&x=2").status == 404
    assert edge.fetch("/a?id=1&x=2").hit


def test_a_304_keeps_the_rule(edge, origin):
    def script(x):
        fields = [("Cache-Control", "max-age=0"), ("ETag", '"e"'), ("No-Vary-Search", "params")]
        status = 304 if x.request.fields.get("if-none-match") == '"e"' else 200
        x.reply(b"body", status, "S", fields)

    origin.on("/a", script)
    edge.fetch("/a?x=1")
    for target in ("/a?x=2", "/a?x=3"):
        response = edge.fetch(target)
        assert response.body == b"body" and response.cache_status["detail"] == "revalidated"
        assert origin.last().target == target


def test_the_variants_of_equivalent_queries(edge, origin):
    def script(x):
        language = x.request.fields.get("accept-language")
        fields = [("Cache-Control", "max-age=60"), ("Vary", "Accept-Language"), ("No-Vary-Search", "params")]
        x.reply(str(language).encode(), fields=fields)

    origin.on("/a", script)
    for language in ("de", "fr"):
        edge.fetch("/a?x=1", fields=[("Accept-Language", language)])
    for language in ("de", "fr"):
        response = edge.fetch("/a?y=2", fields=[("Accept-Language", language)])
        assert response.hit and response.body == language.encode()


@pytest.mark.parametrize("target", ["/a?id=1&x=1", "/a?id=1", "/a?x=9&id=1"])
def test_the_purge_of_an_equivalent_url(edge, origin, target):
    origin.default = nvs('params=("x")')
    edge.fetch("/a?id=1&x=1")
    body = f'{{"url": "http://example.test{target}"}}'.encode()
    assert edge.admin("/purge", "POST", body=body).status == 200
    assert not edge.fetch("/a?id=1&x=1").hit


def test_an_unsafe_method_on_an_equivalent_url(edge, origin):
    """RFC 9111 4.4."""

    def script(x):
        nvs('params=("x")')(x) if x.request.method == "GET" else x.reply(b"done")

    origin.on("/a", script)
    edge.fetch("/a?id=1&x=1")
    edge.fetch("/a?id=1&x=2", "POST", body=b"b")
    assert not edge.fetch("/a?id=1&x=1").hit


def test_it_can_be_switched_off(new_edge, origin):
    edge = new_edge(origin, cache={"no_vary_search": False})
    origin.default = nvs("params")
    edge.fetch("/a?x=1")
    assert not edge.fetch("/a?x=2").hit and edge.fetch("/a?x=1").hit


def test_it_goes_with_keys_of_the_site(new_edge, origin):
    edge = new_edge(origin, key={"headers": ["X-Country"], "query_drop": ["utm_*"]})
    origin.default = nvs('params=("x")')
    assert edge.fetch("/a?utm_a=1&id=1&x=1", fields=[("X-Country", "de")]).body == b"/a?id=1&x=1"
    assert edge.fetch("/a?id=1&x=2&utm_b=2", fields=[("X-Country", "de")]).hit
    assert not edge.fetch("/a?id=1&x=2", fields=[("X-Country", "fr")]).hit


def test_a_part_of_an_equivalent_query(edge, origin):
    """A 206 is stored under the same rule as a 200, and never under another one."""
    body = bytes(range(256)) * 8192

    def script(x, rule='params=("x")'):
        first, last = (int(n) for n in x.request.fields.get("range", "bytes=0-2097151")[6:].split("-"))
        part = "range" in x.request.fields
        fields = [("Cache-Control", "max-age=60"), ("ETag", '"e"'), ("Accept-Ranges", "bytes")]
        fields += [("No-Vary-Search", rule)] if rule else []
        fields += [("Content-Range", f"bytes {first}-{last}/{len(body)}")] if part else []
        x.reply(body[first : last + 1], 206 if part else 200, "S", fields)

    origin.on("/a", script)
    origin.on("/b", sequence(script, lambda x: script(x, None)))
    asked = [("Range", "bytes=10-19")]
    for path in ("/a?id=1&x=1", "/a?id=1&x=2"):
        response = edge.fetch(path, fields=asked)
        assert (response.status, response.body) == (206, body[10:20])
    assert response.hit and not edge.fetch("/a?id=2", fields=asked).hit
    for path in ("/b?id=1", "/b?id=2", "/b?id=2&x=1"):
        response = edge.fetch(path, fields=asked)
        assert (response.status, response.body, response.hit) == (206, body[10:20], False)
