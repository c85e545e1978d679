/* Any bytes as the question of /explain: a request that a client could have sent, or a problem in words. */
#include "edge/explain_query.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct sk_arena arena;
    struct wire_h1_limits limits;
    struct http_request request;
    const char *problem = NULL;
    if (bytes > 65536) return 0;
    char *copy = exact_copy(data, bytes);
    sk_arena_init(&arena, 4096, 0);
    wire_h1_limits_default(&limits);
    sk_err err = edge_explain_query(&arena, sk_str_make(copy, bytes), &limits, &request, &problem);
    MUST(err == SK_OK || (err == SK_ERR_INVALID && problem && *problem));
    if (!err) {
        MUST(http_token_valid(request.method_text));
        MUST(request.path.len && (request.path.data[0] == '/' || request.path.data[0] == '*'));
        MUST(request.authority.len && request.scheme.len);
        for (uint32_t i = 0; i < request.fields.count; i++) {
            MUST(http_token_valid(request.fields.items[i].name));
            MUST(http_field_value_valid(request.fields.items[i].value));
        }
    }
    sk_arena_free(&arena);
    free(copy);
    return 0;
}
