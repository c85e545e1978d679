#include "http/cache_status.h"

#include "unit.h"

#define S(text) SK_STR_INIT(text)
#define LONG_KEY LONG LONG
#define LONG                                                                                                 \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"   \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"   \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static const struct {
    const char *name;
    struct http_cache_status status;
    sk_str expected;
} member_cases[] = {
    {"RFC 9211 2.1: a hit",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_HIT_FRESH, .hit = true, .has_ttl = true, .ttl_s = 30},
     S("Skerry; hit; ttl=30")},
    {"RFC 9211 2.4: a stale hit has a negative ttl",
     {.cache_name = S("Skerry"),
      .reason = HTTP_REASON_HIT_STALE_WHILE_REVALIDATE,
      .hit = true,
      .has_ttl = true,
      .ttl_s = -12},
     S("Skerry; hit; ttl=-12; detail=stale-while-revalidate")},
    {"RFC 9211 2.2: a miss",
     {.cache_name = S("Skerry"),
      .reason = HTTP_REASON_MISS_NOT_STORED,
      .fwd_status = 200,
      .stored = true,
      .has_ttl = true,
      .ttl_s = 3600},
     S("Skerry; fwd=uri-miss; fwd-status=200; stored; ttl=3600")},
    {"RFC 9211 2.2: a miss by Vary, collapsed",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_MISS_VARY, .fwd_status = 200, .collapsed = true},
     S("Skerry; fwd=vary-miss; fwd-status=200; collapsed")},
    {"RFC 9211 2.2: revalidated is no hit",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_HIT_REVALIDATED, .fwd_status = 304, .stored = true},
     S("Skerry; fwd=stale; fwd-status=304; stored; detail=revalidated")},
    {"RFC 9211 2.2: bypass",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_PASS_RULE, .fwd_status = 404},
     S("Skerry; fwd=bypass; fwd-status=404")},
    {"RFC 9211 2.2: bypass for another reason",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_PASS_UPGRADE},
     S("Skerry; fwd=bypass; detail=upgrade")},
    {"RFC 9211 2.2: a key that is remembered as not shareable",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_PASS_REMEMBERED},
     S("Skerry; fwd=miss; detail=hit-for-miss")},
    {"RFC 9211 2.2: the request's own word",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_MISS_REQUEST, .fwd_status = 200},
     S("Skerry; fwd=request; fwd-status=200")},
    {"RFC 9211 2.2: what is purged is not there",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_MISS_PURGED, .fwd_status = 200},
     S("Skerry; fwd=uri-miss; fwd-status=200; detail=purged")},
    {"RFC 9211 2.2: what is purged softly is stale",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_MISS_SOFT_PURGED, .fwd_status = 304},
     S("Skerry; fwd=stale; fwd-status=304; detail=soft-purged")},
    {"RFC 9211 2.1: a stale answer after the origin failed went forward",
     {.cache_name = S("Skerry"),
      .reason = HTTP_REASON_HIT_STALE_IF_ERROR,
      .fwd_status = 503,
      .has_ttl = true,
      .ttl_s = -5},
     S("Skerry; fwd=stale; fwd-status=503; ttl=-5; detail=stale-if-error")},
    {"RFC 9211 2.8: a lifetime that is a guess",
     {.cache_name = S("Skerry"),
      .reason = HTTP_REASON_HIT_FRESH,
      .hit = true,
      .has_ttl = true,
      .ttl_s = 9,
      .heuristic = true},
     S("Skerry; hit; ttl=9; detail=stored-heuristic")},
    {"RFC 9211 2.8: what is stored needs no further word",
     {.cache_name = S("Skerry"),
      .reason = HTTP_REASON_MISS_NOT_STORED,
      .store_reason = HTTP_REASON_STORE_EXPLICIT,
      .stored = true},
     S("Skerry; fwd=uri-miss; stored")},
    {"RFC 9211 2.2: the method",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_PASS_METHOD},
     S("Skerry; fwd=method")},
    {"RFC 9211 2.8: why it was not stored",
     {.cache_name = S("Skerry"),
      .reason = HTTP_REASON_MISS_NOT_STORED,
      .store_reason = HTTP_REASON_NO_STORE_PRIVATE,
      .fwd_status = 200},
     S("Skerry; fwd=uri-miss; fwd-status=200; detail=private")},
    {"RFC 9211 2.7: a key",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_HIT_FRESH, .hit = true, .key = S("a\"b\\c")},
     S("Skerry; hit; key=\"a\\\"b\\\\c\"")},
    {"RFC 9651 3.3.3: a string has printable ASCII only; a key's parts stand apart",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_HIT_FRESH, .hit = true, .key = S("a\nb\xc3\xa4\r")},
     S("Skerry; hit; key=\"a b???\"")},
    {"a key that does not fit is left out",
     {.cache_name = S("Skerry"), .reason = HTTP_REASON_HIT_FRESH, .hit = true, .key = S(LONG_KEY)},
     S("Skerry; hit")},
    {"RFC 9211 2: a name that is no token is a string",
     {.cache_name = S("edge 1"), .reason = HTTP_REASON_HIT_FRESH, .hit = true},
     S("\"edge 1\"; hit")},
    {"RFC 9651 3.3.4: a host name with a digit first is a string",
     {.cache_name = S("1.example"), .reason = HTTP_REASON_HIT_FRESH, .hit = true},
     S("\"1.example\"; hit")},
    {"a name with control bytes",
     {.cache_name = S("a\r\nb"), .reason = HTTP_REASON_HIT_FRESH, .hit = true},
     S("Skerry; hit")},
    {"RFC 9651 3.3.1: an integer has 15 digits at most",
     {.cache_name = S("S"),
      .reason = HTTP_REASON_HIT_FRESH,
      .hit = true,
      .has_ttl = true,
      .ttl_s = INT64_MIN},
     S("S; hit; ttl=-999999999999999")},
};

static void members(void **state) {
    (void)state;
    for (size_t i = 0; i < SK_COUNT(member_cases); i++) {
        char out[HTTP_CACHE_STATUS_MAX];
        sk_str got = sk_str_make(out, http_cache_status_format(&member_cases[i].status, out));
        if (!sk_str_eq(got, member_cases[i].expected))
            fail_msg("%s: %.*s", member_cases[i].name, SK_STR_ARGS(got));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(members)};
    return SK_RUN_TESTS(tests);
}
