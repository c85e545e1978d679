#include "edge/bus_erase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cache/tier.h"
#include "edge/purge.h"
#include "fleet/id.h"
#include "io/fiber.h"

enum { ORDERS_MOST = 1024, AGAIN_MS = 200, CALL_MS = 5000, REFUSED_PAUSE_MS = 500, ARENA_LIMIT = 1 << 20 };

struct order {
    struct sk_list link;
    char publisher[FLEET_BUS_PUBLISHER_MAX + 1];
    struct fleet_bus_mark mark;
    enum fleet_erased what; /* SILENT: not done yet */
    size_t site_bytes;
    char site[];
};

struct edge_bus_erasures {
    struct edge_bus_erasures_options options;
    char name[FLEET_ID_TEXT_BYTES];
    struct fleet_valkey *valkey;
    struct sk_list orders;
    uint32_t count;
    struct io_fiber *fiber; /* NULL: nothing to do */
    bool abandoned;
};

static sk_str site_of(const struct order *order) { return sk_str_make(order->site, order->site_bytes); }

static void drop(struct edge_bus_erasures *erasures, struct order *order) {
    sk_list_remove(&order->link);
    erasures->count--;
    free(order);
}

static void release(struct edge_bus_erasures *erasures) {
    SK_LIST_FOR_EACH(link, &erasures->orders) drop(erasures, SK_CONTAINER_OF(link, struct order, link));
    fleet_valkey_destroy(erasures->valkey);
    free(erasures);
}

/* ---- erasing ------------------------------------------------------------------------------------------------------- */

/* SK_ERR_BUSY, SK_ERR_IO: to be tried again. */
static sk_err erase(struct edge_process *process, sk_str site, enum fleet_erased *out_what) {
    bool open = cache_tier_is_open(process->cache);
    bool has_disk = open || process->snapshot->config->disk.device_count;
    if (has_disk && !open) return SK_ERR_BUSY;
    sk_err err = has_disk ? cache_tier_erase(process->cache, site) : SK_ERR_NOT_FOUND;
    switch (err) {
    case SK_OK: *out_what = FLEET_ERASED_DONE; return SK_OK;
    case SK_ERR_UNSUPPORTED: *out_what = FLEET_ERASED_PLAIN; return SK_OK;
    case SK_ERR_NOT_FOUND:
    case SK_ERR_INVALID: *out_what = FLEET_ERASED_NOTHING; return SK_OK; /* INVALID: no site is called so */
    default: return err;
    }
}

/* How many must be tried again. */
static uint32_t erase_all(struct edge_bus_erasures *erasures) {
    uint32_t again = 0;
    SK_LIST_FOR_EACH(link, &erasures->orders) {
        struct order *order = SK_CONTAINER_OF(link, struct order, link);
        if (order->what != FLEET_ERASED_SILENT) continue;
        sk_err err = erase(erasures->options.process, site_of(order), &order->what);
        again += err != SK_OK;
        if (err)
            SK_LOG_LIMITED(SK_LOG_WARN, "bus", "site %.*s cannot be erased yet: %s",
                           SK_STR_ARGS(site_of(order)),
                           err == SK_ERR_BUSY ? "the disk is not open" : sk_err_text(err));
        else
            sk_log(SK_LOG_INFO, "bus", "site %.*s, by %s: %s", SK_STR_ARGS(site_of(order)), order->publisher,
                   order->what == FLEET_ERASED_DONE    ? "erased: its key is gone"
                   : order->what == FLEET_ERASED_PLAIN ? "purged, but the disk is not encrypted: not erased"
                                                       : "erased: it had nothing on disk");
    }
    return again;
}

/* ---- telling ------------------------------------------------------------------------------------------------------- */

static struct order *first_done(const struct edge_bus_erasures *erasures) {
    SK_LIST_FOR_EACH(link, &erasures->orders) {
        struct order *order = SK_CONTAINER_OF(link, struct order, link);
        if (order->what != FLEET_ERASED_SILENT) return order;
    }
    return NULL;
}

static sk_err tell(struct edge_bus_erasures *erasures, const struct order *order) {
    const struct edge_bus_erasures_options *options = &erasures->options;
    const struct fleet_erasure erasure = {sk_str_from_c(order->publisher), order->mark};
    struct sk_arena arena;
    sk_arena_init(&arena, 1024, ARENA_LIMIT);
    sk_err err =
        fleet_erased_tell(erasures->valkey, &erasure, sk_str_from_c(erasures->name), order->what,
                          options->bus_key(options->arg), sk_time_now() + CALL_MS * SK_NS_PER_MS, &arena);
    sk_arena_free(&arena);
    return err;
}

static sk_err pause_after(struct edge_bus_erasures *erasures, sk_err why) {
    if (why == SK_ERR_CANCELLED) return why;
    SK_LOG_LIMITED(SK_LOG_WARN, "bus", "cannot tell what became of an erasure: %s", sk_err_text(why));
    if (!fleet_valkey_connected(erasures->valkey)) return fleet_valkey_pause(erasures->valkey);
    return io_fiber_sleep_until(sk_time_now() + REFUSED_PAUSE_MS * SK_NS_PER_MS);
}

/* What could be erased first, whether it can be told or not. */
static void work(void *arg) {
    struct edge_bus_erasures *erasures = arg;
    sk_err err = SK_OK;
    while (!erasures->abandoned && err != SK_ERR_CANCELLED && !sk_list_empty(&erasures->orders)) {
        uint32_t again = erase_all(erasures);
        struct order *order = first_done(erasures);
        if (order) {
            err = tell(erasures, order);
            if (!err) drop(erasures, order);
            if (err && !erasures->abandoned) err = pause_after(erasures, err);
        } else if (again) {
            err = io_fiber_sleep_until(sk_time_now() + AGAIN_MS * SK_NS_PER_MS);
        }
    }
    erasures->fiber = NULL;
    if (erasures->abandoned) release(erasures);
}

/* ---- taking -------------------------------------------------------------------------------------------------------- */

/* Whether the configuration here has such a site or not: there may be something of it from before. */
static sk_err purge(struct edge_process *process, sk_str site, sk_str who) {
    struct cache_purge one = {.kind = CACHE_PURGE_SITE, .site = site};
    const struct edge_purge_list list = {.items = &one, .count = 1, .capacity = 1};
    struct edge_purge_done done;
    sk_err err = edge_purge_apply(process->cache, process->metrics, &list, who, &done);
    return err == SK_ERR_INVALID ? SK_OK : err; /* no site is called so */
}

static sk_err note(struct edge_bus_erasures *erasures, const struct fleet_bus_entry *entry) {
    sk_str site = entry->wishes[0].text;
    struct order *order =
        erasures->count < ORDERS_MOST ? calloc(1, sizeof *order + SK_MAX(site.len, 1)) : NULL;
    if (!order) return SK_ERR_NO_MEMORY;
    snprintf(order->publisher, sizeof order->publisher, "%.*s", SK_STR_ARGS(entry->publisher));
    order->mark = entry->mark;
    order->site_bytes = site.len;
    memcpy(order->site, site.data, site.len);
    sk_list_push_back(&erasures->orders, &order->link);
    erasures->count++;
    return SK_OK;
}

sk_err edge_bus_erase(struct edge_bus_erasures *erasures, const struct fleet_bus_entry *entry) {
    struct edge_process *process = erasures->options.process;
    sk_err err = purge(process, entry->wishes[0].text, entry->publisher);
    if (!err) err = note(erasures, entry);
    if (!err && !erasures->fiber)
        err = io_fiber_spawn(process->loop, "bus-erase", work, erasures, &erasures->fiber);
    return err;
}

bool edge_bus_erasures_open(const struct edge_bus_erasures *erasures) {
    return !sk_list_empty(&erasures->orders);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

sk_err edge_bus_erasures_create(const struct edge_bus_erasures_options *options,
                                struct edge_bus_erasures **out_erasures) {
    struct edge_bus_erasures *erasures = calloc(1, sizeof *erasures);
    if (!erasures) return SK_ERR_NO_MEMORY;
    erasures->options = *options;
    sk_list_init(&erasures->orders);
    snprintf(erasures->name, sizeof erasures->name, "%.*s", SK_STR_ARGS(options->name));
    sk_err err = fleet_valkey_create(options->process->loop, &options->primary, &erasures->valkey);
    if (err)
        release(erasures);
    else
        *out_erasures = erasures;
    return err;
}

/* Its fiber is woken by the loop's end: what it uses lives until then. */
void edge_bus_erasures_free(struct edge_bus_erasures *erasures) {
    if (!erasures) return;
    erasures->abandoned = true;
    if (!erasures->fiber) release(erasures);
}
