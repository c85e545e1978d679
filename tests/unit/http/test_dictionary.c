/* Which responses are dictionaries, which one a client has, and where none may be used (RFC 9842). */
#include "http/dictionary.h"
#include "messages.h"

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

static const struct {
    const char *name, *lines;
    bool is_one;
} offers[] = {
    {"2.1.1: match alone", "Use-As-Dictionary: match=\"/app/*/main.js\"", true},
    {"2.1: all members", "Use-As-Dictionary: match=\"/p*\", match-dest=(\"script\" \"\"), id=\"a\", type=raw",
     true},
    {"2.1: in two lines", "Use-As-Dictionary: id=\"a\"\nUse-As-Dictionary: match=\"/p*\"", true},
    {"2.1: members that nobody knows", "Use-As-Dictionary: match=\"/p*\", ttl=5", true},
    {"no field", "Content-Type: text/html", false},
    {"2.1.1: without match", "Use-As-Dictionary: id=\"a\"", false},
    {"2.1.1: an empty match", "Use-As-Dictionary: match=\"\"", false},
    {"2.1.1: match is a String", "Use-As-Dictionary: match=/p", false},
    {"2.1.4: another type", "Use-As-Dictionary: match=\"/p*\", type=zdict", false},
    {"2.1.4: the type is a Token", "Use-As-Dictionary: match=\"/p*\", type=\"raw\"", false},
    {"RFC 9651 4.2: a field that fails as a whole", "Use-As-Dictionary: match=\"/p*\", id=\"a", false},
};

static void dictionaries_are_known_by_their_field(void **state) {
    for (size_t i = 0; i < SK_COUNT(offers); i++) {
        struct http_fields fields = fields_of(&arena, offers[i].lines);
        if (http_dictionary_is_one(&arena, &fields) != offers[i].is_one) fail_msg("%s", offers[i].name);
    }
    (void)state;
}

#define HASH "pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4="
static const struct {
    const char *name, *lines;
    bool is_there;
} held[] = {
    {"2.2: one hash", "Available-Dictionary: :" HASH ":", true},
    {"2.2: with parameters", "Available-Dictionary: :" HASH ":;a=1", true},
    {"no field", NULL, false},
    {"2.2: too short", "Available-Dictionary: :pZGm1Av0IEBKARczz7exkA==:", false},
    {"2.2: too long", "Available-Dictionary: :" HASH HASH ":", false},
    {"2.2: a String", "Available-Dictionary: \"" HASH "\"", false},
    {"2.2: two of them", "Available-Dictionary: :" HASH ":, :" HASH ":", false},
    {"2.2: two lines", "Available-Dictionary: :" HASH ":\nAvailable-Dictionary: :" HASH ":", false},
};

static void a_client_names_one_hash(void **state) {
    static const uint8_t begins[] = {0xa5, 0x91, 0xa6, 0xd4};
    for (size_t i = 0; i < SK_COUNT(held); i++) {
        struct http_fields fields = fields_of(&arena, held[i].lines);
        uint8_t hash[HTTP_DICTIONARY_HASH_BYTES] = {0};
        bool there = http_dictionary_available(&arena, &fields, hash);
        if (there != held[i].is_there || (there && memcmp(hash, begins, sizeof begins) != 0))
            fail_msg("%s", held[i].name);
    }
    (void)state;
}

static const struct {
    const char *name, *scheme, *request, *response;
    bool allowed;
} contexts[] = {
    {"8: https", "https", NULL, NULL, true},
    {"8: http", "http", NULL, NULL, false},
    {"9.3.3: the same origin", "https", "Sec-Fetch-Site: same-origin\nSec-Fetch-Mode: no-cors", NULL, true},
    {"9.3.3: a mode that is not told", "https", "Sec-Fetch-Site: cross-site", NULL, true},
    {"9.3.3: somebody follows a link", "https", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate", NULL,
     true},
    {"9.3.3: a mode that stays in the origin", "https",
     "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: same-origin", NULL, true},
    {"9.3.3: a page of another origin", "https", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors",
     "Access-Control-Allow-Origin: *", false},
    {"9.3.3: a page of the same site", "https", "Sec-Fetch-Site: same-site\nSec-Fetch-Mode: no-cors", NULL,
     false},
    {"9.3.3: CORS, for everybody", "https",
     "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\nOrigin: https://a.test",
     "Access-Control-Allow-Origin: *", true},
    {"9.3.3: CORS, for this origin", "https",
     "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\nOrigin: https://a.test",
     "Access-Control-Allow-Origin: https://a.test", true},
    {"9.3.3: CORS, for another", "https",
     "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\nOrigin: https://a.test",
     "Access-Control-Allow-Origin: https://b.test", false},
    {"9.3.3: CORS that the answer does not allow", "https",
     "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors\nOrigin: https://a.test", NULL, false},
    {"9.3.3: CORS without an origin", "https", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: cors",
     "Access-Control-Allow-Origin: *", false},
    {"9.3.3: a mode that nobody knows", "https", "Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: new",
     "Access-Control-Allow-Origin: *", false},
};

static void only_where_the_client_may_read_the_answer(void **state) {
    for (size_t i = 0; i < SK_COUNT(contexts); i++) {
        struct http_request request = get_request(&arena, contexts[i].request);
        struct http_fields fields = fields_of(&arena, contexts[i].response);
        request.scheme = sk_str_from_c(contexts[i].scheme);
        if (http_dictionary_allowed(&request, &fields) != contexts[i].allowed)
            fail_msg("%s", contexts[i].name);
    }
    (void)state;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dictionaries_are_known_by_their_field, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_names_one_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(only_where_the_client_may_read_the_answer, setup, teardown),
    };
    return SK_RUN_TESTS(tests);
}
