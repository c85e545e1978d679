#include "edge/early_hints.h"

void edge_send_early_hints(struct edge_exchange *exchange, const struct cache_object *stale) {
    const struct http_request *request = &exchange->request;
    enum http_early_hints_mode mode = (enum http_early_hints_mode)exchange->site->early_hints;
    struct http_fields hints;
    if (stale->status != 200 || request->method != HTTP_METHOD_GET || exchange->client_gone) return;
    if (!http_early_hints_wanted(mode, request)) return;
    if (http_early_hints(exchange->arena, &stale->fields, &hints) != SK_OK || !hints.count) return;
    exchange->ops->inform(exchange, 103, &hints);
}
