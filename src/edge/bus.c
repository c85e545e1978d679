#include "edge/bus.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/version.h"
#include "edge/bus_erase.h"
#include "edge/bus_keep.h"
#include "edge/health.h"
#include "edge/purge.h"
#include "fleet/follower.h"
#include "io/file.h"

enum { IDENTITY_LOOK_MS = 5000, EXPELLED_MOST = 4 << 20, AWAIT_MS = 2000, AWAIT_LOOK_MS = 5 };

struct edge_bus {
    struct edge_process *process;
    struct fleet_follower *follower;
    struct edge_bus_erasures *erasures;
    bool unresolved; /* a purge meant nothing under the configuration in force */
    struct edge_bus_keep keep;
    bool doubtful; /* what is stored may be older than what was purged while we were away */
    struct io_timer await_timer;
    sk_time_ns await_until;

    /* who we are and whom not to believe, read again when the files have changed */
    struct fleet_identity *identity;
    struct fleet_expelled expelled;
    struct fleet_bus_key key;
    bool has_key;
    char folder[FLEET_PATH_BYTES];
    uint64_t stamp; /* of the files of our identity, as they were when they were read */
    sk_time_ns next_look;
};

/* ---- identity ------------------------------------------------------------------------------------------------ */

static const char *const files[] = {FLEET_FILE_NODE, FLEET_FILE_ROOTS, FLEET_FILE_EXPELLED,
                                    FLEET_FILE_BUS_KEY};

/* True when one of the files is another than at the last call. */
static bool files_changed(struct edge_bus *bus) {
    uint64_t known = bus->stamp;
    char path[FLEET_PATH_BYTES];
    bus->stamp = 1;
    for (size_t i = 0; i < SK_COUNT(files); i++)
        if (fleet_path(sk_str_from_c(bus->folder), files[i], path) == SK_OK)
            bus->stamp = io_file_stamp(bus->stamp, path);
    return bus->stamp != known;
}

static sk_err read_expelled(struct edge_bus *bus) {
    char path[FLEET_PATH_BYTES];
    struct fleet_expelled expelled;
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = fleet_path(sk_str_from_c(bus->folder), FLEET_FILE_EXPELLED, path);
    if (!err) err = io_file_load(path, EXPELLED_MOST, &text);
    if (err == SK_ERR_NOT_FOUND) {
        sk_buf_free(&text);
        return SK_OK;
    }
    if (!err) err = fleet_expelled_parse(sk_buf_str(&text), &expelled);
    sk_buf_free(&text);
    if (err) return err;
    fleet_expelled_free(&bus->expelled);
    bus->expelled = expelled;
    return SK_OK;
}

/* Without one purges are applied all the same, but nobody believes it: `skerry purge --wait` names this edge. */
static void read_key(struct edge_bus *bus) {
    sk_err err = fleet_bus_key_load(sk_str_from_c(bus->folder), &bus->key);
    bus->has_key |= !err;
    if (err)
        sk_log(SK_LOG_WARN, "bus", "%s/" FLEET_FILE_BUS_KEY ": %s: that purges are applied cannot be proven",
               bus->folder, sk_err_text(err));
}

static sk_err read_identity(struct edge_bus *bus) {
    struct fleet_identity *identity;
    (void)files_changed(bus);
    sk_err err = fleet_identity_load(sk_str_from_c(bus->folder), &identity);
    if (err) return err;
    fleet_identity_unref(bus->identity);
    bus->identity = identity;
    read_key(bus);
    return read_expelled(bus);
}

/* A new certificate is written beside the old one's key; until both fit, the last good identity stays. */
static void look_at_identity(struct edge_bus *bus) {
    if (sk_time_now() < bus->next_look) return;
    bus->next_look = sk_time_now() + IDENTITY_LOOK_MS * SK_NS_PER_MS;
    sk_err err = files_changed(bus) ? read_identity(bus) : SK_OK;
    if (err)
        sk_log(SK_LOG_ERROR, "bus", "%s: the identity cannot be read again: %s", bus->folder,
               sk_err_text(err));
}

struct fleet_identity *edge_bus_identity(struct edge_bus *bus) { return fleet_identity_ref(bus->identity); }

const struct fleet_expelled *edge_bus_expelled(const struct edge_bus *bus) { return &bus->expelled; }

static struct fleet_identity *identity_of(void *arg) { return edge_bus_identity(arg); }

static const struct fleet_expelled *expelled_of(void *arg) { return edge_bus_expelled(arg); }

static const struct fleet_bus_key *key_of(void *arg) {
    const struct edge_bus *bus = arg;
    return bus->has_key ? &bus->key : NULL;
}

/* ---- purges ----------------------------------------------------------------------------------------------------- */

/* Soft: what is stored stays, and is asked about before it is used. */
static void make_all_stale(struct edge_bus *bus) {
    const struct cache_purge all = {.kind = CACHE_PURGE_ALL, .soft = true};
    if (cache_purge(bus->process->cache, &all, NULL) != SK_OK)
        SK_ASSERT(!"a purge of everything is always one");
}

static void revalidate(void *arg, const char *why) {
    struct edge_bus *bus = arg;
    make_all_stale(bus);
    observe_count(bus->process->metrics, OBSERVE_BUS_REVALIDATIONS);
    if (why) sk_log(SK_LOG_WARN, "bus", "what is stored is revalidated before it is used: %s", why);
}

/* A wish of its own, so that one which means nothing here holds up no other. */
static sk_err apply_wish(struct edge_bus *bus, const struct fleet_purge_wish *wish, struct sk_arena *arena,
                         sk_str who) {
    struct fleet_purge_wish own = *wish;
    const struct fleet_purge_request request = {.wishes = &own, .count = 1};
    struct fleet_purge_problem problem;
    struct edge_purge_list list = {0};
    struct edge_purge_done done;
    own.item = FLEET_PURGE_ALONE;
    sk_err err = edge_purge_resolve(bus->process->snapshot->config, &request, arena, &list, &problem);
    if (err == SK_ERR_INVALID) {
        sk_log(SK_LOG_INFO, "bus", "a purge by %.*s means nothing under this configuration: %s",
               SK_STR_ARGS(who), problem.text);
        bus->unresolved = true;
        return SK_OK;
    }
    if (!err) err = edge_purge_apply(bus->process->cache, bus->process->metrics, &list, who, &done);
    edge_purge_list_free(&list);
    return err;
}

static void apply(void *arg, const struct fleet_bus_entry *entry) {
    struct edge_bus *bus = arg;
    struct sk_arena arena;
    sk_err err = SK_OK;
    sk_arena_init(&arena, 4096, 0);
    bool erase = entry->wish_count && entry->wishes[0].erase; /* alone, then */
    if (erase) err = edge_bus_erase(bus->erasures, entry);
    for (uint32_t i = 0; i < entry->wish_count && !erase && !err; i++) {
        err = apply_wish(bus, &entry->wishes[i], &arena, entry->publisher);
        sk_arena_reset(&arena);
    }
    sk_arena_free(&arena);
    if (err) revalidate(bus, "a purge could not be applied: out of memory");
}

void edge_bus_config_changes(struct edge_bus *bus, const struct config *config) {
    if (!bus || !bus->unresolved) return;
    bus->unresolved = false;
    revalidate(bus, "purges that meant nothing may mean something under the new configuration");
}

/* ---- where we stand ------------------------------------------------------------------------------------------------- */

static void keep_place(void *arg, const struct fleet_bus_follow *follow, sk_time_ns heard, bool last) {
    struct edge_bus *bus = arg;
    if (edge_bus_erasures_open(bus->erasures)) return; /* it would not be heard again */
    /* Who purges from now on does not wait for us, for we say that we go: what was heard before counts no more. */
    edge_bus_keep_write(&bus->keep, follow, last ? 0 : heard, bus->unresolved, last);
}

/* True when reading goes on from FOLLOW. Else all that is stored is revalidated: what a disk has kept is older than what
 * was purged meanwhile. */
static bool go_on(struct edge_bus *bus, int64_t silence_ms, struct fleet_bus_follow *follow,
                  sk_time_ns *out_heard) {
    *out_heard = 0;
    if (edge_bus_keep_read(&bus->keep, follow, out_heard, &bus->unresolved) != SK_OK || bus->unresolved) {
        bus->unresolved = false;
        make_all_stale(bus);
        return false;
    }
    /* Within the silence of one that died, it is as if the process had run on and had not heard anybody. */
    bus->doubtful = !*out_heard || sk_time_now() - *out_heard >= silence_ms * SK_NS_PER_MS;
    if (bus->doubtful) *out_heard = 0;
    return true;
}

/* A stop while we wait is left to run its course. */
static void look_whether_caught_up(struct io_timer *timer) {
    struct edge_bus *bus = SK_CONTAINER_OF(timer, struct edge_bus, await_timer);
    struct io_loop *loop = bus->process->loop;
    struct fleet_follower_counts counts;
    fleet_follower_counts(bus->follower, &counts);
    if (bus->process->stage != EDGE_RUNNING) return;
    bus->doubtful = !counts.caught_up;
    if (counts.caught_up || sk_time_now() >= bus->await_until) return io_loop_stop(loop);
    io_timer_start(loop, timer, sk_time_now() + AWAIT_LOOK_MS * SK_NS_PER_MS, look_whether_caught_up);
}

void edge_bus_await(struct edge_bus *bus) {
    if (!bus || !bus->doubtful) return;
    bus->await_until = sk_time_now() + AWAIT_MS * SK_NS_PER_MS;
    look_whether_caught_up(&bus->await_timer);
    io_loop_run(bus->process->loop);
    io_timer_stop(&bus->await_timer);
    if (bus->doubtful) revalidate(bus, "what was purged while this edge was away is not known");
    bus->doubtful = false;
}

/* ---- telling ------------------------------------------------------------------------------------------------------ */

static enum fleet_state state_of(const struct edge_process *process) {
    if (process->stage != EDGE_RUNNING) return FLEET_STATE_STOPPING;
    if (edge_is_withdrawn(EDGE_WITHDRAWN_BY_OPERATOR) || edge_is_withdrawn(EDGE_WITHDRAWN_BY_CONTROL))
        return FLEET_STATE_DRAINED;
    return edge_is_withdrawn(EDGE_WITHDRAWN_BY_ITSELF) ? FLEET_STATE_SICK : FLEET_STATE_RUNNING;
}

static void describe(void *arg, struct fleet_heartbeat *beat, struct sk_arena *arena) {
    struct edge_bus *bus = arg;
    const struct edge_process *process = bus->process;
    const struct config *config = process->snapshot->config;
    struct cache_usage usage;
    look_at_identity(bus);
    cache_usage(process->cache, &usage);
    beat->state = state_of(process);
    beat->why = sk_str_from_c(edge_withdrawn_why());
    beat->address = config->peers.address;
    beat->version = SK_STR(SK_VERSION);
    beat->config = config->number;
    beat->connections = edge_limits_count(process->limits);
    beat->requests = observe_total(OBSERVE_REQUESTS);
    beat->hits = observe_total(OBSERVE_HITS);
    beat->misses = observe_total(OBSERVE_MISSES);
    beat->used_bytes = usage.used_bytes;
    beat->budget_bytes = usage.budget_bytes;
    beat->load_permille = (uint64_t)(process->load.load * 1000);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static sk_err failed(const char *what, sk_str which, sk_err err) {
    sk_log(SK_LOG_ERROR, "bus", "%s %.*s: %s", what, SK_STR_ARGS(which), sk_err_text(err));
    return err;
}

static sk_err prepare_erasures(struct edge_bus *bus, const struct fleet_valkey_where *primary) {
    char name[FLEET_ID_TEXT_BYTES];
    const struct edge_bus_erasures_options options = {
        .process = bus->process,
        .primary = *primary,
        .name = fleet_id_format(&fleet_identity_self(bus->identity)->id, name),
        .bus_key = key_of,
        .arg = bus};
    return edge_bus_erasures_create(&options, &bus->erasures);
}

static sk_err follow(struct edge_bus *bus, const struct config_fleet *fleet) {
    struct fleet_bus_follow begin;
    struct fleet_follower_options options = {
        .silence_ms = fleet->silence_ms,
        .metrics = bus->process->metrics,
        .arg = bus,
        .identity = identity_of,
        .expelled = expelled_of,
        .bus_key = key_of,
        .apply = apply,
        .revalidate = revalidate,
        .keep = keep_place,
        .describe = describe,
    };
    sk_str primary = fleet->bus_primary.len ? fleet->bus_primary : fleet->bus;
    sk_err err = fleet_valkey_where_parse(fleet->bus, &options.where);
    if (err) return failed("fleet.bus", SK_STR(""), err);
    err = fleet_valkey_where_parse(primary, &options.primary);
    if (err) return failed("fleet.bus_primary", SK_STR(""), err);
    struct fleet_valkey_where *const both[] = {&options.where, &options.primary};
    for (size_t i = 0; i < SK_COUNT(both); i++) {
        both[i]->ca = fleet->bus_ca;
        both[i]->cert = fleet->bus_cert;
        both[i]->key = fleet->bus_key;
    }
    if (go_on(bus, fleet->silence_ms, &begin, &options.begin_heard)) options.begin = &begin;
    err = prepare_erasures(bus, &options.primary);
    if (!err) err = fleet_follower_start(bus->process->loop, &options, &bus->follower);
    return err ? failed("the bus", SK_STR(""), err) : SK_OK;
}

sk_err edge_bus_start(struct edge_process *process, struct edge_bus **out_bus) {
    const struct config_fleet *fleet = &process->snapshot->config->fleet;
    *out_bus = NULL;
    if (!fleet->bus.len) return SK_OK;
    struct edge_bus *bus = calloc(1, sizeof *bus);
    if (!bus) return SK_ERR_NO_MEMORY;
    bus->process = process;
    snprintf(bus->folder, sizeof bus->folder, "%.*s", SK_STR_ARGS(fleet->state));
    edge_bus_keep_init(&bus->keep, process);
    sk_err err = read_identity(bus);
    err = err ? failed("fleet.state", fleet->state, err) : follow(bus, fleet);
    if (err)
        edge_bus_free(bus);
    else
        *out_bus = bus;
    return err;
}

void edge_bus_leave(struct edge_bus *bus, void (*left)(void *arg), void *arg) {
    if (bus)
        fleet_follower_leave(bus->follower, left, arg);
    else
        left(arg);
}

void edge_bus_free(struct edge_bus *bus) {
    if (!bus) return;
    fleet_follower_free(bus->follower);
    edge_bus_erasures_free(bus->erasures);
    fleet_identity_unref(bus->identity);
    fleet_expelled_free(&bus->expelled);
    free(bus);
}

void edge_bus_others(struct edge_bus *bus, uint32_t *out_others, uint32_t *out_running) {
    struct fleet_follower_counts counts = {0};
    if (bus) fleet_follower_counts(bus->follower, &counts);
    if (bus) fleet_follower_look_around(bus->follower);
    *out_others = counts.others;
    *out_running = counts.others_running;
}

double edge_bus_silent(const struct edge_bus *bus) {
    struct fleet_follower_counts counts = {0};
    if (bus) fleet_follower_counts(bus->follower, &counts);
    return counts.silent;
}

double edge_bus_heard_s(const struct edge_bus *bus) {
    struct fleet_follower_counts counts = {0};
    if (bus) fleet_follower_counts(bus->follower, &counts);
    return counts.heard ? (double)(sk_time_now() - counts.heard) / (double)SK_NS_PER_S : 0;
}
