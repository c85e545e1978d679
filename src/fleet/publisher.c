#include "fleet/publisher.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

enum {
    WAITING_MOST = 1000, /* items that the server has not taken */
    CALL_MS = 5000,
    REFUSED_PAUSE_MS = 200,
    ROLL_EVERY_MS = 2000,     /* also while nobody waits: who is forgotten next should have been seen */
    PIECE_BYTES = 200 * 1024, /* of texts in one entry */
    ARENA_LIMIT = 32 << 20,
};

/* One entry that the server has not taken yet. */
struct item {
    struct sk_list link;
    struct sk_arena arena; /* wishes and texts */
    struct fleet_bus_entry entry;
    struct caller *caller; /* NULL: it did not wait for it */
};

/* Who waits for items; on its own stack. */
struct caller {
    struct io_fiber *fiber;
    uint32_t open; /* items */
    struct fleet_bus_mark last;
};

struct fleet_publisher {
    struct io_loop *loop;
    struct fleet_publisher_options options;
    struct fleet_valkey *sending, *asking;
    char name[FLEET_ID_TEXT_BYTES];
    uint64_t epoch; /* 0 until the server was asked for the last one */
    uint64_t sequence, serial;
    struct fleet_bus_mark confirmed; /* by the server */
    struct fleet_roll *roll;
    struct io_fiber *pump, *caller_of_roll;
    struct sk_list items;
    uint32_t waiting;
    sk_time_ns last_sent;
    unsigned waits; /* fibers in fleet_publisher_wait */
    bool ended, abandoned;
};

static sk_str name_of(const struct fleet_publisher *publisher) { return sk_str_from_c(publisher->name); }

/* ---- items ------------------------------------------------------------------------------------------------------ */

static void drop(struct fleet_publisher *publisher, struct item *item) {
    sk_list_remove(&item->link);
    publisher->waiting--;
    sk_arena_free(&item->arena);
    free(item);
}

static struct item *add_item(struct fleet_publisher *publisher, enum fleet_bus_kind kind,
                             struct caller *caller) {
    struct item *item = calloc(1, sizeof *item);
    if (!item) return NULL;
    sk_arena_init(&item->arena, 1024, 0);
    if (kind == FLEET_BUS_PURGES) publisher->sequence++;
    item->entry = (struct fleet_bus_entry){
        .kind = kind, .publisher = name_of(publisher), .mark.sequence = publisher->sequence};
    item->caller = caller;
    sk_list_push_back(&publisher->items, &item->link);
    publisher->waiting++;
    if (caller) caller->open++;
    return item;
}

/* Numbered only when its wishes are its own. */
static sk_err add_purges(struct fleet_publisher *publisher, const struct fleet_purge_wish *wishes,
                         uint32_t count, struct caller *caller) {
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, 0);
    struct fleet_purge_wish *own = sk_arena_alloc(&arena, count * sizeof *own);
    bool copied = own != NULL;
    for (uint32_t i = 0; i < count && copied; i++) {
        own[i] = wishes[i];
        own[i].text = sk_arena_copy(&arena, wishes[i].text);
        own[i].site = sk_arena_copy(&arena, wishes[i].site);
        copied = own[i].text.data && own[i].site.data;
    }
    struct item *item = copied ? add_item(publisher, FLEET_BUS_PURGES, caller) : NULL;
    if (!item) {
        sk_arena_free(&arena);
        return SK_ERR_NO_MEMORY;
    }
    item->arena = arena;
    item->entry.wishes = own;
    item->entry.wish_count = count;
    return SK_OK;
}

/* How many of the wishes go into one entry. */
static uint32_t piece_of(const struct fleet_purge_wish *wishes, uint32_t count) {
    uint32_t taken = 0;
    size_t bytes = 0;
    while (taken < count && taken < FLEET_BUS_PURGES_MAX) {
        bytes += wishes[taken].text.len + wishes[taken].site.len + 8;
        if (taken && bytes > PIECE_BYTES) break;
        taken++;
    }
    return taken;
}

static void release(struct fleet_publisher *publisher) {
    SK_LIST_FOR_EACH(link, &publisher->items) drop(publisher, SK_CONTAINER_OF(link, struct item, link));
    fleet_valkey_destroy(publisher->sending);
    fleet_valkey_destroy(publisher->asking);
    fleet_roll_free(publisher->roll);
    free(publisher);
}

/* The last one out. */
static void release_if_done(struct fleet_publisher *publisher) {
    if (publisher->abandoned && !publisher->pump && !publisher->caller_of_roll && !publisher->waits)
        release(publisher);
}

/* ---- the pump: one item after the other ------------------------------------------------------------------------- */

static void done(struct fleet_publisher *publisher, struct item *item) {
    struct caller *caller = item->caller;
    publisher->confirmed = (struct fleet_bus_mark){publisher->epoch, item->entry.mark.sequence};
    if (caller) {
        caller->open--;
        caller->last = publisher->confirmed;
        io_fiber_wake(caller->fiber);
    }
    publisher->last_sent = sk_time_now();
    publisher->ended |= item->entry.kind == FLEET_BUS_END;
    drop(publisher, item);
}

/* Epochs of one name grow, also when the clock was set back since the last one. */
static sk_err begin_epoch(struct fleet_publisher *publisher, struct sk_arena *arena) {
    const sk_str key = SK_STR("skerry:epochs");
    const sk_str get[] = {SK_STR("HGET"), key, name_of(publisher)};
    const struct fleet_reply *reply;
    char digits[20];
    uint64_t last = 0, epoch = (uint64_t)sk_wall_now_ns();
    sk_time_ns deadline = sk_time_now() + CALL_MS * SK_NS_PER_MS;
    sk_err err = fleet_valkey_call(publisher->sending, get, 3, deadline, arena, &reply);
    if (err) return err;
    if (reply->kind == FLEET_REPLY_TEXT && sk_str_to_u64(reply->text, &last) == SK_OK && last >= epoch)
        epoch = last + 1;
    struct fleet_pair pair = {name_of(publisher), {digits, sk_u64_to_text(epoch, digits)}};
    err = fleet_valkey_hash_set(publisher->sending, key, &pair, 1, 0, deadline, arena);
    if (!err) publisher->epoch = epoch;
    return err;
}

static sk_err send_sealed(struct fleet_publisher *publisher, const struct fleet_sealed *sealed,
                          struct sk_arena *arena) {
    struct fleet_stream_id id;
    struct fleet_pair pairs[FLEET_SEALED_PAIRS];
    fleet_bus_pairs(sealed, pairs);
    return fleet_valkey_add(publisher->sending, SK_STR(FLEET_BUS_STREAM), FLEET_BUS_KEEP, pairs,
                            SK_COUNT(pairs), sk_time_now() + CALL_MS * SK_NS_PER_MS, arena, &id);
}

static sk_err seal_and_send(struct fleet_publisher *publisher, struct item *item, struct sk_arena *arena) {
    struct fleet_identity *identity = publisher->options.identity(publisher->options.arg);
    struct fleet_sealed sealed;
    if (!identity) return SK_ERR_NOT_FOUND;
    item->entry.mark.epoch = publisher->epoch;
    item->entry.serial = ++publisher->serial;
    item->entry.made_ms = (uint64_t)(sk_wall_now_ns() / SK_NS_PER_MS);
    fleet_bus_sealed_init(&sealed);
    sk_err err = fleet_bus_seal(identity, &item->entry, &sealed);
    fleet_identity_unref(identity);
    if (!err) err = send_sealed(publisher, &sealed, arena);
    fleet_sealed_free(&sealed);
    return err;
}

static sk_err send_first(struct fleet_publisher *publisher) {
    struct item *item = SK_CONTAINER_OF(sk_list_first(&publisher->items), struct item, link);
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, ARENA_LIMIT);
    sk_err err = publisher->epoch ? SK_OK : begin_epoch(publisher, &arena);
    if (!err) err = seal_and_send(publisher, item, &arena);
    sk_arena_free(&arena);
    if (!err) done(publisher, item);
    return err;
}

static sk_err wait_before_next_try(struct fleet_publisher *publisher, sk_err why) {
    sk_str refusal = fleet_valkey_refusal(publisher->sending);
    SK_LOG_LIMITED(SK_LOG_WARN, "bus", "purges wait for the server: %s %.*s", sk_err_text(why),
                   SK_STR_ARGS(refusal));
    if (!fleet_valkey_connected(publisher->sending)) return fleet_valkey_pause(publisher->sending);
    sk_err err = io_fiber_sleep_until(sk_time_now() + REFUSED_PAUSE_MS * SK_NS_PER_MS);
    return err == SK_ERR_CANCELLED ? err : SK_OK;
}

static void pump(void *arg) {
    struct fleet_publisher *publisher = arg;
    sk_err err = SK_OK;
    while (!publisher->ended && err != SK_ERR_CANCELLED) {
        sk_time_ns beat = publisher->last_sent + FLEET_BUS_BEAT_MS * SK_NS_PER_MS;
        if (!sk_list_empty(&publisher->items)) {
            err = send_first(publisher);
            if (err && err != SK_ERR_CANCELLED) err = wait_before_next_try(publisher, err);
        } else if (sk_time_now() >= beat) {
            err = add_item(publisher, FLEET_BUS_BEAT, NULL) ? SK_OK : SK_ERR_NO_MEMORY;
            if (err) publisher->last_sent = sk_time_now();
        } else {
            err = io_fiber_park(beat);
        }
    }
    publisher->pump = NULL;
    release_if_done(publisher);
}

/* ---- publishing -------------------------------------------------------------------------------------------------- */

/* Leaves what is not sent to the pump. */
static void stop_waiting(struct fleet_publisher *publisher, struct caller *caller) {
    SK_LIST_FOR_EACH(link, &publisher->items) {
        struct item *item = SK_CONTAINER_OF(link, struct item, link);
        if (item->caller == caller) item->caller = NULL;
    }
}

static sk_err wait_for_items(struct fleet_publisher *publisher, struct caller *caller, sk_time_ns deadline) {
    sk_err err = SK_OK;
    if (publisher->pump) io_fiber_wake(publisher->pump);
    while (caller->open && !err) err = io_fiber_park(deadline);
    if (!caller->open) return SK_OK;
    stop_waiting(publisher, caller);
    return err;
}

static sk_err check_request(const struct fleet_publisher *publisher,
                            const struct fleet_purge_request *request) {
    if (publisher->waiting + request->count / FLEET_BUS_PURGES_MAX + 1 > WAITING_MOST) return SK_ERR_FULL;
    for (uint32_t i = 0; i < request->count; i++) {
        const struct fleet_purge_wish *wish = &request->wishes[i];
        if (wish->text.len > FLEET_BUS_TEXT_MAX || wish->site.len > FLEET_BUS_TEXT_MAX)
            return SK_ERR_TOO_LARGE;
        if (wish->erase && request->count > 1) return SK_ERR_INVALID;
    }
    return SK_OK;
}

sk_err fleet_publish(struct fleet_publisher *publisher, const struct fleet_purge_request *request,
                     sk_time_ns deadline, struct fleet_receipt *out_receipt) {
    struct caller caller = {.fiber = io_fiber_self()};
    SK_ASSERT(caller.fiber);
    sk_err err = check_request(publisher, request);
    for (uint32_t at = 0, count; at < request->count && !err; at += count) {
        count = piece_of(request->wishes + at, request->count - at);
        err = add_purges(publisher, request->wishes + at, count, &caller);
    }
    if (err) {
        stop_waiting(publisher, &caller);
        return err;
    }
    err = wait_for_items(publisher, &caller, deadline);
    if (!err) *out_receipt = (struct fleet_receipt){caller.last, (uint64_t)sk_time_now()};
    return err;
}

void fleet_publisher_end(struct fleet_publisher *publisher, sk_time_ns deadline) {
    struct caller caller = {.fiber = io_fiber_self()};
    SK_ASSERT(caller.fiber);
    if (add_item(publisher, FLEET_BUS_END, &caller) && wait_for_items(publisher, &caller, deadline) != SK_OK)
        sk_log(SK_LOG_WARN, "bus", "the server was not told of our end: edges will revalidate");
    if (publisher->pump) io_fiber_cancel(publisher->pump);
    if (publisher->caller_of_roll) io_fiber_cancel(publisher->caller_of_roll);
}

sk_str fleet_publisher_name(const struct fleet_publisher *publisher) { return name_of(publisher); }
struct fleet_bus_mark fleet_publisher_mark(const struct fleet_publisher *publisher) {
    return publisher->confirmed;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static void call_roll_on(void *arg) {
    struct fleet_publisher *publisher = arg;
    struct sk_arena arena;
    sk_str *names;
    uint32_t count;
    sk_err err = SK_OK;
    sk_arena_init(&arena, 4096, ARENA_LIMIT);
    while (!publisher->ended && err != SK_ERR_CANCELLED) {
        sk_time_ns now = sk_time_now();
        sk_arena_reset(&arena);
        err = fleet_roll_call(publisher->roll, now + CALL_MS * SK_NS_PER_MS, &arena, &names, &count);
        if (err != SK_ERR_CANCELLED) err = io_fiber_sleep_until(now + ROLL_EVERY_MS * SK_NS_PER_MS);
    }
    sk_arena_free(&arena);
    publisher->caller_of_roll = NULL;
    release_if_done(publisher);
}

sk_err fleet_publisher_wait(struct fleet_publisher *publisher, const struct fleet_receipt *receipt,
                            sk_time_ns deadline, struct sk_arena *arena, struct fleet_stragglers *out) {
    const struct fleet_applied_question question = {.valkey = publisher->asking,
                                                    .roll = publisher->roll,
                                                    .publisher = name_of(publisher),
                                                    .wanted = receipt->mark,
                                                    .keys = publisher->options.keys,
                                                    .arg = publisher->options.arg};
    publisher->waits++;
    sk_err err = fleet_applied_wait(&question, deadline, arena, out);
    publisher->waits--;
    release_if_done(publisher);
    return err;
}

sk_err fleet_publisher_wait_erased(struct fleet_publisher *publisher, const struct fleet_receipt *receipt,
                                   const sk_str *edges, size_t count, sk_time_ns deadline,
                                   enum fleet_erased *out) {
    const struct fleet_erased_question question = {.valkey = publisher->asking,
                                                   .erasure = {name_of(publisher), receipt->mark},
                                                   .edges = edges,
                                                   .count = count,
                                                   .keys = publisher->options.keys,
                                                   .arg = publisher->options.arg};
    publisher->waits++;
    sk_err err = fleet_erased_wait(&question, deadline, out);
    publisher->waits--;
    release_if_done(publisher);
    return err;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

sk_err fleet_publisher_start(struct io_loop *loop, const struct fleet_publisher_options *options,
                             struct fleet_publisher **out_publisher) {
    struct fleet_identity *identity = options->identity(options->arg);
    struct fleet_publisher *publisher = identity ? calloc(1, sizeof *publisher) : NULL;
    if (!publisher) {
        fleet_identity_unref(identity);
        return identity ? SK_ERR_NO_MEMORY : SK_ERR_NOT_FOUND;
    }
    publisher->loop = loop;
    publisher->options = *options;
    sk_list_init(&publisher->items);
    fleet_id_format(&fleet_identity_self(identity)->id, publisher->name);
    fleet_identity_unref(identity);
    sk_err err = fleet_valkey_create(loop, &options->where, &publisher->sending);
    if (!err) err = fleet_valkey_create(loop, &options->where, &publisher->asking);
    const struct fleet_roll_options roll = {
        .valkey = publisher->asking, .keys = options->keys, .arg = options->arg};
    if (!err) err = fleet_roll_create(&roll, &publisher->roll);
    if (!err && !add_item(publisher, FLEET_BUS_BEAT, NULL)) err = SK_ERR_NO_MEMORY;
    if (!err) err = io_fiber_spawn(loop, "publisher", pump, publisher, &publisher->pump);
    if (!err) err = io_fiber_spawn(loop, "roll", call_roll_on, publisher, &publisher->caller_of_roll);
    if (err)
        fleet_publisher_free(publisher);
    else
        *out_publisher = publisher;
    return err;
}

void fleet_publisher_free(struct fleet_publisher *publisher) {
    if (!publisher) return;
    publisher->abandoned = true;
    publisher->ended = true;
    release_if_done(publisher);
}
