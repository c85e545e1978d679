/* RFC 9110 section 12.5: what clients accept. */
#include "http/accept.h"
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

static void rfc9110_12_4_2_weights(void **state) {
    static const struct {
        const char *text;
        int weight; /* -1: malformed */
    } cases[] = {
        {"1", 1000}, {"0", 0},     {"0.5", 500}, {"0.123", 123}, {"1.000", 1000},
        {"0.", 0},   {"1.", 1000}, {"0.001", 1}, {"1.001", -1},  {"0.1234", -1},
        {"2", -1},   {"", -1},     {".5", -1},   {"-1", -1},     {"0,5", -1},
        {"0.x", -1}, {"01", -1},   {" 1", -1},   {"1.1", -1},    {"0.5 ", -1},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        uint16_t weight = 7;
        bool good = http_weight_parse(sk_str_from_c(cases[i].text), &weight);
        if (good != (cases[i].weight >= 0) || (good && weight != cases[i].weight))
            fail_msg("\"%s\": %d, %u", cases[i].text, good, weight);
    }
    (void)state;
}

static const uint8_t offered[] = {HTTP_CODING_ZSTD, HTTP_CODING_BR, HTTP_CODING_GZIP};

static const struct {
    const char *name, *lines, *normal; /* NORMAL NULL: the field is absent */
    enum http_coding best;
} codings[] = {
    {"RFC 9110 12.5.3: no field", NULL, NULL, HTTP_CODING_IDENTITY},
    {"RFC 9110 12.5.3: an empty field takes identity only", "Accept-Encoding:", "identity",
     HTTP_CODING_IDENTITY},
    {"one", "Accept-Encoding: gzip", "gzip", HTTP_CODING_GZIP},
    {"what browsers send", "Accept-Encoding: gzip, deflate, br, zstd", "br, gzip, zstd", HTTP_CODING_ZSTD},
    {"the order means nothing", "Accept-Encoding: zstd,br,gzip", "br, gzip, zstd", HTTP_CODING_ZSTD},
    {"several lines", "Accept-Encoding: br\nAccept-Encoding: gzip", "br, gzip", HTTP_CODING_BR},
    {"case and white space", "Accept-Encoding: \t GZIP ;\tQ=0.8 ,, Br", "br, gzip", HTTP_CODING_BR},
    {"RFC 9110 8.4.1.3: x-gzip is gzip", "Accept-Encoding: x-gzip", "gzip", HTTP_CODING_GZIP},
    {"RFC 9110 12.4.2: the greater weight", "Accept-Encoding: gzip, br;q=0.9, zstd;q=0.8", "br, gzip, zstd",
     HTTP_CODING_GZIP},
    {"RFC 9110 12.5.3: q=0 refuses", "Accept-Encoding: gzip, br;q=0, zstd;q=0.000", "gzip", HTTP_CODING_GZIP},
    {"RFC 9110 12.5.3: * is all that is not named", "Accept-Encoding: br;q=0, *", "gzip, zstd",
     HTTP_CODING_ZSTD},
    {"*;q=0 refuses all that is not named, identity too", "Accept-Encoding: gzip, *;q=0",
     "gzip, identity;q=0", HTTP_CODING_GZIP},
    {"identity named beside *;q=0", "Accept-Encoding: identity, *;q=0", "identity", HTTP_CODING_IDENTITY},
    {"RFC 9110 12.5.3: identity;q=0", "Accept-Encoding: br, identity;q=0", "br, identity;q=0",
     HTTP_CODING_BR},
    {"nothing is acceptable: identity may still be sent", "Accept-Encoding: *;q=0", "identity;q=0",
     HTTP_CODING_IDENTITY},
    {"identity preferred", "Accept-Encoding: identity, gzip;q=0.5", "gzip", HTTP_CODING_IDENTITY},
    {"identity as good as a coding", "Accept-Encoding: identity, gzip", "gzip", HTTP_CODING_GZIP},
    {"the least weight is still one", "Accept-Encoding: gzip;q=0.001", "gzip", HTTP_CODING_GZIP},
    {"an unknown one", "Accept-Encoding: compress, x-unheard-of", "identity", HTTP_CODING_IDENTITY},
    {"a malformed weight: not named", "Accept-Encoding: gzip;q=high, br;q=1.5, zstd;q=", "identity",
     HTTP_CODING_IDENTITY},
    {"other parameters do not matter", "Accept-Encoding: gzip;level=9", "gzip", HTTP_CODING_GZIP},
    {"twice: the lesser weight counts", "Accept-Encoding: gzip, gzip;q=0, br;q=0, br", "identity",
     HTTP_CODING_IDENTITY},
    {"RFC 9842 6.1: * stands for no coding with a dictionary", "Accept-Encoding: *, dcb",
     "br, dcb, gzip, zstd", HTTP_CODING_ZSTD},
    {"no token", "Accept-Encoding: ;q=1, \"gzip\", gz ip, ;;;", "identity", HTTP_CODING_IDENTITY},
};

static void rfc9110_12_5_3_accept_encoding(void **state) {
    for (size_t i = 0; i < SK_COUNT(codings); i++) {
        struct http_fields fields = fields_of(&arena, codings[i].lines);
        struct http_accept_encoding accept;
        char normal[HTTP_ACCEPT_ENCODING_TEXT_MAX];
        http_accept_encoding_parse(&fields, &accept);
        enum http_coding best = http_coding_choose(&accept, offered, SK_COUNT(offered));
        sk_str text = {normal, http_accept_encoding_normal(&accept, normal)};
        if (accept.present != (codings[i].normal != NULL) || best != codings[i].best)
            fail_msg("%s: %.*s", codings[i].name, SK_STR_ARGS(http_coding_name(best)));
        if (codings[i].normal && !sk_str_eq(text, sk_str_from_c(codings[i].normal)))
            fail_msg("%s: \"%.*s\"", codings[i].name, SK_STR_ARGS(text));
    }
    (void)state;
}

static void the_longest_normal_form_fits(void **state) {
    struct http_accept_encoding accept = {.present = true};
    char normal[HTTP_ACCEPT_ENCODING_TEXT_MAX];
    for (size_t i = HTTP_CODING_IDENTITY + 1; i < HTTP_CODING_COUNT_; i++)
        accept.weights[i] = HTTP_WEIGHT_ONE;
    assert_true(http_accept_encoding_normal(&accept, normal) <= sizeof normal);
    (void)state;
}

static const struct {
    const char *name, *lines, *tags;
    size_t best;
} languages[] = {
    {"no field: the default", NULL, "en,de", 0},
    {"by name", "Accept-Language: de", "en,de", 1},
    {"case does not matter", "Accept-Language: DE-ch", "en,de-CH", 1},
    {"RFC 4647 3.4: a range is shortened until it is found", "Accept-Language: de-CH-1996", "en,de", 1},
    {"RFC 4647 3.4: the longest tag that is found", "Accept-Language: zh-Hant-TW", "zh,zh-Hant", 1},
    {"a more special tag is better than none", "Accept-Language: pt", "en,pt-BR", 1},
    {"no half subtags", "Accept-Language: d", "en,de", 0},
    {"no half subtags either", "Accept-Language: den", "en,de", 0},
    {"the order of equal weights", "Accept-Language: fr, de", "en,de,fr", 2},
    {"RFC 9110 12.5.4: the greater weight", "Accept-Language: fr;q=0.8, de;q=0.9", "en,fr,de", 2},
    {"what browsers send", "Accept-Language: de-CH, de;q=0.9, en;q=0.8", "en,de", 1},
    {"none found: the default", "Accept-Language: it, fr", "en,de", 0},
    {"RFC 9110 12.5.4: q=0 refuses", "Accept-Language: en;q=0, *", "en,de", 1},
    {"a special tag in spite of a refused language", "Accept-Language: en;q=0, en-GB", "de,en-GB,en-US", 1},
    {"all refused: the default", "Accept-Language: *;q=0", "en,de", 0},
    {"any", "Accept-Language: *", "en,de", 0},
    {"several lines", "Accept-Language: it\nAccept-Language: de", "en,de", 1},
    {"a malformed weight: not named", "Accept-Language: de;q=x, fr;q=0.1", "en,de,fr", 2},
    {"an empty field: the default", "Accept-Language:", "en,de", 0},
};

static size_t cut_list(const char *text, sk_str *items, size_t max) {
    sk_str rest = sk_str_from_c(text);
    size_t count = 0;
    while (count < max && sk_str_cut(&rest, ',', &items[count])) count++;
    return count;
}

static void rfc9110_12_5_4_accept_language(void **state) {
    for (size_t i = 0; i < SK_COUNT(languages); i++) {
        struct http_fields fields = fields_of(&arena, languages[i].lines);
        sk_str tags[8];
        size_t count = cut_list(languages[i].tags, tags, SK_COUNT(tags));
        size_t best = http_language_choose(&fields, tags, count);
        if (best != languages[i].best) fail_msg("%s: %zu", languages[i].name, best);
    }
    (void)state;
}

static const struct {
    const char *name, *lines;
    size_t best; /* of avif, webp; 2: none */
} media_types[] = {
    {"no field", NULL, 2},
    {"RFC 9110 12.5.1: by name", "Accept: image/webp, */*", 1},
    {"among equals the site's first", "Accept: image/webp,image/avif,image/*;q=0.8", 0},
    {"RFC 9110 12.5.1: the greater weight", "Accept: image/avif;q=0.5, image/webp;q=0.6", 1},
    {"a range with a star says nothing about it", "Accept: image/*, */*;q=0.8", 2},
    {"q=0 refuses", "Accept: image/avif;q=0, image/webp;q=0.1", 1},
    {"case does not matter", "Accept: Image/WebP", 1},
    {"parameters do not matter", "Accept: image/webp;v=1;q=0.9", 1},
    {"a malformed weight: not named", "Accept: image/webp;q=9", 2},
};

static void rfc9110_12_5_1_accept(void **state) {
    static const sk_str types[] = {SK_STR_INIT("image/avif"), SK_STR_INIT("image/webp")};
    for (size_t i = 0; i < SK_COUNT(media_types); i++) {
        struct http_fields fields = fields_of(&arena, media_types[i].lines);
        size_t best = http_media_type_choose(&fields, types, SK_COUNT(types));
        if (best != media_types[i].best) fail_msg("%s: %zu", media_types[i].name, best);
    }
    (void)state;
}

static void kinds_of_clients(void **state) {
    static const struct {
        const char *lines;
        enum http_agent_class class;
    } cases[] = {
        {NULL, HTTP_AGENT_DESKTOP},
        {"User-Agent:", HTTP_AGENT_DESKTOP},
        {"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
         HTTP_AGENT_DESKTOP},
        {"User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148",
         HTTP_AGENT_MOBILE},
        {"User-Agent: Mozilla/5.0 (Linux; Android 10; K) Chrome/130.0 Mobile Safari/537.36",
         HTTP_AGENT_MOBILE},
        {"User-Agent: Mozilla/5.0 (Linux; Android 6; Nexus 5X) (compatible; Googlebot/2.1)", HTTP_AGENT_BOT},
        {"User-Agent: SomeSpider/1.0", HTTP_AGENT_BOT},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct http_fields fields = fields_of(&arena, cases[i].lines);
        assert_int_equal(http_agent_class_of(&fields), cases[i].class);
    }
    (void)state;
}

/* Asking the origin with the class must give the class again, or a second edge would see another. */
static void the_text_of_a_class_is_of_that_class(void **state) {
    for (int class = HTTP_AGENT_DESKTOP; class <= HTTP_AGENT_BOT; class ++) {
        struct http_field field = {SK_STR("User-Agent"), http_agent_class_text((enum http_agent_class) class),
                                   HTTP_FIELD_USER_AGENT};
        struct http_fields fields = {&field, 1, 1};
        assert_int_equal(http_agent_class_of(&fields), class);
    }
    (void)state;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(rfc9110_12_4_2_weights),
        CASE(rfc9110_12_5_3_accept_encoding),
        CASE(the_longest_normal_form_fits),
        CASE(rfc9110_12_5_4_accept_language),
        CASE(rfc9110_12_5_1_accept),
        CASE(kinds_of_clients),
        CASE(the_text_of_a_class_is_of_that_class),
    };
    return SK_RUN_TESTS(tests);
}
