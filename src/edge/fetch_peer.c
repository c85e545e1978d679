#include "edge/fetch_peer.h"

#include "base/log.h"
#include "cache/purge.h"
#include "edge/forward.h"
#include "edge/node.h"
#include "edge/peers.h"
#include "edge/ring.h"
#include "edge/rules.h"
#include "edge/worker.h"

/* What is larger streams through without a place in our store, each request for itself. */
#define SHARED_MOST_BYTES (256u << 10)

/* ---- the question ------------------------------------------------------------------------------------------------ */

sk_err edge_fetch_add_ask(struct edge_fetch *fetch, struct http_fields *fields) {
    char text[GRID_ASK_BYTES];
    struct grid_ask ask = fetch->node_ask;
    if (ask.hop_count == GRID_HOPS_MAX) return SK_ERR_TOO_LARGE;
    ask.hops[ask.hop_count++] = fetch->peers->label;
    ask.fresh = SK_MAX(ask.fresh, fetch->fresh);
    /* What it has is known by then: to validate it, it may ask. */
    ask.only_stored = fetch->step->only_stored && fetch->fresh == GRID_AS_STORED;
    sk_str value = sk_arena_copy(&fetch->arena, (sk_str){text, grid_ask_format(&ask, text)});
    if (!value.data) return SK_ERR_NO_MEMORY;
    return http_fields_add(fields, &fetch->arena, SK_STR(GRID_FIELD), value);
}

static sk_err ask_once(struct edge_fetch *fetch, const struct edge_peer *peer,
                       struct origin_exchange **out_origin, const struct http_response **out_response) {
    sk_err err = edge_forward_request(fetch);
    if (err) return err;
    struct origin_request request = {.group = peer->group, .request = &fetch->request};
    observe_count(fetch->worker->metrics, OBSERVE_PEER_ASKED);
    return origin_exchange_open(fetch->worker->origins, &request, out_origin, out_response, &fetch->result);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static sk_err read_word(struct edge_fetch *fetch, const struct http_response *response) {
    const struct http_field *field = http_fields_find(&response->fields, HTTP_FIELD_SKERRY_PEER);
    struct grid_word *word = sk_arena_alloc(&fetch->arena, sizeof *word);
    if (!word) return SK_ERR_NO_MEMORY;
    if (!field || http_fields_next(&response->fields, HTTP_FIELD_SKERRY_PEER, field)) return SK_ERR_MALFORMED;
    fetch->word = word;
    return grid_word_parse(field->value, word);
}

/* Since when it was held at most, by our clock: it was sent after we asked. The other clock may be slower than ours by
 * one in a thousand. */
static sk_time_ns held_since(const struct grid_word *word, sk_time_ns asked_at) {
    sk_time_ns held = (sk_time_ns)word->held_us * 1000;
    return asked_at - held - held / 1024;
}

/* What the purges that we know do to it (grid/peer_field.h). */
static enum cache_purge_effect effect_on(struct edge_fetch *fetch, sk_time_ns since) {
    struct cache_thread *thread = fetch->worker->cache;
    const struct grid_word *word = fetch->word;
    uint64_t tick = cache_purge_tick_at(cache_of(thread), since);
    if (word->tags_untold && cache_purge_clock(cache_of(thread)) != tick) return CACHE_PURGE_STALES;
    return cache_purge_effect_since(thread, edge_fetch_primary(fetch), word->tags, word->tag_count, tick);
}

/* SK_OK: it may be used; SK_ERR_STALE: not before the owner has looked again, as fetch->fresh says now. */
static sk_err judge(struct edge_fetch *fetch, const struct http_response *response, sk_time_ns asked_at) {
    sk_err err = read_word(fetch, response);
    if (err) return err;
    if (fetch->word->failed) return fetch->step->only_stored ? SK_ERR_NOT_FOUND : SK_OK;
    sk_time_ns since = held_since(fetch->word, asked_at);
    enum cache_purge_effect effect = effect_on(fetch, since);
    if (effect == CACHE_PURGE_SPARES && since < edge_past_unknown_until(fetch->peers->how.past))
        effect = CACHE_PURGE_STALES; /* in a life of ours that we do not remember it may have been purged */
    if (effect == CACHE_PURGE_SPARES) {
        cache_fill_held_since(fetch->fill, since);
        return SK_OK;
    }
    observe_count(fetch->worker->metrics, OBSERVE_PEER_BEHIND);
    fetch->fresh = effect == CACHE_PURGE_REMOVES ? GRID_ANEW : GRID_VALIDATED;
    return SK_ERR_STALE;
}

/* ---- the story --------------------------------------------------------------------------------------------------- */

/* Twice at most: the second time with what a purge asks for. */
static sk_err ask_peer(struct edge_fetch *fetch, struct origin_exchange **out_origin,
                       const struct http_response **out_response) {
    const struct edge_peer *peer = fetch->step->peer;
    sk_err err = SK_ERR_STALE;
    fetch->fresh = GRID_AS_STORED;
    for (int i = 0; i < 2 && err == SK_ERR_STALE; i++) {
        sk_time_ns asked_at = sk_time_now();
        err = ask_once(fetch, peer, out_origin, out_response);
        if (err) return err;
        err = judge(fetch, *out_response, asked_at);
        if (err) origin_exchange_close(*out_origin);
        if (fetch->step->only_stored && fetch->fresh == GRID_ANEW) break; /* it has nothing, then */
    }
    return err;
}

static sk_err take_step(struct edge_fetch *fetch, struct origin_exchange **out_origin,
                        const struct http_response **out_response) {
    const struct edge_peer *peer = fetch->step->peer;
    if (origin_group_is_out(peer->group)) return SK_ERR_BUSY;
    sk_err err = ask_peer(fetch, out_origin, out_response);
    if (!err) {
        observe_count(fetch->worker->metrics, OBSERVE_PEER_ANSWERED);
        fetch->peer = peer;
        return SK_OK;
    }
    fetch->word = NULL;
    if (fetch->step->only_stored || err == SK_ERR_CANCELLED) return err;
    observe_count(fetch->worker->metrics, OBSERVE_PEER_FAILED);
    SK_LOG_LIMITED(SK_LOG_INFO, "peers", "%.*s: %.*s: %s", SK_STR_ARGS(peer->label),
                   SK_STR_ARGS(fetch->client_request.path), sk_err_text(err));
    return err;
}

/* Those that it has come through already; a client's request has come through nobody. */
static sk_err read_hops(struct edge_fetch *fetch) {
    fetch->node_ask = (struct grid_ask){0};
    return fetch->by_node ? edge_node_ask(&fetch->client_request, &fetch->node_ask) : SK_OK;
}

sk_err edge_fetch_ask_peers(struct edge_fetch *fetch, struct origin_exchange **out_origin,
                            const struct http_response **out_response) {
    struct edge_peer_step steps[EDGE_PEER_STEPS];
    fetch->peer = NULL;
    fetch->word = NULL;
    if (!fetch->peers || fetch->has_body || read_hops(fetch)) return SK_ERR_NOT_FOUND;
    sk_str primary = edge_fetch_primary(fetch);
    uint32_t count = edge_peers_steps(fetch->peers, fetch->site, primary,
                                      fetch->by_node ? &fetch->node_ask : NULL, sk_time_now(), steps);
    sk_err err = SK_ERR_NOT_FOUND;
    for (uint32_t i = 0; i < count; i++) {
        fetch->step = &steps[i];
        err = take_step(fetch, out_origin, out_response);
        fetch->step = NULL;
        if (!err || err == SK_ERR_CANCELLED) return err;
        if (err == SK_ERR_STALE || err == SK_ERR_TIMEOUT) break; /* the next one would do no better */
    }
    if (count) observe_count(fetch->worker->metrics, OBSERVE_PEER_FALLBACKS);
    return SK_ERR_NOT_FOUND;
}

/* ---- what is another node's ---------------------------------------------------------------------------------------- */

/* Asked for so often here that the way to its owner is worth sparing. */
static bool is_hot(struct edge_fetch *fetch) {
    uint32_t hot = fetch->snapshot->config->peers.hot;
    uint64_t hash = cache_fill_primary_key(fetch->fill)->hash.low;
    return hot && grid_heat_count(fetch->peers->how.heat, hash, sk_time_now()) >= hot;
}

void edge_fetch_judge_foreign(struct edge_fetch *fetch, const struct http_response *response,
                              struct http_store_answer *answer) {
    if (!fetch->peer || fetch->by_node || !answer->store) return;
    if (!edge_peers_elsewhere(fetch->peers, edge_fetch_primary(fetch))) return;
    uint64_t length = edge_fetch_body_length(response);
    bool small = length != CACHE_LENGTH_UNKNOWN && length <= SHARED_MOST_BYTES;
    if (small && is_hot(fetch)) {
        cache_fill_as_guest(fetch->fill);
        observe_count(fetch->worker->metrics, OBSERVE_PEER_HOT);
        return;
    }
    fetch->foreign = true;
    if (small) {
        cache_fill_not_to_keep(fetch->fill);
        return;
    }
    *answer = (struct http_store_answer){.reason = HTTP_REASON_NO_STORE_PEER};
}

void edge_fetch_tell_foreign(struct edge_fetch *fetch) {
    fetch->stored = false;
    fetch->store_reason = HTTP_REASON_NO_STORE_PEER;
}

sk_err edge_fetch_take_tags(struct edge_fetch *fetch, struct cache_head *head) {
    if (fetch->word->tags_untold) return SK_ERR_TOO_LARGE;
    head->tag_scopes = fetch->word->tags;
    head->tag_count = fetch->word->tag_count;
    return SK_OK;
}
