#include "edge/error_page.h"

#include <stdio.h>

#include "edge/node.h"
#include "edge/worker.h"

#define PAGE_BYTES 512
#define HEAD_BYTES 256

static const char *extra_field(uint16_t status) {
    switch (status) {
    case 200: /* to OPTIONS */
    case 405: return "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n";
    case 503: return "Retry-After: 1\r\n";
    default: return "";
    }
}

/* OF_ORIGIN: it is the origin's failure, and a node that asks for it need not ask elsewhere. */
static void respond(struct edge_exchange *exchange, uint16_t status, const char *detail, bool of_origin) {
    char page[PAGE_BYTES], head[HEAD_BYTES];
    if (exchange->client_gone) return;
    exchange->outcome.error = sk_str_from_c(detail);
    sk_str reason = http_status_reason(status), date = edge_worker_date(exchange->worker);
    int page_len = snprintf(page, sizeof page, "%u %.*s\n%s%s", status, SK_STR_ARGS(reason), detail,
                            *detail ? "\n" : "");
    int head_len =
        snprintf(head, sizeof head,
                 "Date: %.*s\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n%s%s",
                 SK_STR_ARGS(date), extra_field(status),
                 of_origin && (exchange->traits & EDGE_TRAIT_NODE) ? EDGE_NODE_FAILED : "");
    sk_str body = {page, SK_MIN((size_t)page_len, sizeof page - 1)};
    struct edge_response response = {
        .status = status,
        .head = {head, (size_t)head_len},
        .body_length = body.len,
        .head_only = exchange->request.method == HTTP_METHOD_HEAD,
        .small_body = body,
        .close = status == 400, /* what was not understood may be followed by anything */
    };
    exchange->ops->respond(exchange, &response);
}

void edge_respond_error(struct edge_exchange *exchange, uint16_t status, const char *detail) {
    respond(exchange, status, detail, false);
}

uint16_t edge_failure_status(enum origin_phase phase, sk_err err) {
    if (phase == ORIGIN_PHASE_BODY_READ) {
        switch (err) {
        case SK_ERR_TIMEOUT: return 408;
        case SK_ERR_TOO_LARGE: return 413;
        case SK_ERR_MALFORMED:
        case SK_ERR_CLOSED: return 400;
        default: return 502;
        }
    }
    if (err == SK_ERR_BUSY) return 503; /* our own limit of connections; the origin may be well */
    return err == SK_ERR_TIMEOUT ? 504 : 502;
}

void edge_respond_failure(struct edge_exchange *exchange, enum origin_phase phase, sk_err err,
                          const char *detail) {
    const char *text = sk_err_text(err);
    if (phase != ORIGIN_PHASE_NONE) {
        sk_str line = sk_arena_printf(exchange->arena, "%s: %s%s%s", origin_phase_text(phase), text,
                                      detail ? ": " : "", detail ? detail : "");
        if (line.data) text = line.data;
    }
    respond(exchange, edge_failure_status(phase, err), text, true);
}
