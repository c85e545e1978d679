#include "edge/slices.h"

#include <stdio.h>

#include "cache/slices.h"
#include "edge/answer.h"
#include "edge/error_page.h"
#include "edge/fetch.h"
#include "edge/selecting.h"
#include "edge/tier.h"
#include "edge/worker.h"

/* So many slices are looked at to tell a hit from a partial miss. */
#define LOOK_MOST 256

struct http_range_wish edge_slices_wish(const struct edge_exchange *exchange,
                                        const struct cache_object *stale) {
    if (!(exchange->traits & EDGE_TRAIT_RANGE)) return (struct http_range_wish){0};
    if (stale && stale->part != CACHE_PART_HEAD) return (struct http_range_wish){0};
    return http_range_wish_of(&exchange->request);
}

bool edge_slices_declined(const struct edge_exchange *exchange, const struct http_range_wish *wish) {
    return wish->wanted && cache_slices_declined(exchange->worker->cache, &exchange->key);
}

/* --- which bytes ------------------------------------------------------------------------------------------ */

/* An answer with a body, decided. */
struct plan {
    uint16_t status;
    sk_str head; /* lines that come from the stored head */
    char boundary[EDGE_BOUNDARY_BYTES];
    struct http_range_answer ranges; /* of a 206 */
    struct edge_part one;
    const struct edge_part *parts; /* of the representation */
    uint32_t part_count;
    uint64_t bytes;
    bool missing;                    /* some slice is not there yet */
    bool probe;                      /* it is to be had before the answer begins: */
    uint64_t probe_slice, probe_end; /* the first missing one, and the end of its part's slices */
};

static uint64_t length_of(const struct cache_object *head) {
    return atomic_load_explicit(&head->body_length, memory_order_acquire);
}

/* Of anything but several ranges. */
static void plan_simple(struct plan *plan, const struct edge_exchange *exchange,
                        const struct cache_object *head) {
    uint64_t length = length_of(head);
    plan->ranges = edge_ranges_of(exchange, head);
    plan->status = plan->ranges.kind == HTTP_RANGE_SOME ? 206 : 200;
    plan->head = head->head;
    plan->one = (struct edge_part){.first = 0, .end = length};
    if (plan->status == 206) {
        plan->one.first = plan->ranges.ranges[0].first;
        plan->one.end = plan->ranges.ranges[0].last + 1;
    }
    plan->parts = &plan->one;
    plan->part_count = 1;
    plan->bytes = plan->one.end - plan->one.first;
}

/* SK_ERR_NO_MEMORY. */
static sk_err plan_several(struct plan *plan, struct edge_exchange *exchange,
                           const struct cache_object *head) {
    sk_err err = edge_exchange_keep(exchange);
    if (err) return err;
    plan->parts = edge_multipart(exchange->arena, head, &plan->ranges, plan->boundary, &plan->bytes);
    plan->part_count = plan->ranges.count + 1;
    plan->head = edge_head_without_type(exchange->arena, &head->fields);
    return plan->parts && plan->head.data ? SK_OK : SK_ERR_NO_MEMORY;
}

/* --- the answer ------------------------------------------------------------------------------------------- */

/* OBJECT has the bytes of PART. */
static void respond(struct edge_exchange *exchange, const struct plan *plan, const struct cache_object *head,
                    struct cache_object *object, bool borrowed, struct edge_part part) {
    char extra[EDGE_EXTRA_BYTES];
    sk_str fields = edge_status_fields(exchange, head, extra);
    size_t room = sizeof extra - fields.len;
    const struct http_byte_range *range = &plan->ranges.ranges[0];
    if (plan->status == 206 && plan->ranges.count == 1)
        fields.len += (size_t)snprintf(extra + fields.len, room, "Content-Range: bytes %llu-%llu/%llu\r\n",
                                       (unsigned long long)range->first, (unsigned long long)range->last,
                                       (unsigned long long)length_of(head));
    else if (plan->status == 206)
        fields.len += (size_t)snprintf(extra + fields.len, room,
                                       "Content-Type: multipart/byteranges; boundary=%s\r\n", plan->boundary);
    exchange->part = part;
    struct edge_response response = {
        .status = plan->status,
        .head = plan->head,
        .extra_head = fields,
        .body_length = plan->bytes,
        .object = object,
        .borrowed = borrowed,
        .parts = &exchange->part,
        .part_count = 1,
    };
    exchange->ops->respond(exchange, &response);
}

/* Inside a section: a whole slice that is there, or NULL. */
static struct cache_object *find_slice(struct edge_exchange *exchange, const struct cache_object *head,
                                       uint64_t slice) {
    struct cache_key key;
    if (cache_slice_key(exchange->arena, &exchange->key, cache_slices_of(head), slice, &key) != SK_OK)
        return NULL;
    struct cache_object *object = cache_find(exchange->worker->cache, &key, NULL, NULL);
    /* acquire: with it, all bytes are seen */
    bool complete = object && atomic_load_explicit(&object->complete, memory_order_acquire) == CACHE_COMPLETE;
    return complete ? object : NULL;
}

bool edge_slices_answer_now(struct edge_exchange *exchange, struct cache_object *head) {
    struct plan plan = {0};
    if (edge_answer_without_body(exchange, head, true)) return true;
    plan_simple(&plan, exchange, head);
    if (plan.status == 206 && plan.ranges.count > 1) return false;
    uint64_t slice = http_slice_of(plan.one.first), start = slice * HTTP_SLICE_BYTES;
    if (http_slice_of(plan.one.end - 1) != slice) return false;
    struct cache_object *object = find_slice(exchange, head, slice);
    if (!object) return false;
    struct edge_part part = {.first = plan.one.first - start, .end = plan.one.end - start};
    respond(exchange, &plan, head, object, true, part);
    return true;
}

/* --- together with slices that have to come ---------------------------------------------------------------- */

enum presence { ABSENT, ARRIVING, PRESENT };

static enum presence presence_of(struct edge_exchange *exchange, const struct cache_object *head,
                                 uint64_t slice) {
    struct cache_key key;
    struct cache_thread *thread = exchange->worker->cache;
    enum presence presence = ABSENT;
    if (cache_slice_key(exchange->arena, &exchange->key, cache_slices_of(head), slice, &key) != SK_OK)
        return ABSENT;
    cache_enter(thread);
    const struct cache_object *object = cache_find(thread, &key, NULL, NULL);
    if (object)
        presence = atomic_load_explicit(&object->complete, memory_order_acquire) == CACHE_COMPLETE ? PRESENT
                                                                                                   : ARRIVING;
    cache_leave(thread);
    if (presence == ABSENT && edge_tier_has_slice(exchange, &key)) return PRESENT;
    return presence;
}

/* Looks for the first slice that is missing, as far as it is known now: more may be evicted, or come, before it is
 * their turn. One behind a slice that arrives will be brought by the same run, if all goes well; any other is
 * fetched before the answer begins, so that a change of the representation does not cut the answer off. */
static void look_for_missing(struct edge_exchange *exchange, const struct cache_object *head,
                             struct plan *plan) {
    uint32_t looked = 0;
    enum presence before = PRESENT;
    for (uint32_t i = 0; i < plan->part_count; i++) {
        const struct edge_part *part = &plan->parts[i];
        if (part->first == part->end) continue;
        uint64_t end = http_slice_of(part->end - 1) + 1;
        for (uint64_t slice = http_slice_of(part->first); slice < end && looked < LOOK_MOST; slice++) {
            enum presence now = presence_of(exchange, head, slice);
            looked++;
            if (now == ABSENT) {
                plan->missing = true;
                plan->probe = before != ARRIVING;
                plan->probe_slice = slice;
                plan->probe_end = end;
                return;
            }
            before = now;
        }
        before = PRESENT;
    }
}

static void note_missing(struct edge_exchange *exchange, const struct plan *plan) {
    struct edge_outcome *outcome = &exchange->outcome;
    if (!outcome->hit || !plan->missing) return;
    outcome->hit = false;
    outcome->forwarded = true;
    outcome->reason = HTTP_REASON_MISS_PARTIAL;
}

/* The assembly, as a fetch that this exchange leads. SK_ERR_NO_MEMORY. */
static sk_err start_assembly(struct edge_exchange *exchange, struct cache_object *head,
                             const struct plan *plan, struct cache_fill **out_fill) {
    sk_err err = cache_fill_private(exchange->worker->cache, &exchange->key, 0, out_fill);
    if (err) return err;
    if (exchange->fetch) edge_fetch_leave(exchange->fetch);
    exchange->fetch = NULL;
    struct edge_fetch_plan start = {
        .worker = exchange->worker,
        .snapshot = exchange->snapshot,
        .site = exchange->site,
        .rule = exchange->rule,
        .request = edge_selecting(exchange),
        .client = exchange->client,
        .fill = *out_fill,
        .leader = exchange,
        .pass = true,
        .by_node = exchange->traits & EDGE_TRAIT_NODE,
        .head = head,
        .parts = plan->parts,
        .part_count = plan->part_count,
        .parts_bytes = plan->bytes,
        .slice = plan->probe_slice,
        .slice_end = plan->probe ? plan->probe_end : 0,
    };
    edge_fetch_start(&start);
    return SK_OK;
}

static enum edge_slices_end fail(sk_err err, struct cache_failure *out_failure) {
    *out_failure = (struct cache_failure){.err = err};
    return EDGE_SLICES_FAILED;
}

static enum edge_slices_end assemble(struct edge_exchange *exchange, struct cache_object *head,
                                     const struct plan *plan, struct cache_failure *out_failure) {
    struct cache_thread *thread = exchange->worker->cache;
    struct cache_fill *fill;
    enum cache_outcome outcome;
    struct cache_object *object = NULL;
    sk_err err = start_assembly(exchange, head, plan, &fill);
    if (err) return fail(err, out_failure);
    err = cache_fill_wait(thread, fill, CACHE_LEAD, NULL, SK_TIME_NEVER, &outcome, &object, out_failure);
    if (err) { /* cancelled: the client is gone, or the edge stops */
        cache_fill_leave(thread, fill);
        return EDGE_SLICES_ANSWERED;
    }
    if (outcome != CACHE_OUTCOME_OBJECT)
        return out_failure->err == SK_ERR_STALE ? EDGE_SLICES_CHANGED : EDGE_SLICES_FAILED;
    if (exchange->client_gone)
        cache_object_unref(thread, object);
    else
        respond(exchange, plan, head, object, false, (struct edge_part){.first = 0, .end = plan->bytes});
    return EDGE_SLICES_ANSWERED;
}

static enum edge_slices_end serve(struct edge_exchange *exchange, struct cache_object *head,
                                  struct cache_failure *out_failure) {
    struct plan plan = {0};
    if (exchange->client_gone || edge_answer_without_body(exchange, head, true)) return EDGE_SLICES_ANSWERED;
    plan_simple(&plan, exchange, head);
    if (plan.status == 206 && plan.ranges.count > 1) {
        sk_err err = plan_several(&plan, exchange, head);
        if (err) return fail(err, out_failure);
    }
    look_for_missing(exchange, head, &plan);
    note_missing(exchange, &plan);
    return assemble(exchange, head, &plan, out_failure);
}

enum edge_slices_end edge_slices_serve(struct edge_exchange *exchange, struct cache_object *head,
                                       struct cache_failure *out_failure) {
    struct cache_thread *thread = exchange->worker->cache;
    *out_failure = (struct cache_failure){0};
    enum edge_slices_end end = serve(exchange, head, out_failure);
    cache_object_unref(thread, head);
    return end;
}
