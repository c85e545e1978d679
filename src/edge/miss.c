#include "edge/miss.h"

#include "cache/vary.h"
#include "edge/answer.h"
#include "edge/early_hints.h"
#include "edge/error_page.h"
#include "edge/fetch.h"
#include "edge/forward.h"
#include "edge/ring.h"
#include "edge/rules.h"
#include "edge/search.h"
#include "edge/selecting.h"
#include "edge/slices.h"
#include "edge/tunnel.h"
#include "edge/worker.h"

/* After this many surprises (another variant, a purge) a request goes alone. */
#define SHARED_TRIES 3

struct miss {
    struct edge_exchange *exchange;
    struct cache_object *stale; /* a reference, or NULL */
    struct cache_object *head;  /* the same: of a partial object that may answer */
    bool pass;
};

static struct edge_fetch_plan plan_of(struct edge_exchange *exchange, struct cache_fill *fill, bool pass) {
    return (struct edge_fetch_plan){
        .worker = exchange->worker,
        .snapshot = exchange->snapshot,
        .site = exchange->site,
        .rule = exchange->rule,
        .request = pass ? &exchange->request : edge_selecting(exchange),
        .client = exchange->client,
        .fill = fill,
        .leader = exchange,
        .pass = pass,
        .by_node = exchange->traits & EDGE_TRAIT_NODE,
        .passes_peers = pass,
    };
}

/* What the fetch that this exchange leads has learned. */
static void note_fetch(struct edge_exchange *exchange) {
    const struct edge_fetch *fetch = exchange->fetch;
    struct edge_outcome *outcome = &exchange->outcome;
    if (!fetch) return;
    outcome->origin_status = fetch->origin_status;
    outcome->stored = fetch->stored;
    outcome->store_reason = fetch->store_reason;
    outcome->upstream = fetch->result.origin;
    if (fetch->peer) outcome->upstream = sk_arena_copy(exchange->arena, outcome->upstream); /* the view's */
    if (fetch->validated) outcome->reason = HTTP_REASON_HIT_REVALIDATED;
}

/* Whoever came while the SSD tier was read has what it had. */
static void note_tier(struct edge_exchange *exchange, const struct cache_object *object) {
    struct edge_outcome *outcome = &exchange->outcome;
    if (!object->from_tier || (exchange->fetch && !exchange->fetch->from_tier)) return;
    outcome->hit = true;
    outcome->forwarded = false;
    outcome->reason = HTTP_REASON_HIT_DISK;
}

static void forget_fetch(struct edge_exchange *exchange) {
    if (exchange->fetch) edge_fetch_leave(exchange->fetch);
    exchange->fetch = NULL;
}

/* --- outcomes --------------------------------------------------------------------------------------------- */

/* RFC 9111 5.2.2.2: a cache that may not use what it has because the origin cannot be asked says 504. */
static bool is_cut_off(const struct edge_exchange *exchange, enum origin_phase phase) {
    bool answered = exchange->fetch && exchange->fetch->origin_status;
    return exchange->must_revalidate && !answered && phase != ORIGIN_PHASE_BODY_READ;
}

static void give_failure(struct edge_exchange *exchange, const struct cache_failure *failure) {
    enum origin_phase phase = (enum origin_phase)failure->phase;
    note_fetch(exchange);
    if (is_cut_off(exchange, phase))
        edge_respond_error(exchange, 504, "what is stored must be validated, and the origin cannot be asked");
    else
        edge_respond_failure(exchange, phase, failure->err, failure->detail);
}

static void fetch_alone(struct edge_exchange *exchange, bool by_peers);

/* True when the exchange is through; false: the partial object is of no use any more. */
static bool give_partial(struct edge_exchange *exchange, struct cache_object *head) {
    struct cache_failure failure;
    switch (edge_slices_serve(exchange, head, &failure)) {
    case EDGE_SLICES_CHANGED: exchange->outcome.hit = false; return false;
    case EDGE_SLICES_FAILED:
        exchange->outcome.hit = false;
        give_failure(exchange, &failure);
        break;
    case EDGE_SLICES_ANSWERED: break;
    }
    return true;
}

/* What came for everybody may not be what this client's If-Match asks for; a private response is the origin's
 * own answer, and never comes here twice. True when the exchange is through. */
static bool give_object(struct edge_exchange *exchange, struct cache_object *object) {
    note_fetch(exchange);
    note_tier(exchange, object);
    if (!edge_is_for_origin(exchange, object)) {
        if (object->part == CACHE_PART_HEAD) return give_partial(exchange, object);
        edge_answer_object(exchange, object);
        return true;
    }
    cache_object_unref(exchange->worker->cache, object);
    fetch_alone(exchange, false);
    return true;
}

static bool give_stale(struct edge_exchange *exchange, struct cache_object *object,
                       const struct cache_failure *failure) {
    struct http_cache_control control;
    http_request_cache_control(&exchange->request, &control);
    note_fetch(exchange);
    bool validated = exchange->fetch && exchange->fetch->validated;
    if (validated) return give_object(exchange, object);
    if (edge_is_for_origin(exchange, object) ||
        !http_may_serve_on_error(&object->freshness, &control, io_loop_wall_s(exchange->worker->loop))) {
        cache_object_unref(exchange->worker->cache, object);
        give_failure(exchange, failure->err ? failure : &(struct cache_failure){.err = SK_ERR_IO});
        return true;
    }
    exchange->outcome.hit = true;
    exchange->outcome.reason = HTTP_REASON_HIT_STALE_IF_ERROR;
    if (object->part == CACHE_PART_HEAD) return give_partial(exchange, object);
    edge_answer_object(exchange, object);
    return true;
}

/* The leader's request did not allow what is stale; this one's own word may (RFC 5861 section 4).
 * As give_stale. */
static bool give_own_stale(struct edge_exchange *exchange, struct cache_object *stale,
                           const struct cache_failure *failure) {
    struct cache_thread *thread = exchange->worker->cache;
    cache_enter(thread);
    bool there = stale && cache_find(thread, &exchange->key, edge_selecting(exchange), NULL) == stale;
    cache_leave(thread);
    if (!there) { /* nor purged meanwhile */
        give_failure(exchange, failure);
        return true;
    }
    cache_object_ref(stale);
    return give_stale(exchange, stale, failure);
}

/* --- alone ------------------------------------------------------------------------------------------------ */

static void fetch_alone(struct edge_exchange *exchange, bool by_peers) {
    struct edge_worker *worker = exchange->worker;
    struct cache_fill *fill;
    enum cache_outcome outcome;
    struct cache_object *object = NULL;
    struct cache_failure failure = {0};
    forget_fetch(exchange);
    sk_err err = cache_fill_private(worker->cache, &exchange->key, 0, &fill);
    if (err) {
        edge_respond_error(exchange, 503, "out of memory");
        return;
    }
    struct edge_fetch_plan plan = plan_of(exchange, fill, true);
    plan.passes_peers = !by_peers;
    edge_fetch_start(&plan);
    err = cache_fill_wait(worker->cache, fill, CACHE_LEAD, &exchange->request, SK_TIME_NEVER, &outcome,
                          &object, &failure);
    if (err) {
        cache_fill_leave(worker->cache, fill);
        return;
    }
    if (outcome == CACHE_OUTCOME_OBJECT || outcome == CACHE_OUTCOME_STALE)
        (void)give_object(exchange, object); /* never a partial one */
    else if (exchange->fetch && exchange->fetch->tunnel)
        edge_tunnel(exchange);
    else
        give_failure(exchange,
                     outcome == CACHE_OUTCOME_FAILED ? &failure : &(struct cache_failure){.err = SK_ERR_IO});
}

/* --- together --------------------------------------------------------------------------------------------- */

/* Waits for the fill. True when the exchange is through; false: it must go on alone, or once more. */
static bool await_fill(struct edge_exchange *exchange, struct cache_fill *fill, enum cache_role role,
                       struct cache_object *stale, bool *out_alone) {
    struct edge_worker *worker = exchange->worker;
    enum cache_outcome outcome;
    struct cache_object *object = NULL;
    struct cache_failure failure = {0};
    sk_err err = cache_fill_wait(worker->cache, fill, role, edge_selecting(exchange), SK_TIME_NEVER, &outcome,
                                 &object, &failure);
    if (err) { /* cancelled: the client is gone, or the edge stops */
        cache_fill_leave(worker->cache, fill);
        return true;
    }
    switch (outcome) {
    case CACHE_OUTCOME_OBJECT: return give_object(exchange, object);
    case CACHE_OUTCOME_STALE: return give_stale(exchange, object, &failure);
    case CACHE_OUTCOME_FAILED: return give_own_stale(exchange, stale, &failure);
    case CACHE_OUTCOME_ALONE: *out_alone = true; return false;
    case CACHE_OUTCOME_AGAIN: break;
    }
    return false;
}

static bool is_elsewhere(const struct edge_exchange *exchange) {
    struct edge_peers *peers =
        exchange->traits & EDGE_TRAIT_NODE ? NULL : edge_ring_get(exchange->worker->ring);
    bool elsewhere = peers && edge_peers_elsewhere(peers, cache_key_primary(exchange->key.text));
    edge_peers_unref(peers);
    return elsewhere;
}

/* One try with the others. As await_fill. */
static bool fetch_shared_once(struct edge_exchange *exchange, struct cache_object *stale, bool *out_alone) {
    struct edge_worker *worker = exchange->worker;
    struct cache_fill *fill;
    struct cache_object *object;
    struct http_range_wish wish = edge_slices_wish(exchange, stale);
    forget_fetch(exchange);
    if (wish.wanted && is_elsewhere(exchange)) { /* its owner has the slices */
        *out_alone = true;
        return false;
    }
    if (edge_slices_declined(exchange, &wish)) {
        exchange->outcome.reason = HTTP_REASON_PASS_REMEMBERED;
        *out_alone = true;
        return false;
    }
    enum cache_role role =
        cache_fill_begin(worker->cache, &exchange->key, edge_selecting(exchange), stale, &fill, &object);
    switch (role) {
    case CACHE_LEAD: {
        struct edge_fetch_plan plan = plan_of(exchange, fill, false);
        plan.wish = wish;
        edge_fetch_start(&plan);
        break;
    }
    case CACHE_FOLLOW: exchange->outcome.collapsed = true; break;
    case CACHE_FOUND: exchange->outcome.collapsed = true; return give_object(exchange, object);
    case CACHE_ALONE:
        exchange->outcome.reason = HTTP_REASON_PASS_REMEMBERED;
        *out_alone = true;
        return false;
    }
    return await_fill(exchange, fill, role, stale, out_alone);
}

static void fetch_shared(struct edge_exchange *exchange, struct cache_object *stale) {
    bool alone = false;
    for (int i = 0; i < SHARED_TRIES && !alone; i++) {
        if (fetch_shared_once(exchange, stale, &alone)) return;
        exchange->outcome.collapsed = false;
        edge_search_again(exchange);
    }
    fetch_alone(exchange, exchange->outcome.reason != HTTP_REASON_PASS_REMEMBERED);
}

/* --- the fiber -------------------------------------------------------------------------------------------- */

static void get_answer(struct edge_exchange *exchange, struct miss *miss) {
    if (miss->head) {
        struct cache_object *head = miss->head;
        miss->head = NULL;
        if (give_partial(exchange, head)) return;
        exchange->outcome.reason = HTTP_REASON_MISS_STALE;
    }
    exchange->outcome.forwarded = true;
    if (!miss->pass && miss->stale) edge_send_early_hints(exchange, miss->stale);
    if (miss->pass)
        fetch_alone(exchange, false);
    else
        fetch_shared(exchange, miss->stale);
}

static void fiber_main(void *arg) {
    struct miss *miss = arg;
    struct edge_exchange *exchange = miss->exchange;
    exchange->fiber = io_fiber_self();
    exchange->must_revalidate = miss->stale && miss->stale->freshness.must_revalidate;
    if (edge_is_loop(exchange)) {
        edge_respond_error(exchange, 508, "the request has come through here already");
    } else {
        get_answer(exchange, miss);
    }
    if (miss->stale) cache_object_unref(exchange->worker->cache, miss->stale);
    if (miss->head) cache_object_unref(exchange->worker->cache, miss->head);
    if (!exchange->responded) edge_respond_error(exchange, 503, "the edge stops");
    exchange->fiber = NULL;
    exchange->ops->fiber_ended(exchange);
}

static void start(struct edge_exchange *exchange, const struct miss *from) {
    struct miss *miss = NULL;
    if (!from->pass) edge_use_key_target(&exchange->request, exchange->key.text);
    sk_err err = edge_exchange_keep(exchange);
    if (!err) {
        miss = sk_arena_alloc(exchange->arena, sizeof *miss);
        err = miss ? SK_OK : SK_ERR_NO_MEMORY;
    }
    if (!err) {
        *miss = *from;
        err = io_fiber_spawn(exchange->worker->loop, "request", fiber_main, miss, NULL);
    }
    if (!err) return;
    if (from->stale) cache_object_unref(exchange->worker->cache, from->stale);
    if (from->head) cache_object_unref(exchange->worker->cache, from->head);
    edge_respond_error(exchange, 503, "out of memory");
}

void edge_miss_start(struct edge_exchange *exchange, struct cache_object *stale, bool pass) {
    start(exchange, &(struct miss){.exchange = exchange, .stale = stale, .pass = pass});
}

void edge_miss_partial(struct edge_exchange *exchange, struct cache_object *head) {
    start(exchange, &(struct miss){.exchange = exchange, .head = head});
}

void edge_refresh(struct edge_exchange *exchange, struct cache_object *object) {
    struct edge_worker *worker = exchange->worker;
    struct cache_fill *fill;
    struct cache_object *found;
    edge_use_key_target(&exchange->request, exchange->key.text);
    switch (
        cache_fill_begin(worker->cache, &exchange->key, edge_selecting(exchange), object, &fill, &found)) {
    case CACHE_LEAD: {
        struct edge_fetch_plan plan = plan_of(exchange, fill, false);
        plan.leader = NULL;
        plan.wish = edge_slices_wish(exchange, object);
        edge_fetch_start(&plan);
        cache_fill_leave(worker->cache, fill);
        break;
    }
    case CACHE_FOLLOW: cache_fill_leave(worker->cache, fill); break;
    case CACHE_FOUND: cache_object_unref(worker->cache, found); break;
    case CACHE_ALONE: break;
    }
}
