"""Purges: every kind, hard and soft, by the admin socket, the PURGE method and the command line; tags and groups;
what an unsafe request makes invalid (RFC 9111 4.4, RFC 9875)."""

import json
import re
import threading

import pytest

from harness.client import Conn
from harness.edge import run
from harness.origin import cacheable, reply
from harness.scale import wait_until

BODY = b"body" * 100
SHOP, BLOG = "shop.example.com", "blog.example.org"


def sites(origin):
    return [{"name": "shop", "hosts": [SHOP, f"*.{SHOP}"], "origins": [origin]},
            {"name": "blog", "hosts": [BLOG], "origins": [origin]}]


@pytest.fixture
def two(new_edge, origin):
    """An edge with two sites; everything is cacheable and says which request made it."""
    origin.default = lambda x: x.reply(BODY, fields=[("Cache-Control", "max-age=3600"), ("X-Path", x.request.target)])
    return new_edge(sites=sites(origin))


def purge(edge, body, status=200):
    response = edge.admin("/purge", "POST", [("Content-Type", "application/json")],
                          body=body if isinstance(body, bytes) else json.dumps(body).encode())
    assert response.status == status, (response, response.text)
    return json.loads(response.text) if status == 200 else response.text


def is_hit(edge, target, host=SHOP, fields=()):
    return edge.fetch(target, fields=fields, host=host).hit


def store(edge, *targets, host=SHOP):
    for target in targets:
        edge.fetch(target, host=host)
        assert is_hit(edge, target, host), target


def left(edge, *targets, host=SHOP):
    """Which of them a request would still find; looks by only-if-cached, so that nothing is stored anew."""
    return [target for target in targets
            if edge.fetch(target, fields=[("Cache-Control", "only-if-cached")], host=host).status == 200]


# --- kinds


ALL = ("/", "/a", "/a?x=1", "/a/b", "/images/1.png", "/images/2.jpg", "/imagesx")
KINDS = [
    ({"url": f"http://{SHOP}/a"}, {"/a"}),
    ({"url": f"https://{SHOP.upper()}/a"}, {"/a"}),  # one key for both schemes, the host in any case
    ({"url": f"http://{SHOP}/x/../%61"}, {"/a"}),  # RFC 3986 6.2.2: as a request would be
    ({"url": f"http://{SHOP}"}, {"/"}),
    ({"url": [f"http://{SHOP}/a?x=1", f"http://{SHOP}/a/b"]}, {"/a?x=1", "/a/b"}),
    ({"prefix": f"https://{SHOP}/images/"}, {"/images/1.png", "/images/2.jpg"}),
    ({"prefix": f"{SHOP}/images"}, {"/images/1.png", "/images/2.jpg", "/imagesx"}),
    ({"prefix": f"{SHOP}/a?"}, {"/a?x=1"}),
    ({"prefix": f"{SHOP}/"}, set(ALL)),
    ({"host": SHOP}, set(ALL)),
    ({"host": f"http://{SHOP}/"}, set(ALL)),
    ({"site": "shop"}, set(ALL)),
    ({"glob": f"{SHOP}/images/*.png"}, {"/images/1.png"}),
    ({"glob": "/images/?.*"}, {"/images/1.png", "/images/2.jpg"}),
    ({"glob": "/images/*", "site": "blog"}, set()),
    ({"all": True}, set(ALL)),
    ({"purges": [{"url": f"http://{SHOP}/a"}, {"glob": "*/b"}]}, {"/a", "/a/b"}),
]


@pytest.mark.parametrize("body, gone", KINDS, ids=[json.dumps(body) for body, _ in KINDS])
def test_each_kind_hits_what_it_names_and_nothing_else(two, body, gone):
    store(two, *ALL)
    store(two, "/a", "/images/1.png", host=BLOG)
    answer = purge(two, body)
    assert answer["purge"] >= 1 and answer["soft"] is False and answer["applied_us"] > 0
    assert set(left(two, *ALL)) == set(ALL) - gone
    if "all" not in body and body.get("glob") != "/images/?.*" and body.get("site") != "blog":
        assert left(two, "/a", "/images/1.png", host=BLOG) == ["/a", "/images/1.png"]


def test_numbers_count_up(two):
    first = purge(two, {"all": True})["purge"]
    assert purge(two, {"host": SHOP})["purge"] == first + 1
    answer = purge(two, {"purges": [{"host": SHOP}, {"tag": "x", "soft": True}]})
    assert answer["purge"] == first + 4 and answer["purges"] == 3  # a tag counts once a site
    assert answer["kind"] == "mixed" and answer["soft"] is None


def test_a_purged_response_is_a_miss_that_says_so(two):
    store(two, "/a")
    purge(two, {"url": f"http://{SHOP}/a"})
    response = two.fetch("/a", host=SHOP)
    assert not response.hit and response.cache_status["stored"] is True
    assert is_hit(two, "/a")


def test_all_variants_of_a_url_go(two, origin):
    origin.on("/v", lambda x: x.reply(x.request.fields.get("accept-language").encode(), fields=[
        ("Cache-Control", "max-age=3600"), ("Vary", "Accept-Language")]))
    for language in ("de", "fr", "de", "fr"):
        response = two.fetch("/v", fields=[("Accept-Language", language)], host=SHOP)
        assert response.body == language.encode()
    assert origin.count("/v") == 2
    purge(two, {"url": f"http://{SHOP}/v"})
    for language in ("de", "fr"):
        assert not is_hit(two, "/v", fields=[("Accept-Language", language)])
        assert is_hit(two, "/v", fields=[("Accept-Language", language)])
    assert origin.count("/v") == 4


# --- soft


def test_a_soft_purge_asks_the_origin_before_it_serves_again(two, origin):
    def script(x):
        if x.request.fields.get("if-none-match") == '"1"':
            x.reply(status=304, reason="Not Modified", fields=[("Cache-Control", "max-age=3600"), ("ETag", '"1"')])
        else:
            x.reply(BODY, fields=[("Cache-Control", "max-age=3600"), ("ETag", '"1"')])

    origin.on("/s", script)
    store(two, "/s")
    assert purge(two, {"url": f"http://{SHOP}/s", "soft": True})["soft"] is True
    response = two.fetch("/s", host=SHOP)
    assert response.body == BODY and origin.last("/s").fields.get("if-none-match") == '"1"'
    assert origin.count("/s") == 2
    assert is_hit(two, "/s") and origin.count("/s") == 2


def test_what_is_softly_purged_may_serve_when_the_origin_fails(two, origin):
    fields = [("Cache-Control", "max-age=3600, stale-if-error=600"), ("ETag", '"1"')]
    origin.on("/s", reply(BODY, fields=fields))
    origin.on("/h", reply(BODY, fields=fields))
    store(two, "/s", "/h")
    for path in ("/s", "/h"):
        origin.on(path, reply(b"", 503, "No"))
    purge(two, {"url": f"http://{SHOP}/s", "soft": True})
    purge(two, {"url": f"http://{SHOP}/h"})
    assert two.fetch("/s", host=SHOP).body == BODY
    assert two.fetch("/h", host=SHOP).status == 503


# --- what is on its way


@pytest.mark.parametrize("body", [{"url": f"http://{SHOP}/slow"}, {"tag": "slow"}, {"all": True},
                                  {"url": f"http://{SHOP}/slow", "soft": True}], ids=json.dumps)
def test_a_fill_that_began_before_a_purge_never_becomes_fresh(two, origin, body):
    go, versions = threading.Event(), iter((b"old", b"new", b"new"))

    def script(x):
        text = next(versions)
        if text == b"old":
            x.wait(go)
        x.reply(text, fields=[("Cache-Control", "max-age=3600"), ("Surrogate-Key", "slow")])

    origin.on("/slow", script)
    answers = []
    client = threading.Thread(target=lambda: answers.append(two.fetch("/slow", host=SHOP).body))
    client.start()
    origin.wait_for("/slow")
    purge(two, body)
    go.set()
    client.join()
    assert answers == [b"old"]  # it had asked before
    assert two.fetch("/slow", host=SHOP).body == b"new"


def test_who_comes_after_the_purge_does_not_join_the_old_fetch(two, origin):
    go, count = threading.Event(), iter(range(10))

    def script(x):
        if next(count) == 0:
            x.wait(go)
            x.reply(b"old", fields=[("Cache-Control", "max-age=3600")])
        else:
            x.reply(b"new", fields=[("Cache-Control", "max-age=3600")])

    origin.on("/slow", script)
    client = threading.Thread(target=lambda: two.fetch("/slow", host=SHOP))
    client.start()
    origin.wait_for("/slow")
    purge(two, {"host": SHOP})
    assert two.fetch("/slow", host=SHOP).body == b"new"
    go.set()
    client.join()
    assert two.fetch("/slow", host=SHOP).body == b"new"


# --- tags


TAG_FIELDS = [
    ("Surrogate-Key", "red  green\tblue"),
    ("Cache-Tag", "red, green ,blue,,"),
    ("xkey", "red green blue"),
]


@pytest.mark.parametrize("name, value", TAG_FIELDS)
@pytest.mark.parametrize("tag", ["red", "green", "blue"])
def test_a_tag_of_each_field_is_purged_and_the_field_is_not_passed_on(two, origin, name, value, tag):
    origin.on("/t", cacheable(BODY, fields=[(name, value)]))
    origin.on("/u", cacheable(BODY, fields=[(name, "other")]))
    store(two, "/t", "/u")
    for response in (two.fetch("/t", host=SHOP), two.fetch("/u", method="HEAD", host=SHOP)):
        assert response[name] is None
    purge(two, {"tags": ["none", tag]})
    assert left(two, "/t", "/u") == ["/u"]


def test_tags_are_whole_words_in_their_case(two, origin):
    origin.on("/t", cacheable(BODY, fields=[("Surrogate-Key", "article/12")]))
    store(two, "/t")
    for tag in ("article/1", "article", "ARTICLE/12", "article/12,", "article/123"):
        purge(two, {"tag": tag})
    assert left(two, "/t") == ["/t"]
    purge(two, {"tag": "article/12"})
    assert left(two, "/t") == []


def test_a_tag_may_be_purged_for_one_site(two, origin):
    origin.on("/t", cacheable(BODY, fields=[("Cache-Tag", "news")]))
    store(two, "/t")
    store(two, "/t", host=BLOG)
    purge(two, {"tag": "news", "site": "blog"})
    assert left(two, "/t") == ["/t"] and left(two, "/t", host=BLOG) == []
    purge(two, {"tag": "news"})
    assert left(two, "/t") == []


def test_tags_pass_where_the_site_says_so(new_edge, origin):
    edge = new_edge(sites=[{"origins": [origin], "pass_tags": True}])
    origin.on("/t", cacheable(BODY, fields=[("Cache-Tag", "a"), ("Surrogate-Key", "b"), ("xkey", "c")]))
    store(edge, "/t")
    response = edge.fetch("/t", host=SHOP)
    assert (response["cache-tag"], response["surrogate-key"], response["xkey"]) == ("a", "b", "c")
    purge(edge, {"tag": "b"})
    assert left(edge, "/t") == []


def test_with_too_many_tags_a_response_is_not_stored(two, origin):
    origin.on("/many", cacheable(BODY, fields=[("Surrogate-Key", " ".join(f"t{i}" for i in range(1024)))]))
    origin.on("/more", cacheable(BODY, fields=[("Surrogate-Key", " ".join(f"t{i}" for i in range(1025)))]))
    store(two, "/many")
    response = two.fetch("/more", host=SHOP)
    assert response.body == BODY and response.cache_status["detail"] == "too-many-tags"
    assert not is_hit(two, "/more")
    purge(two, {"tag": "t1023"})
    assert left(two, "/many") == []


def test_rfc9111_3_2_a_304_changes_only_the_tags_of_fields_that_it_has(two, origin):
    def script(x):
        if x.request.fields.get("if-none-match"):
            x.reply(status=304, reason="Not Modified", fields=[
                ("Cache-Control", "max-age=3600"), ("ETag", '"1"'), ("Surrogate-Key", "new")])
        else:
            x.reply(BODY, fields=[("Cache-Control", "max-age=3600"), ("ETag", '"1"'), ("Surrogate-Key", "old"),
                                  ("Cache-Tag", "kept")])

    def confirmed():
        purge(two, {"all": True})
        two.fetch("/t", host=SHOP)
        purge(two, {"url": f"http://{SHOP}/t", "soft": True})
        two.fetch("/t", host=SHOP)
        assert is_hit(two, "/t")

    origin.on("/t", script)
    for tag, stays in (("old", ["/t"]), ("new", []), ("kept", [])):
        confirmed()
        assert two.fetch("/t", host=SHOP)["surrogate-key"] is None
        purge(two, {"tag": tag})
        assert left(two, "/t") == stays, tag


# --- groups: RFC 9875


def group_script(groups):
    return cacheable(BODY, fields=[("Cache-Groups", groups)])


def invalidating(groups, status=200):
    return reply(b"", status, "x", [("Cache-Group-Invalidation", groups)])


def test_rfc9875_3_an_unsafe_request_invalidates_the_groups_it_names(two, origin):
    origin.on("/1", group_script('"scripts"'))
    origin.on("/2", group_script('"a", "scripts";x=1, "b"'))
    origin.on("/3", group_script('"Scripts"'))
    origin.on("/do", invalidating('"none", "scripts";unknown=2'))
    store(two, "/1", "/2", "/3")
    two.fetch("/do", method="POST", host=SHOP)
    assert left(two, "/1", "/2", "/3") == ["/3"]
    assert two.metrics()["skerry_cache_groups_invalidated_total"] == 2


def test_rfc9875_3_on_a_safe_request_it_is_ignored(two, origin):
    origin.on("/1", group_script('"g"'))
    origin.on("/do", invalidating('"g"'))
    store(two, "/1")
    for method in ("GET", "HEAD", "OPTIONS"):
        two.fetch("/do", method=method, host=SHOP)
    assert left(two, "/1") == ["/1"]


def test_rfc9875_3_an_unknown_method_is_unsafe(two, origin):
    origin.on("/1", group_script('"g"'))
    origin.on("/do", invalidating('"g"'))
    store(two, "/1")
    two.fetch("/do", method="FROB", host=SHOP)
    assert left(two, "/1") == []


def test_rfc9875_2_1_groups_are_of_one_origin(two, origin):
    origin.on("/1", group_script('"g"'))
    origin.on("/do", invalidating('"g"'))
    hosts = (SHOP, BLOG, "www." + SHOP, SHOP + ":8080")
    for host in hosts:
        store(two, "/1", host=host)
    two.fetch("/do", method="POST", host=SHOP)
    assert [host for host in hosts if left(two, "/1", host=host)] == list(hosts[1:])


@pytest.mark.parametrize("field", ["g", '"g', "?1", '("g")', '"g" "h"', '"g", h', "1, 2"])
def test_rfc9875_2_a_field_that_is_no_list_of_strings_is_ignored(two, origin, field):
    """RFC 9651 4.2: it is ignored as a whole."""
    origin.on("/bad", group_script(field))
    origin.on("/good", group_script('"g"'))
    origin.on("/do-bad", invalidating(field))
    origin.on("/do", invalidating('"g"'))
    store(two, "/bad", "/good")
    two.fetch("/do-bad", method="POST", host=SHOP)
    assert left(two, "/good") == ["/good"]
    two.fetch("/do", method="POST", host=SHOP)
    assert left(two, "/good", "/bad") == ["/bad"]


def test_rfc9875_2_32_groups_of_32_characters_are_supported(two, origin):
    groups = [f"{i:032}" for i in range(32)]
    origin.on("/1", group_script(", ".join(f'"{group}"' for group in groups)))
    for group in (groups[0], groups[31]):
        store(two, "/1")
        origin.on("/do", invalidating(f'"{group}"'))
        two.fetch("/do", method="POST", host=SHOP)
        assert left(two, "/1") == []
    store(two, "/1")
    origin.on("/do", invalidating(", ".join(f'"{group}x"' for group in groups) + f', "{groups[5]}"'))
    two.fetch("/do", method="POST", host=SHOP)
    assert left(two, "/1") == []


def test_rfc9875_2_2_1_invalidation_of_a_group_does_not_cascade(two, origin):
    origin.on("/1", group_script('"a", "b"'))
    origin.on("/2", group_script('"b"'))
    origin.on("/do", invalidating('"a"'))
    store(two, "/1", "/2")
    two.fetch("/do", method="POST", host=SHOP)
    assert left(two, "/1", "/2") == ["/2"]


def test_groups_and_tags_are_different_name_spaces(two, origin):
    origin.on("/1", group_script('"g"'))
    origin.on("/2", cacheable(BODY, fields=[("Surrogate-Key", "g")]))
    origin.on("/do", invalidating('"g"'))
    store(two, "/1", "/2")
    purge(two, {"tag": "g"})
    assert left(two, "/1", "/2") == ["/1"]
    store(two, "/2")
    two.fetch("/do", method="POST", host=SHOP)
    assert left(two, "/1", "/2") == ["/2"]


def test_groups_are_passed_on(two, origin):
    """They are for every cache on the way."""
    origin.on("/1", group_script('"g"'))
    store(two, "/1")
    assert two.fetch("/1", host=SHOP)["cache-groups"] == '"g"'


def test_rfc9875_3_an_error_invalidates_nothing(two, origin):
    origin.on("/1", group_script('"g"'))
    origin.on("/do", invalidating('"g"', 500))
    store(two, "/1")
    two.fetch("/do", method="POST", host=SHOP)
    assert left(two, "/1") == ["/1"]


# --- what an unsafe request makes invalid: RFC 9111 4.4


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROB"])
@pytest.mark.parametrize("status", [200, 201, 204, 303])
def test_rfc9111_4_4_the_target_is_invalidated(two, origin, method, status):
    store(two, "/x")
    origin.on("/x", reply(b"", status, "x"))
    two.fetch("/x", method=method, host=SHOP)
    assert left(two, "/x") == []


@pytest.mark.parametrize("method, status", [("POST", 400), ("POST", 500), ("GET", 200), ("HEAD", 200), ("OPTIONS", 200)])
def test_rfc9111_4_4_errors_and_safe_methods_invalidate_nothing(two, origin, method, status):
    store(two, "/x")
    if method not in ("GET", "HEAD"):
        origin.on("/x", reply(b"", status, "x"))
    two.fetch("/x", method=method, host=SHOP)
    assert left(two, "/x") == ["/x"]


@pytest.mark.h1_only
@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize("reference, target", [
    ("/there", "/there"), (f"http://{SHOP}/there?a=1", "/there?a=1"), ("there", "/deep/there"), ("../%74here", "/there"),
    (f"//{SHOP.upper()}:80/there#part", "/there"), ("?q", "/deep/do?q"),
])
def test_rfc9111_4_4_location_and_content_location_are_invalidated(two, origin, name, reference, target):
    store(two, target, "/other")
    origin.on("/deep/do", reply(b"", 201, "Created", [(name, reference)]))
    two.fetch("/deep/do", method="POST", host=SHOP)
    assert left(two, target, "/other") == ["/other"]


@pytest.mark.h1_only
@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize("reference, host", [
    (f"http://{BLOG}/there", BLOG), (f"https://{SHOP}/there", SHOP), (f"http://{SHOP}:8080/there", SHOP + ":8080"),
    (f"http://www.{SHOP}/there", "www." + SHOP),
])
def test_rfc9111_4_4_another_origin_is_not_invalidated(two, origin, name, reference, host):
    store(two, "/there", host=host)
    origin.on("/do", reply(b"", 201, "Created", [(name, reference)]))
    two.fetch("/do", method="POST", host=SHOP)
    assert left(two, "/there", host=host) == ["/there"]


def test_rfc9111_4_4_what_is_on_its_way_is_not_stored(two, origin):
    go, count = threading.Event(), iter(range(10))

    def script(x):
        if x.request.method == "POST":
            x.reply(b"done")
        elif next(count) == 0:
            x.wait(go)
            x.reply(b"old", fields=[("Cache-Control", "max-age=3600")])
        else:
            x.reply(b"new", fields=[("Cache-Control", "max-age=3600")])

    origin.on("/x", script)
    client = threading.Thread(target=lambda: two.fetch("/x", host=SHOP))
    client.start()
    origin.wait_for("/x")
    two.fetch("/x", method="POST", host=SHOP)
    go.set()
    client.join()
    assert two.fetch("/x", host=SHOP).body == b"new"


# --- what is refused


WRONG = [
    (b"", "found no JSON"),
    (b"{", "at byte"),
    (b"[]", "found array, expected an object"),
    (b"{}", "found nothing to purge, expected one of url"),
    (b'{"soft": true}', "found nothing to purge"),
    ({"uri": "http://a/"}, 'found the key "uri"; did you mean "url"?'),
    ({"everything": True}, 'found the key "everything", expected one of url, prefix'),
    ({"url": "http://a/", "tag": "b"}, 'found both "url" and "tag"'),
    ({"url": 5}, "url: found uint, expected a text"),
    ({"url": ""}, "url: found an empty text"),
    ({"url": []}, "url: found an empty list"),
    ({"url": "/a"}, 'url: found "/a", expected an absolute URL'),
    ({"url": "ftp://a/"}, "expected an absolute URL"),
    ({"url": f"http://{SHOP}/%zz"}, "expected an absolute URL"),
    ({"url": "http://nobody.example/"}, "expected a host that a site serves"),
    ({"host": "nobody.example"}, "expected a host that a site serves"),
    ({"host": f"{SHOP}/a"}, "expected a host alone"),
    ({"host": f"{SHOP}\0.evil"}, "expected a text without control bytes"),
    ({"prefix": "/images/"}, "of every host: glob /images/*"),
    ({"prefix": f"{SHOP}/a/.."}, "no half escape, no dot segment"),
    ({"prefix": f"{SHOP}/a%4"}, "no half escape"),
    ({"site": "shpo"}, 'site: found "shpo", expected the name of a site; did you mean "shop"?'),
    ({"tag": " a"}, "tag: found"),
    ({"tag": "t" * 1025}, "expected a tag of 1 to 1024 bytes"),
    ({"tag": "a", "site": "none"}, 'site: found "none"'),
    ({"glob": "*" * 17 + "a"}, "at most 512 bytes and 16 stars"),
    ({"all": False}, "all: found false, expected true"),
    ({"all": True, "soft": "yes"}, "soft: found string, expected true or false"),
    ({"purges": []}, "purges: found an empty list"),
    ({"purges": {}}, "purges: found object, expected a list"),
    ({"purges": [{"tag": "a"}, {"url": "x"}]}, 'purges[1].url: found "x"'),
    ({"purges": [{"tag": "a"}, 7]}, "purges[1]: found uint, expected an object"),
    ({"purges": [{"tag": "a"}, {"tga": "a"}]}, 'purges[1]: found the key "tga"; did you mean "tag"?'),
    ({"purges": [{"purges": []}]}, "found a list within the list"),
    ({"purges": [{"all": True}], "url": "http://a/"}, 'found both "purges" and "url"'),
    ({"tag": ["a"] * 10001}, "more than 10000 purges"),
]


@pytest.mark.parametrize("body, text", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_what_is_wrong_is_told_with_its_place_and_purges_nothing(shared, body, text):
    edge, origin = shared.edge, shared.origin
    if not hasattr(shared, "sites"):
        shared.sites = shared.edges(sites=sites(origin))
        origin.default = cacheable(BODY)
    edge = shared.sites
    before = edge.metrics()["skerry_purges_refused_total"]
    edge.fetch("/a", host=SHOP)
    assert text in purge(edge, body, 400)
    assert left(edge, "/a") == ["/a"]
    assert edge.metrics()["skerry_purges_refused_total"] == before + 1


def test_a_request_over_the_limit_is_a_413(two):
    purge(two, b'{"tag": "' + b"x" * (1 << 20) + b'"}', 413)


def test_another_method_is_a_405(two):
    assert two.admin("/purge").status == 405


def test_ten_thousand_purges_in_one_request(new_edge, origin):
    """With room for so many notes: in a small cache some of them would be kept in their coarser form."""
    origin.default = cacheable(BODY)
    edge = new_edge(sites=sites(origin), memory="1GiB")
    store(edge, "/a", "/b")
    purges = [{"url": f"http://{SHOP}/p/{i}"} for i in range(9999)] + [{"url": f"http://{SHOP}/a"}]
    answer = purge(edge, {"purges": purges})
    assert answer["purges"] == 10000 and answer["kind"] == "url"
    assert left(edge, "/a", "/b") == ["/b"]


def test_purges_in_a_row_on_one_connection(two):
    with Conn(two.admin_path) as conn:
        numbers = [json.loads(conn.request("POST", "/purge", body=b'{"tag": "a", "site": "shop"}', host="localhost").text)
                   ["purge"] for _ in range(50)]
    assert numbers == list(range(numbers[0], numbers[0] + 50))


# --- what is told of it


def test_purges_are_counted_and_logged(two):
    for body in ({"url": f"http://{SHOP}/a"}, {"tag": "t", "soft": True}, {"host": SHOP}, {"all": True}):
        purge(two, body)
    metrics = two.metrics()
    counted = {kind: metrics[f'skerry_purges_total{{kind="{kind}"}}']
               for kind in ("url", "prefix", "host", "site", "tag", "glob", "all")}
    assert counted == {"url": 1, "prefix": 0, "host": 1, "site": 0, "tag": 2, "glob": 0, "all": 1}
    assert metrics["skerry_purge_duration_seconds_count"] == 5
    log = two.log()
    assert f"purge: 1 by admin: hard url: shop|{SHOP}|/a" in log
    assert "by admin: hard all" in log


# --- the command line


def cli(edge, *arguments):
    return run("purge", "--admin", f"unix:{edge.admin_path}", *arguments)


@pytest.mark.parametrize("arguments, gone", [
    ([f"http://{SHOP}/a"], {"/a"}), ([f"http://{SHOP}/a", f"http://{SHOP}/a/b"], {"/a", "/a/b"}),
    (["--prefix", f"{SHOP}/images/"], {"/images/1.png", "/images/2.jpg"}), (["--host", SHOP], set(ALL)),
    (["--site", "shop"], set(ALL)), (["--tag", "t"], {"/a/b"}), (["--tag", "t", "--in", "blog"], set()),
    (["--glob", "/images/*.png"], {"/images/1.png"}), (["--glob", "/images/*.png", "--in", "blog"], set()),
    (["--all"], set(ALL)), (["--all", "--soft"], set(ALL)),
])
def test_the_command_purges(two, origin, arguments, gone):
    origin.on("/a/b", cacheable(BODY, fields=[("Surrogate-Key", "t")]))
    store(two, *ALL)
    done = cli(two, *arguments)
    assert done.returncode == 0 and done.stdout.startswith("purge ") and not done.stderr
    assert "soft" in done.stdout if "--soft" in arguments else "soft" not in done.stdout
    assert set(left(two, *ALL)) == set(ALL) - gone


def test_the_command_as_json(two):
    done = cli(two, "--json", "--tag", "a", "--in", "shop")
    assert done.returncode == 0 and json.loads(done.stdout)["kind"] == "tag"


@pytest.mark.parametrize("arguments, code, text", [
    ([], 2, "what? Give a URL"), (["/a"], 2, "purges[0].url: found"), (["--site", "shpo"], 2, 'did you mean "shop"'),
    (["--frob"], 2, "unrecognized option"), (["--all", "--admin", "unix:/nowhere/at/all"], 1, "does the process run"),
    (["--all", "--admin", "nonsense"], 2, "expected unix:PATH"),
    (["--all", "--token-file", "/nowhere/at/all"], 2, "--token-file"),
])
def test_the_command_says_what_is_wrong(two, arguments, code, text):
    done = cli(two, *arguments)
    assert done.returncode == code and text in done.stderr and not done.stdout


def test_the_command_with_a_token(new_edge, origin, tmp_path):
    (tmp_path / "token").write_text("a-secret-of-some-length\n")
    edge = new_edge(sites=sites(origin), admin="127.0.0.1:0", admin_token="a-secret-of-some-length")
    address = re.search(r"admin on http://(\S+)", edge.log())[1]
    refused = run("purge", "--admin", address, "--all")
    assert refused.returncode == 1 and "token" in refused.stderr
    assert run("purge", "--admin", address, "--token-file", tmp_path / "token", "--all").returncode == 0


def test_help_purge():
    done = run("help", "purge")
    assert done.returncode == 0 and "--soft" in done.stdout and "Exit codes" in done.stdout


# --- the PURGE method


@pytest.fixture
def open_edge(new_edge, origin):
    """PURGE from this machine, but not for the blog."""
    origin.default = cacheable(BODY)
    both = sites(origin)
    both[1]["purge"] = {"allow": ["192.0.2.0/24", "2001:db8::/32"]}
    return new_edge(sites=both, purge={"allow": ["10.0.0.0/8", "127.0.0.1"]})


def ask_purge(edge, target, fields=(), host=SHOP, status=200):
    response = edge.fetch(target, method="PURGE", fields=fields, host=host)
    assert response.status == status, (response, response.text)
    return json.loads(response.text) if status == 200 else response


def test_purge_is_a_405_where_nobody_is_allowed(two, origin):
    store(two, "/a")
    response = ask_purge(two, "/a", status=405)
    assert "purge.allow" in response.text and "PURGE" not in response["allow"]
    assert left(two, "/a") == ["/a"]
    assert not [request for request in origin.seen() if request.method == "PURGE"]


def test_a_site_may_have_its_own_networks(open_edge, origin):
    store(open_edge, "/a", host=BLOG)
    ask_purge(open_edge, "/a", host=BLOG, status=405)
    forged = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")]
    ask_purge(open_edge, "/a", forged, host=BLOG, status=405)
    assert left(open_edge, "/a", host=BLOG) == ["/a"]


def test_purge_hits_the_url_and_never_reaches_the_origin(open_edge, origin):
    store(open_edge, "/a", "/a?x", "/b")
    store(open_edge, "/a", host=BLOG)
    before = origin.count()
    answer = ask_purge(open_edge, "/a")
    assert answer["kind"] == "url" and answer["soft"] is False and answer["purge"] == 1
    assert left(open_edge, "/a", "/a?x", "/b") == ["/a?x", "/b"]
    assert left(open_edge, "/a", host=BLOG) == ["/a"]
    ask_purge(open_edge, "/never/stored")
    assert origin.count() == before
    assert "by 127.0.0.1: hard url" in open_edge.log()


def test_purge_goes_on_on_its_connection(open_edge):
    with open_edge.connect() as conn:
        for _ in range(3):
            assert conn.request("PURGE", "/a", body=b"ignored", host=SHOP).status == 200


@pytest.mark.parametrize("field", ["Skerry-Soft-Purge", "Fastly-Soft-Purge"])
def test_purge_is_soft_by_a_field(open_edge, origin, field):
    origin.on("/s", cacheable(BODY, fields=[("ETag", '"1"')]))
    store(open_edge, "/s")
    assert ask_purge(open_edge, "/s", [(field, "0")])["soft"] is False
    store(open_edge, "/s")
    assert ask_purge(open_edge, "/s", [(field, "1")])["soft"] is True
    open_edge.fetch("/s", host=SHOP)
    assert origin.last("/s").fields.get("if-none-match") == '"1"'


@pytest.mark.parametrize("field, value, soft", [
    ("Surrogate-Key", "x red", False), ("Cache-Tag", "x, red", False), ("xkey", "red", False),
    ("xkey-purge", "red x", False), ("xkey-softpurge", "red", True),
])
def test_purge_by_tags(open_edge, origin, field, value, soft):
    origin.on("/t", cacheable(BODY, fields=[("Surrogate-Key", "red blue")]))
    store(open_edge, "/t", "/")
    answer = ask_purge(open_edge, "/", [(field, value)])
    assert answer["kind"] == "tag" and answer["soft"] is soft
    assert left(open_edge, "/t", "/") == ["/"]


def test_purge_by_no_tag_purges_nothing(open_edge):
    store(open_edge, "/")
    ask_purge(open_edge, "/", [("Surrogate-Key", "")], status=400)
    ask_purge(open_edge, "*", status=400)
    assert left(open_edge, "/") == ["/"]


# --- what it leaves behind


def test_purged_space_is_reclaimed_in_the_background(two):
    store(two, *(f"/r/{i}" for i in range(100)))
    store(two, "/kept")
    purge(two, {"prefix": f"{SHOP}/r/"})
    wait_until(lambda: two.metrics()["skerry_cache_reclaimed_objects_total"] == 100, what="the sweep")
    metrics = two.metrics()
    assert metrics["skerry_cache_objects"] == 1 and metrics["skerry_cache_reclaimed_bytes_total"] >= 100 * len(BODY)
    assert left(two, "/kept") == ["/kept"]
