/* Any lines as request fields (Range, If-Range, If-None-Match, ...) against a stored response. */
#include "fuzz.h"
#include "http/conditional.h"

#define NOW INT64_C(784111777)

static struct http_fields fields_of(struct sk_arena *arena, sk_str text) {
    struct http_fields fields = {0};
    sk_str line;
    while (sk_str_cut(&text, '\n', &line)) {
        size_t colon = sk_str_find_byte(line, ':');
        sk_str value = sk_str_trim(sk_str_slice(line, colon + 1, line.len));
        if (colon == line.len || fields.count == 20) continue;
        MUST(http_fields_add(&fields, arena, sk_str_slice(line, 0, colon), value) == SK_OK);
    }
    return fields;
}

static void check(const struct http_range_answer *answer, uint64_t length) {
    MUST((answer->kind == HTTP_RANGE_SOME) == (answer->count > 0));
    MUST(answer->count <= HTTP_RANGE_MAX);
    for (uint32_t i = 0; i < answer->count; i++) {
        struct http_byte_range range = answer->ranges[i];
        MUST(range.first <= range.last && range.last < length);
        for (uint32_t j = 0; j < i; j++) {
            struct http_byte_range other = answer->ranges[j];
            MUST(range.first > other.last + 1 ||
                 other.first > range.last + 1); /* neither overlap nor touch */
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const uint64_t lengths[] = {0, 1, 10, 64, 100000, UINT64_MAX};
    struct sk_arena arena;
    struct http_validators validators;
    if (bytes > 1500) return 0;
    char *copy = exact_copy(data, bytes);
    sk_arena_init(&arena, 4096, 0);
    struct http_request request = {.method = HTTP_METHOD_GET,
                                   .fields = fields_of(&arena, sk_str_make(copy, bytes))};
    struct http_fields stored =
        fields_of(&arena, SK_STR("ETag: \"a\"\nLast-Modified: Sun, 06 Nov 1994 08:49:20 GMT\n"
                                 "Date: Sun, 06 Nov 1994 08:49:37 GMT"));
    http_validators_of(&stored, NOW, &validators);
    for (size_t i = 0; i < SK_COUNT(lengths); i++) {
        struct http_range_answer answer = http_range_evaluate(&request, &validators, lengths[i]);
        check(&answer, lengths[i]);
    }
    enum http_precondition condition = http_precondition_evaluate(&request, &validators, NOW);
    MUST(condition == HTTP_PRECONDITION_PASS || http_request_is_conditional(&request));
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
