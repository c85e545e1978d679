#include "edge/bus.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/version.h"
#include "edge/purge.h"
#include "fleet/follower.h"
#include "io/file.h"

enum { IDENTITY_LOOK_MS = 5000, EXPELLED_MOST = 4 << 20 };

struct edge_bus {
    struct edge_process *process;
    struct fleet_follower *follower;
    bool unresolved; /* a purge meant nothing under the configuration in force */

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

static struct fleet_identity *identity_of(void *arg) {
    struct edge_bus *bus = arg;
    return fleet_identity_ref(bus->identity);
}

static const struct fleet_expelled *expelled_of(void *arg) {
    const struct edge_bus *bus = arg;
    return &bus->expelled;
}

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
    for (uint32_t i = 0; i < entry->wish_count && !err; i++) {
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

/* ---- telling ------------------------------------------------------------------------------------------------------ */

static void add(struct fleet_pair *pairs, size_t *count, const char *name, sk_str value) {
    if (value.data) pairs[(*count)++] = (struct fleet_pair){sk_str_from_c(name), value};
}

static sk_str number(struct sk_arena *arena, uint64_t value) {
    return sk_arena_printf(arena, "%llu", (unsigned long long)value);
}

static size_t describe(void *arg, struct fleet_pair *pairs, struct sk_arena *arena) {
    struct edge_bus *bus = arg;
    const struct edge_process *process = bus->process;
    struct cache_usage usage;
    size_t count = 0;
    look_at_identity(bus);
    cache_usage(process->cache, &usage);
    add(pairs, &count, "state", process->stage == EDGE_RUNNING ? SK_STR("running") : SK_STR("draining"));
    add(pairs, &count, "version", SK_STR(SK_VERSION));
    add(pairs, &count, "config", number(arena, process->snapshot->config->number));
    add(pairs, &count, "connections", number(arena, edge_limits_count(process->limits)));
    add(pairs, &count, "requests", number(arena, observe_total(OBSERVE_REQUESTS)));
    add(pairs, &count, "hits", number(arena, observe_total(OBSERVE_HITS)));
    add(pairs, &count, "misses", number(arena, observe_total(OBSERVE_MISSES)));
    add(pairs, &count, "used_bytes", number(arena, usage.used_bytes));
    add(pairs, &count, "budget_bytes", number(arena, usage.budget_bytes));
    add(pairs, &count, "seen_ms", number(arena, (uint64_t)(sk_wall_now_ns() / SK_NS_PER_MS)));
    return count;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static sk_err failed(const char *what, sk_str which, sk_err err) {
    sk_log(SK_LOG_ERROR, "bus", "%s %.*s: %s", what, SK_STR_ARGS(which), sk_err_text(err));
    return err;
}

static sk_err follow(struct edge_bus *bus, const struct config_fleet *fleet) {
    struct fleet_follower_options options = {
        .silence_ms = fleet->silence_ms,
        .metrics = bus->process->metrics,
        .arg = bus,
        .identity = identity_of,
        .expelled = expelled_of,
        .bus_key = key_of,
        .apply = apply,
        .revalidate = revalidate,
        .describe = describe,
    };
    sk_str primary = fleet->bus_primary.len ? fleet->bus_primary : fleet->bus;
    sk_err err = fleet_valkey_where_parse(fleet->bus, &options.where);
    if (err) return failed("fleet.bus", SK_STR(""), err);
    err = fleet_valkey_where_parse(primary, &options.primary);
    if (err) return failed("fleet.bus_primary", SK_STR(""), err);
    err = fleet_follower_start(bus->process->loop, &options, &bus->follower);
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
    make_all_stale(bus); /* what a disk has kept is older than what was purged meanwhile */
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
    fleet_identity_unref(bus->identity);
    fleet_expelled_free(&bus->expelled);
    free(bus);
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
