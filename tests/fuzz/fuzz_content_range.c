/* A Content-Range value, and behind a line feed a Range value that it is held against. */
#include "fuzz.h"
#include "http/content_range.h"

static void check_part(const struct http_content_range *part) {
    if (part->unsatisfied) {
        MUST(part->length != HTTP_LENGTH_UNKNOWN);
        return;
    }
    MUST(part->first <= part->last && part->last < part->length);
}

static void check_wish(const struct http_request *request, const struct http_content_range *part) {
    struct http_range_wish wish = http_range_wish_of(request);
    char text[HTTP_RANGE_WISH_BYTES];
    uint64_t slice;
    if (!wish.wanted) return;
    MUST(http_range_wish_format(&wish, text) < sizeof text);
    MUST(wish.suffix || (wish.first <= wish.last && wish.first % HTTP_SLICE_BYTES == 0));
    if (part->unsatisfied || !http_wish_slice(request, part, &slice)) return;
    MUST(slice * HTTP_SLICE_BYTES >= part->first && slice * HTTP_SLICE_BYTES <= part->last);
    MUST(http_slice_bytes(slice, part->length) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct http_content_range part = {0};
    if (bytes > 500) return 0;
    char *copy = exact_copy(data, bytes);
    sk_str rest = sk_str_make(copy, bytes), value;
    sk_arena_init(&arena, 1024, 0);
    if (sk_str_cut(&rest, '\n', &value)) {
        struct http_request request = {.method = HTTP_METHOD_GET};
        MUST(http_fields_add_id(&request.fields, &arena, HTTP_FIELD_RANGE, rest) == SK_OK);
        bool valid = http_content_range_parse(value, &part);
        if (valid) check_part(&part);
        if (valid) check_wish(&request, &part);
    }
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
