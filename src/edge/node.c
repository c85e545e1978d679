#include "edge/node.h"

#include <stdio.h>

#include "base/log.h"
#include "cache/purge.h"
#include "edge/error_page.h"
#include "edge/fetch.h"
#include "edge/invalidate.h"
#include "edge/ring.h"
#include "edge/worker.h"
#include "fleet/id.h"

/* What comes from the disk was fetched so long before it was stored, at most: its own clock is forgotten. */
#define BEFORE_STORED_US 60000000

sk_err edge_node_ask(const struct http_request *request, struct grid_ask *out_ask) {
    const struct http_field *field = http_fields_find(&request->fields, HTTP_FIELD_SKERRY_PEER);
    if (!field || http_fields_next(&request->fields, HTTP_FIELD_SKERRY_PEER, field)) return SK_ERR_MALFORMED;
    return grid_ask_parse(field->value, out_ask);
}

/* The last hop is who asks, as its certificate says. */
static bool names_itself(const struct grid_ask *ask, const struct fleet_caller *caller) {
    sk_str last = ask->hops[ask->hop_count - 1], pop = sk_str_from_c(caller->id.pop);
    size_t slash = sk_str_find_byte(last, '/');
    return slash < last.len && sk_str_eq(sk_str_slice(last, 0, slash), pop) &&
           sk_str_eq(sk_str_slice(last, slash + 1, last.len), sk_str_from_c(caller->id.name));
}

static bool has_come_through(const struct grid_ask *ask, sk_str label) {
    for (uint32_t i = 0; i < ask->hop_count; i++)
        if (sk_str_eq(ask->hops[i], label)) return true;
    return false;
}

/* A status, with what is wrong; 0: nothing is. */
static uint16_t refusal(const struct edge_exchange *exchange, const struct edge_peers *peers,
                        const char **out_detail) {
    const struct fleet_caller *caller = exchange->tls->node;
    const struct http_request *request = &exchange->request;
    struct grid_ask ask;
    *out_detail = "there is no ring here";
    if (!peers || !caller) return 403;
    bool tells = request->method == HTTP_METHOD_PURGE;
    enum fleet_verdict verdict =
        fleet_check(caller, sk_str_from_c(peers->self.fleet),
                    tells ? FLEET_VERB_INVALIDATE_PEER : FLEET_VERB_FETCH_PEER, &peers->expelled);
    *out_detail = fleet_verdict_text(verdict);
    if (verdict != FLEET_ALLOWED) return 403;
    *out_detail = "nodes ask each other with GET, HEAD and PURGE, and no content";
    bool reads = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
    if ((!reads && !tells) || request->upgrade.data || edge_has_content(request)) return 405;
    *out_detail = "no node asks like that";
    if (edge_node_ask(request, &ask) || !names_itself(&ask, caller)) return 400;
    *out_detail = "the request has come through here already";
    return has_come_through(&ask, peers->label) ? 508 : 0;
}

bool edge_node_admit(struct edge_exchange *exchange) {
    struct edge_worker *worker = exchange->worker;
    struct edge_peers *peers = edge_ring_get(worker->ring);
    const struct fleet_caller *caller = exchange->tls->node;
    const char *detail;
    uint16_t status = refusal(exchange, peers, &detail);
    edge_peers_unref(peers);
    if (!status) {
        exchange->traits |= EDGE_TRAIT_NODE;
        observe_count(worker->metrics, OBSERVE_PEER_SERVED);
        return true;
    }
    observe_count(worker->metrics, OBSERVE_PEER_REFUSED);
    SK_LOG_LIMITED(SK_LOG_WARN, "peers", "%s/%s/%s is refused: %s", caller ? caller->id.pop : "?",
                   caller ? fleet_role_word(caller->id.role) : "?", caller ? caller->id.name : "?", detail);
    edge_respond_error(exchange, status, detail);
    return false;
}

void edge_node_forget(struct edge_exchange *exchange) {
    char head[64];
    if (exchange->key.text.len) edge_invalidate_key(exchange->worker->cache, &exchange->key);
    observe_count(exchange->worker->metrics, OBSERVE_PEER_FORGOTTEN);
    int len = snprintf(head, sizeof head, "Date: %.*s\r\n", SK_STR_ARGS(edge_worker_date(exchange->worker)));
    struct edge_response response = {.status = 204, .head = {head, (size_t)len}};
    exchange->ops->respond(exchange, &response);
}

/* The origin was asked because of this very request, so after it was sent. */
static bool asked_for_it(const struct edge_exchange *exchange) {
    const struct edge_fetch *fetch = exchange->fetch;
    return fetch && (fetch->published || fetch->validated) && !fetch->peer && !fetch->from_tier;
}

static uint64_t held_us(const struct edge_exchange *exchange, const struct cache_object *object) {
    if (asked_for_it(exchange)) return 0;
    if (object->born_at) return (uint64_t)SK_MAX(sk_time_now() - object->born_at, 0) / 1000 + 1;
    sk_unix_s stored_s = io_loop_wall_s(exchange->worker->loop) - object->stored_at;
    return (uint64_t)SK_MAX(stored_s + 1, 1) * 1000000 + BEFORE_STORED_US;
}

char *edge_node_word(const struct edge_exchange *exchange, const struct cache_object *object, char *at) {
    struct grid_word word = {.held_us = held_us(exchange, object)};
    const uint64_t *tags;
    uint32_t count = object->shared ? cache_object_tags(object, &tags) : 0;
    word.tags_untold = count > GRID_TAGS_MAX;
    for (uint32_t i = 0; i < count && !word.tags_untold; i++) word.tags[word.tag_count++] = tags[i];
    memcpy(at, "Skerry-Peer: ", 13);
    at += 13;
    at += grid_word_format(&word, at);
    memcpy(at, "\r\n", 2);
    return at + 2;
}
