#include "edge/access.h"

#include "edge/worker.h"
#include "wire/tls_server.h"

void edge_access_write(const struct edge_exchange *exchange) {
    struct edge_worker *worker = exchange->worker;
    const struct http_request *request = &exchange->request;
    const struct edge_outcome *outcome = &exchange->outcome;
    char ip[IO_ADDR_TEXT_BYTES];
    sk_time_ns now = sk_time_now();
    size_t ip_len = io_addr_format_ip(exchange->client, ip);
    struct access_log_entry entry = {
        .wall_ns = sk_wall_now_ns() - (now - exchange->started),
        .client_ip = {ip, ip_len},
        .method = request->method_text,
        .host = request->authority,
        .target = request->target,
        .user_agent = http_fields_value(&request->fields, HTTP_FIELD_USER_AGENT),
        .referer = http_fields_value(&request->fields, HTTP_FIELD_REFERER),
        .site = exchange->site ? exchange->site->name : (sk_str){0},
        .upstream = outcome->upstream,
        .error = outcome->error,
        .version = request->version,
        .reason = outcome->reason,
        .store_reason = outcome->store_reason,
        .status = outcome->status,
        .origin_status = outcome->origin_status,
        .hit = outcome->hit,
        .stored = outcome->stored,
        .collapsed = outcome->collapsed,
        .sent_bytes = outcome->sent_bytes,
        .body_bytes = outcome->body_bytes,
        .duration_ns = now - exchange->started,
        .first_byte_ns = outcome->first_byte_at ? outcome->first_byte_at - exchange->started : 0,
        .aborted = outcome->aborted,
    };
    if (exchange->tls) {
        entry.tls_version = sk_str_from_c(exchange->tls->version);
        entry.tls_group = sk_str_from_c(exchange->tls->group);
        entry.tls_cipher = sk_str_from_c(exchange->tls->cipher);
        entry.tls_resumed = exchange->tls->resumed;
        entry.early_data = exchange->traits & EDGE_TRAIT_EARLY;
    }
    access_log_write(worker->log, &entry);
}
