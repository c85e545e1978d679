/* Any bytes as each of the Accept fields: the normal form of Accept-Encoding is its own normal form and chooses
 * the same codings; choices lie in their lists. */
#include "fuzz.h"
#include "http/accept.h"

static const sk_str tags[] = {SK_STR_INIT("en"), SK_STR_INIT("de-CH"), SK_STR_INIT("zh-Hant-TW")};
static const sk_str types[] = {SK_STR_INIT("image/avif"), SK_STR_INIT("image/webp")};
static const uint8_t offered[] = {HTTP_CODING_ZSTD, HTTP_CODING_BR, HTTP_CODING_GZIP};

static struct http_accept_encoding parse(sk_str value) {
    struct http_field field = {SK_STR("accept-encoding"), value, HTTP_FIELD_ACCEPT_ENCODING};
    struct http_fields fields = {&field, 1, 1};
    struct http_accept_encoding accept;
    http_accept_encoding_parse(&fields, &accept);
    return accept;
}

static void check_codings(sk_str value) {
    char text[HTTP_ACCEPT_ENCODING_TEXT_MAX], again[HTTP_ACCEPT_ENCODING_TEXT_MAX];
    struct http_accept_encoding accept = parse(value);
    size_t length = http_accept_encoding_normal(&accept, text);
    MUST(length > 0 && length <= sizeof text);
    struct http_accept_encoding normal = parse((sk_str){text, length});
    MUST(http_accept_encoding_normal(&normal, again) == length && !memcmp(text, again, length));
    for (size_t i = 0; i < HTTP_CODING_COUNT_; i++) {
        MUST(accept.weights[i] <= HTTP_WEIGHT_ONE);
        MUST(!accept.weights[i] == !normal.weights[i]);
    }
    enum http_coding best = http_coding_choose(&accept, offered, SK_COUNT(offered));
    MUST(best == HTTP_CODING_IDENTITY || accept.weights[best] > 0);
}

static void check_classes(sk_str value) {
    struct http_field items[] = {{SK_STR("accept-language"), value, HTTP_FIELD_ACCEPT_LANGUAGE},
                                 {SK_STR("accept"), value, HTTP_FIELD_ACCEPT},
                                 {SK_STR("user-agent"), value, HTTP_FIELD_USER_AGENT}};
    struct http_fields fields = {items, SK_COUNT(items), SK_COUNT(items)};
    MUST(http_language_choose(&fields, tags, SK_COUNT(tags)) < SK_COUNT(tags));
    MUST(http_media_type_choose(&fields, types, SK_COUNT(types)) <= SK_COUNT(types));
    MUST(http_agent_class_of(&fields) <= HTTP_AGENT_BOT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes > 4000) return 0;
    char *copy = exact_copy(data, bytes);
    check_codings(sk_str_make(copy, bytes));
    check_classes(sk_str_make(copy, bytes));
    free(copy);
    return 0;
}
