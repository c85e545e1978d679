#include "edge/acme_answer.h"

#include <stdio.h>

#include "edge/error_page.h"
#include "edge/serve.h"
#include "edge/worker.h"

static void answer(struct edge_exchange *exchange, sk_str text) {
    enum { HEAD_BYTES = 256 };
    char head[HEAD_BYTES];
    sk_str date = edge_worker_date(exchange->worker);
    int len = snprintf(head, sizeof head,
                       "Date: %.*s\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store\r\n",
                       SK_STR_ARGS(date));
    struct edge_response response = {.status = 200,
                                     .head = {head, (size_t)len},
                                     .body_length = text.len,
                                     .head_only = exchange->request.method == HTTP_METHOD_HEAD,
                                     .small_body = text};
    exchange->ops->respond(exchange, &response);
}

bool edge_acme_answer(struct edge_exchange *exchange) {
    const struct http_request *request = &exchange->request;
    sk_str prefix = SK_STR(ACME_CHALLENGE_PATH);
    char text[ACME_ANSWER_MAX];
    size_t bytes = 0;
    bool reads = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
    if (!reads || !sk_str_starts_with(request->path, prefix)) return false;
    sk_str token = sk_str_slice(request->path, prefix.len, request->path.len);
    switch (acme_challenge_find(edge_host_of(request), token, text, &bytes)) {
    case ACME_NOT_OURS: return false;
    case ACME_FOUND: answer(exchange, sk_str_make(text, bytes)); return true;
    case ACME_UNKNOWN: break;
    }
    edge_respond_error(exchange, 404, "there is no such challenge");
    return true;
}
