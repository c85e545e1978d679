#include "edge/early.h"

#include "edge/error_page.h"
#include "edge/worker.h"

bool edge_early_is_safe(const struct http_request *request) {
    bool safe = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD ||
                request->method == HTTP_METHOD_OPTIONS;
    /* An answer of HTTP/1.0 may be as long as its connection, whose end cannot be told before the handshake is over. */
    return safe && !edge_has_content(request) && !request->upgrade.data && request->version >= HTTP_1_1;
}

bool edge_early_admit(struct edge_exchange *exchange) {
    struct http_fields *fields = &exchange->request.fields;
    exchange->traits |= EDGE_TRAIT_EARLY;
    observe_count(exchange->worker->metrics, OBSERVE_EARLY_REQUESTS);
    if (!edge_early_is_safe(&exchange->request)) {
        observe_count(exchange->worker->metrics, OBSERVE_EARLY_REFUSED);
        edge_respond_error(exchange, 425, "not before the TLS handshake is over: send it again");
        return false;
    }
    if (http_fields_find(fields, HTTP_FIELD_EARLY_DATA)) return true;
    if (http_fields_add_id(fields, exchange->arena, HTTP_FIELD_EARLY_DATA, SK_STR("1")) == SK_OK) return true;
    edge_respond_error(exchange, 503, "out of memory");
    return false;
}
