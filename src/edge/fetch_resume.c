/* A node that ends in the middle of a body is no reason for a client to see a cut response: the rest comes from the next
 * owner or the origin, when it can be proved to be of the same representation (RFC 9110 section 15.3.7.3). */
#include "base/log.h"
#include "edge/fetch_peer.h"
#include "edge/worker.h"

#define RESUMES_MOST 2

/* What the client has got the beginning of. NULL: it cannot be told from another one. */
static const struct cache_object *begun(struct edge_fetch *fetch) {
    const struct cache_object *object = cache_fill_object(fetch->fill);
    bool good = object && object->status == 200 && http_validators_strong(&object->validators);
    return good ? object : NULL;
}

sk_err edge_fetch_add_range(struct edge_fetch *fetch, struct http_fields *fields) {
    const struct cache_object *object = begun(fetch);
    sk_str modified = object ? http_fields_value(&object->fields, HTTP_FIELD_LAST_MODIFIED) : (sk_str){0};
    sk_str value = object ? http_if_range_value(&object->validators, modified) : (sk_str){0};
    sk_str range = sk_arena_printf(&fetch->arena, "bytes=%llu-", (unsigned long long)fetch->resume_at);
    if (!value.data || !range.data) return SK_ERR_NO_MEMORY;
    http_fields_remove(fields, HTTP_FIELD_RANGE);
    http_fields_remove(fields, HTTP_FIELD_IF_RANGE);
    http_fields_remove(fields, HTTP_FIELD_IF_NONE_MATCH);
    http_fields_remove(fields, HTTP_FIELD_IF_MODIFIED_SINCE);
    sk_err err = http_fields_add_id(fields, &fetch->arena, HTTP_FIELD_RANGE, range);
    return err ? err : http_fields_add_id(fields, &fetch->arena, HTTP_FIELD_IF_RANGE, value);
}

static bool is_the_rest(struct edge_fetch *fetch, const struct http_response *response, uint64_t total) {
    const struct cache_object *object = begun(fetch);
    struct http_content_range part;
    struct http_validators fresh;
    http_validators_of(&response->fields, io_loop_wall_s(fetch->worker->loop), &fresh);
    return object && response->status == 206 && http_partial_parse(response, &part) &&
           part.first == fetch->resume_at && part.last + 1 == total && part.length == total &&
           http_validators_combine(&object->validators, &fresh);
}

bool edge_fetch_resume(struct edge_fetch *fetch, sk_err why, uint64_t received, uint64_t total,
                       struct origin_exchange **out_rest) {
    const struct http_response *response;
    struct origin_exchange *rest;
    bool gone =
        why == SK_ERR_RESET || why == SK_ERR_CLOSED || why == SK_ERR_TIMEOUT || why == SK_ERR_UNREACHABLE;
    if (!gone || !fetch->peer || fetch->resumes == RESUMES_MOST) return false;
    if (total == CACHE_LENGTH_UNKNOWN || received >= total || !begun(fetch)) return false;
    fetch->resumes++;
    fetch->resume_at = received;
    fetch->resuming = true;
    sk_err err = edge_fetch_ask(fetch, &rest, &response);
    fetch->resuming = false;
    if (err) return false;
    if (!is_the_rest(fetch, response, total)) {
        origin_exchange_close(rest);
        return false;
    }
    observe_count(fetch->worker->metrics, OBSERVE_PEER_RESUMED);
    *out_rest = rest;
    return true;
}
