/* The first line as a stored ETag, the second as its Last-Modified, the rest as a request's fields: entity-tags
 * compare as RFC 9110 section 8.8.3.2 says, and a request that names what is stored always finds it. */
#include "fuzz_fields.h"
#include "http/conditional.h"

#define NOW INT64_C(784111777)

static struct http_request get(struct sk_arena *arena, enum http_field_id id, sk_str value) {
    struct http_request request = {.method = HTTP_METHOD_GET};
    fuzz_add(&request.fields, arena, id, value);
    return request;
}

static void a_tag_finds_itself(struct sk_arena *arena, const struct http_validators *stored, sk_str text) {
    struct http_etag tag;
    if (!http_etag_parse(text, &tag)) return;
    MUST(tag.opaque.len >= 2 && tag.opaque.data[0] == '"' && tag.opaque.data[tag.opaque.len - 1] == '"');
    MUST(http_etag_weak_match(tag, tag) && http_etag_strong_match(tag, tag) == !tag.weak);
    struct http_request request = get(arena, HTTP_FIELD_IF_NONE_MATCH, text);
    MUST(http_precondition_evaluate(&request, stored, NOW) == HTTP_PRECONDITION_NOT_MODIFIED);
    sk_str among = sk_arena_printf(arena, "\"x\\\" ,, W/\"y,\",%.*s", SK_STR_ARGS(text));
    request = get(arena, HTTP_FIELD_IF_NONE_MATCH, among);
    MUST(http_precondition_evaluate(&request, stored, NOW) == HTTP_PRECONDITION_NOT_MODIFIED);
    request = get(arena, HTTP_FIELD_IF_MATCH, text);
    MUST((http_precondition_evaluate(&request, stored, NOW) == HTTP_PRECONDITION_PASS) == !tag.weak);
    request.method = HTTP_METHOD_PUT;
    MUST(http_precondition_evaluate(&request, stored, NOW) == HTTP_PRECONDITION_PASS);
}

static void a_304_means_itself(const struct http_validators *stored) {
    struct http_validators of_304 = *stored;
    if (stored->etag.opaque.data) of_304.has_last_modified = !stored->has_last_modified;
    MUST(http_not_modified_means(stored, stored) && http_not_modified_means(&of_304, stored));
    if (!stored->has_last_modified || stored->etag.opaque.data) return;
    of_304.last_modified++;
    MUST(!http_not_modified_means(&of_304, stored));
}

/* What the request asks: the answer is one of the three, and without conditions there is only one. */
static void any_request(const struct http_fields *fields, const struct http_validators *stored) {
    struct http_request request = {.method = HTTP_METHOD_GET, .fields = *fields};
    enum http_precondition answer = http_precondition_evaluate(&request, stored, NOW);
    MUST(answer == HTTP_PRECONDITION_PASS || http_request_is_conditional(&request));
    if (answer == HTTP_PRECONDITION_FAILED)
        MUST(http_fields_find(fields, HTTP_FIELD_IF_MATCH) ||
             http_fields_find(fields, HTTP_FIELD_IF_UNMODIFIED_SINCE));
    if (answer == HTTP_PRECONDITION_NOT_MODIFIED)
        MUST(http_fields_find(fields, HTTP_FIELD_IF_NONE_MATCH) ||
             http_fields_find(fields, HTTP_FIELD_IF_MODIFIED_SINCE));
    request.method = HTTP_METHOD_HEAD;
    MUST(http_precondition_evaluate(&request, stored, NOW) == answer);
    request.method = HTTP_METHOD_POST;
    MUST(http_precondition_evaluate(&request, stored, NOW) == HTTP_PRECONDITION_PASS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct http_validators stored;
    struct http_fields response = {0};
    sk_str etag, modified = {0};
    if (bytes > 2000) return 0;
    char *copy = exact_copy(data, bytes);
    sk_str rest = sk_str_make(copy, bytes);
    sk_arena_init(&arena, 4096, 0);
    sk_str_cut(&rest, '\n', &etag);
    sk_str_cut(&rest, '\n', &modified);
    fuzz_add(&response, &arena, HTTP_FIELD_ETAG, etag);
    fuzz_add(&response, &arena, HTTP_FIELD_LAST_MODIFIED, modified);
    http_validators_of(&response, NOW, &stored);
    struct http_fields fields = fuzz_fields(&arena, rest, 20);
    a_tag_finds_itself(&arena, &stored, etag);
    a_304_means_itself(&stored);
    any_request(&fields, &stored);
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
