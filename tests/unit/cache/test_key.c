#include "cache/vary.h"
#include "cache_test.h"

static struct sk_arena arena;

static int setup(void **state) {
    sk_arena_init(&arena, 4096, 0);
    (void)state;
    return 0;
}
static int teardown(void **state) {
    sk_arena_free(&arena);
    (void)state;
    return 0;
}

struct key_case {
    const char *name, *scheme, *authority, *path, *query; /* query NULL: no '?' */
    const char *text;                                     /* NULL: malformed */
};

static const struct key_case key_cases[] = {
    {"plain", "http", "example.org", "/a", NULL, "s|example.org|/a"},
    {"RFC 3986 6.2.2.1: the host in lower case", "http", "EXAMPLE.Org", "/A", NULL, "s|example.org|/A"},
    {"RFC 3986 6.2.3: the scheme's port is left out", "http", "example.org:80", "/", NULL, "s|example.org|/"},
    {"https too", "https", "example.org:443", "/", NULL, "s|example.org|/"},
    {"another port is kept", "http", "example.org:443", "/", NULL, "s|example.org:443|/"},
    {"an empty port is none", "http", "example.org:", "/", NULL, "s|example.org|/"},
    {"IPv6", "http", "[2001:DB8::1]:8080", "/", NULL, "s|[2001:db8::1]:8080|/"},
    {"no host (HTTP/1.0)", "http", "", "/", NULL, "s||/"},
    {"RFC 3986 6.2.2.2: unreserved octets decoded", "http", "h", "/%7ea/%41", NULL, "s|h|/~a/A"},
    {"encoded reserved octets stay, upper-case", "http", "h", "/a%2fb", NULL, "s|h|/a%2Fb"},
    {"RFC 3986 6.2.2.3: dot segments", "http", "h", "/a/./b/../c", NULL, "s|h|/a/c"},
    {"the query as it is", "http", "h", "/", "B=%41&a", "s|h|/?B=%41&a"},
    {"an empty query is not none", "http", "h", "/", "", "s|h|/?"},
    {"an encoded bar in the path does not look like ours", "http", "h", "/%7C", NULL, "s|h|/%7C"},
    {"a bad escape", "http", "h", "/%zz", NULL, NULL},
};

static struct http_request make_request(const struct key_case *c) {
    struct http_request request = {.method = HTTP_METHOD_GET};
    request.scheme = sk_str_from_c(c->scheme);
    request.authority = sk_str_from_c(c->authority);
    request.path = sk_str_from_c(c->path);
    request.query = sk_str_from_c(c->query);
    return request;
}

static void keys_are_canonical(void **state) {
    for (size_t i = 0; i < SK_COUNT(key_cases); i++) {
        const struct key_case *c = &key_cases[i];
        struct http_request request = make_request(c);
        struct cache_key key = {0};
        sk_err err = cache_key_make(&arena, SK_STR("s"), NULL, &request, &key);
        if (!c->text)
            assert_int_equal(err, SK_ERR_MALFORMED);
        else if (err || !sk_str_eq(key.text, sk_str_from_c(c->text)))
            fail_msg("%s: %s \"%.*s\"", c->name, sk_err_name(err), SK_STR_ARGS(key.text));
        else
            assert_true(sk_hash128_eq(key.hash, sk_hash128_of(c->text, strlen(c->text))));
    }
    (void)state;
}

/* ---- what rules add --------------------------------------------------------------------------------------- */

static const sk_str two_cookies[] = {SK_STR_INIT("lang"), SK_STR_INIT("ab")};

struct rules_case {
    const char *name, *scheme;
    struct http_key_rules rules;
    const char *cookie, *cookie2, *language; /* NULL: none */
    const char *text;
};

static const struct rules_case rules_cases[] = {
    {"nothing", "http", {0}, "lang=de", NULL, "de", "s|h|/?b=2&a=1"},
    {"the query", "http", {.query = HTTP_QUERY_SORTED}, NULL, NULL, NULL, "s|h|/?a=1&b=2"},
    {"the scheme", "HTTPS", {.scheme = true}, NULL, NULL, NULL, "s|h|/?b=2&a=1\n@https"},
    {"a field",
     "http",
     {.headers = SK_STR_INIT("accept-language")},
     NULL,
     NULL,
     "de",
     "s|h|/?b=2&a=1\n@\naccept-language=de"},
    {"a field that is not there",
     "http",
     {.headers = SK_STR_INIT("accept-language")},
     NULL,
     NULL,
     NULL,
     "s|h|/?b=2&a=1\n@\naccept-language"},
    {"cookies by name, others not",
     "http",
     {.cookies = two_cookies, .cookie_count = 2},
     "x=1; ab=2;lang=de; lang2=3",
     NULL,
     NULL,
     "s|h|/?b=2&a=1\n@\n;lang;=de\n;ab;=2"},
    {"RFC 9113 8.2.3: cookies on several lines",
     "http",
     {.cookies = two_cookies, .cookie_count = 2},
     "lang=de",
     "ab=2",
     NULL,
     "s|h|/?b=2&a=1\n@\n;lang;=de\n;ab;=2"},
    {"all cookies of one name",
     "http",
     {.cookies = two_cookies, .cookie_count = 1},
     "lang=de; lang=en",
     "lang=fr",
     NULL,
     "s|h|/?b=2&a=1\n@\n;lang;=de;=en;=fr"},
    {"a cookie without a value is not one without an equals sign",
     "http",
     {.cookies = two_cookies, .cookie_count = 2},
     "lang; ab=",
     NULL,
     NULL,
     "s|h|/?b=2&a=1\n@\n;lang;\n;ab;="},
    {"no cookies",
     "http",
     {.cookies = two_cookies, .cookie_count = 2},
     NULL,
     NULL,
     NULL,
     "s|h|/?b=2&a=1\n@\n;lang\n;ab"},
};

static void add_field(struct http_fields *fields, enum http_field_id id, const char *value) {
    if (value) assert_ok(http_fields_add_id(fields, &arena, id, sk_str_from_c(value)));
}

static void rules_choose_what_a_key_holds(void **state) {
    for (size_t i = 0; i < SK_COUNT(rules_cases); i++) {
        const struct rules_case *c = &rules_cases[i];
        struct http_request request = {
            .authority = SK_STR("h"), .path = SK_STR("/"), .query = SK_STR("b=2&a=1")};
        struct cache_key key;
        request.scheme = sk_str_from_c(c->scheme);
        add_field(&request.fields, HTTP_FIELD_COOKIE, c->cookie);
        add_field(&request.fields, HTTP_FIELD_COOKIE, c->cookie2);
        add_field(&request.fields, HTTP_FIELD_ACCEPT_LANGUAGE, c->language);
        assert_ok(cache_key_make(&arena, SK_STR("s"), &c->rules, &request, &key));
        if (!sk_str_eq(key.text, sk_str_from_c(c->text)))
            fail_msg("%s: \"%.*s\"", c->name, SK_STR_ARGS(key.text));
        assert_true(sk_hash128_eq(key.hash, sk_hash128_of(c->text, strlen(c->text))));
    }
    (void)state;
}

static void a_field_too_long_for_a_key_leaves_no_key(void **state) {
    static char value[CACHE_KEY_MAX_BYTES];
    memset(value, 'a', sizeof value);
    struct http_key_rules by_field = {.headers = SK_STR("accept-language")};
    struct http_key_rules by_cookie = {.cookies = two_cookies, .cookie_count = 1};
    struct http_request request = {.authority = SK_STR("h"), .path = SK_STR("/")};
    struct cache_key key;
    memcpy(value, "lang=", 5);
    assert_ok(http_fields_add_id(&request.fields, &arena, HTTP_FIELD_ACCEPT_LANGUAGE,
                                 sk_str_make(value, sizeof value)));
    assert_ok(
        http_fields_add_id(&request.fields, &arena, HTTP_FIELD_COOKIE, sk_str_make(value, sizeof value)));
    assert_err(cache_key_make(&arena, SK_STR("s"), &by_field, &request, &key), SK_ERR_FULL);
    assert_err(cache_key_make(&arena, SK_STR("s"), &by_cookie, &request, &key), SK_ERR_FULL);
    (void)state;
}

static void a_key_knows_the_target_of_its_request(void **state) {
    assert_str(cache_key_target(SK_STR("s|h|/a?b|c\n@https\n1\nx=y")), SK_STR("/a?b|c"));
    assert_str(cache_key_target(SK_STR("s|h|/")), SK_STR("/"));
    assert_str(cache_key_target(SK_STR("")), SK_STR(""));
    (void)state;
}

static void a_key_has_a_limit(void **state) {
    static char path[CACHE_KEY_MAX_BYTES + 1];
    struct cache_key key;
    struct http_request request = make_request(&key_cases[0]);
    memset(path, 'a', sizeof path);
    path[0] = '/';
    request.path = sk_str_make(path, sizeof path);
    assert_err(cache_key_make(&arena, SK_STR("s"), NULL, &request, &key), SK_ERR_TOO_LARGE);
    (void)state;
}

/* ---- names ------------------------------------------------------------------------------------------------ */

struct names_case {
    const char *a, *b, *names; /* names NULL: malformed */
};

static const struct names_case names_cases[] = {
    {"Accept-Encoding", "", "accept-encoding"},
    {"b, A", "", "a,b"},
    {"A, a ,A", "", "a"},
    {"a,,b,", "c", "a,b,c"},
    {"", "x, y", "x,y"},
    {"a", "A, b", "a,b"},
    {"", "", ""},
    {"*", "", NULL},
    {"a, *", "", NULL},
    {"a b", "", NULL},
};

static void vary_names_are_a_sorted_set(void **state) {
    for (size_t i = 0; i < SK_COUNT(names_cases); i++) {
        const struct names_case *c = &names_cases[i];
        sk_str names = {0};
        sk_err err = cache_vary_names(&arena, sk_str_from_c(c->a), sk_str_from_c(c->b), &names);
        if (!c->names)
            assert_int_equal(err, SK_ERR_MALFORMED);
        else
            assert_ok(err);
        if (c->names) assert_str(names, sk_str_from_c(c->names));
    }
    sk_str names;
    assert_err(cache_vary_names(&arena, SK_STR("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"), (sk_str){0}, &names),
               SK_ERR_TOO_LARGE);
    (void)state;
}

/* ---- variants --------------------------------------------------------------------------------------------- */

struct vary_case {
    const char *name, *vary;
    struct http_field fields[3];
    const char *suffix; /* of the key, after the primary part and the list's number */
};
#define FIELD(name, value, id) {SK_STR_INIT(name), SK_STR_INIT(value), HTTP_FIELD_##id}

static const struct vary_case vary_cases[] = {
    {"RFC 9111 4.1: absent matches absent", "accept-language", {{{0}}}, "\naccept-language"},
    {"an empty one is not absent",
     "accept-language",
     {FIELD("Accept-Language", "", ACCEPT_LANGUAGE)},
     "\naccept-language="},
    {"the value",
     "accept-language",
     {FIELD("Accept-Language", " de, en ", ACCEPT_LANGUAGE)},
     "\naccept-language=de, en"},
    {"lines are joined",
     "accept-language",
     {FIELD("Accept-Language", "de", ACCEPT_LANGUAGE), FIELD("accept-language", "en", ACCEPT_LANGUAGE)},
     "\naccept-language=de, en"},
    {"a name that we do not know", "x-colour", {FIELD("X-Colour", "Red", UNKNOWN)}, "\nx-colour=Red"},
    {"RFC 9110 12.5.3: the order of codings means nothing",
     "accept-encoding",
     {FIELD("Accept-Encoding", "gzip, br;q=1.0 , zstd ; q=0.5", ACCEPT_ENCODING)},
     "\naccept-encoding=br, gzip, zstd"},
    {"codings are case-insensitive",
     "accept-encoding",
     {FIELD("Accept-Encoding", "GZIP", ACCEPT_ENCODING)},
     "\naccept-encoding=gzip"},
    {"RFC 9110 12.5.3: a refused coding is as one not named, and so is one that nobody knows",
     "accept-encoding",
     {FIELD("Accept-Encoding", "gzip, br;q=0, x-unheard-of", ACCEPT_ENCODING)},
     "\naccept-encoding=gzip"},
    {"RFC 9110 12.5.3: an empty Accept-Encoding takes identity only",
     "accept-encoding",
     {FIELD("Accept-Encoding", "", ACCEPT_ENCODING)},
     "\naccept-encoding=identity"},
    {"RFC 9110 12.5.3: no Accept-Encoding is not an empty one",
     "accept-encoding",
     {{{0}}},
     "\naccept-encoding"},
    {"several names in order", "b, a", {FIELD("A", "1", UNKNOWN), FIELD("B", "2", UNKNOWN)}, "\na=1\nb=2"},
};

static void variants_are_selected_by_what_the_fields_mean(void **state) {
    struct test_key primary;
    make_key(&primary, "/", 1);
    for (size_t i = 0; i < SK_COUNT(vary_cases); i++) {
        const struct vary_case *c = &vary_cases[i];
        struct http_field fields[3];
        memcpy(fields, c->fields, sizeof fields);
        uint32_t count = 0;
        while (count < 3 && fields[count].name.len) count++;
        struct http_request request = {.fields = {fields, count, 3}};
        struct cache_key key;
        assert_ok(cache_key_vary(&arena, &primary.key, sk_str_from_c(c->vary), &request, &key));
        assert_str(cache_key_primary(key.text), primary.key.text);
        sk_str suffix = sk_str_slice(key.text, primary.key.text.len + 2, key.text.len);
        if (!sk_str_eq(suffix, sk_str_from_c(c->suffix)))
            fail_msg("%s: \"%.*s\"", c->name, SK_STR_ARGS(suffix));
    }
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(keys_are_canonical),
        CASE(rules_choose_what_a_key_holds),
        CASE(a_field_too_long_for_a_key_leaves_no_key),
        CASE(a_key_knows_the_target_of_its_request),
        CASE(a_key_has_a_limit),
        CASE(vary_names_are_a_sorted_set),
        CASE(variants_are_selected_by_what_the_fields_mean),
    };
    return SK_RUN_TESTS(tests);
}
