#include "edge/neighbours.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "edge/bus.h"
#include "edge/process.h"
#include "fleet/deep.h"
#include "fleet/heartbeats.h"
#include "io/file.h"

enum {
    FIRST_MS = 50, /* until the table was read once */
    LOOK_MS = 1000,
    EACH_MS = 20, /* and so much more for each member: seals cost a tenth of a millisecond */
    CALL_MS = 5000,
    SIGNERS_KEPT = 64,
    ARENA_LIMIT = 64 << 20,
    FILE_MOST = 1 << 20,
};
#define FILE_NAME "nodes"

struct edge_neighbours {
    struct edge_process *process;
    struct fleet_valkey *valkey;
    struct fleet_signers *signers;
    struct fleet_id self;
    void (*changed)(void *arg);
    void *arg;
    char path[FLEET_PATH_BYTES]; /* empty: they are not kept */
    bool has_fiber, abandoned;
    bool heard;                    /* a table with us in it was read */
    struct sk_arena arena;         /* of one look */
    struct fleet_heartbeat *beats; /* of one look */
    size_t beat_count;
    struct sk_buf text; /* what is to be written; empty: nothing */
    struct fleet_neighbours known;
};

static void release(struct edge_neighbours *neighbours) {
    fleet_valkey_destroy(neighbours->valkey);
    fleet_signers_free(neighbours->signers);
    sk_arena_free(&neighbours->arena);
    sk_buf_free(&neighbours->text);
    free(neighbours);
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

/* Our own PoP's, and those that are shields. */
static bool is_wanted(void *arg, const struct fleet_id *id) {
    const struct edge_neighbours *neighbours = arg;
    const struct config *config = neighbours->process->snapshot->config;
    sk_str pop = sk_str_from_c(id->pop);
    if (id->role != FLEET_ROLE_EDGE) return false;
    if (sk_str_eq(pop, sk_str_from_c(neighbours->self.pop))) return true;
    for (uint32_t i = 0; i < config->site_count; i++)
        if (sk_str_eq(config->sites[i].shield, pop)) return true;
    return false;
}

static struct fleet_identity *identity_of(void *arg) {
    const struct edge_neighbours *neighbours = arg;
    if (neighbours->abandoned || !neighbours->process->bus) return NULL;
    return edge_bus_identity(neighbours->process->bus);
}

static const struct fleet_expelled *expelled_of(void *arg) {
    const struct edge_neighbours *neighbours = arg;
    return edge_bus_expelled(neighbours->process->bus);
}

/* On the loop's own stack. */
static sk_err take(void *arg) {
    struct edge_neighbours *neighbours = arg;
    if (neighbours->abandoned) return SK_ERR_BUSY;
    bool changed = fleet_neighbours_hear(&neighbours->known, neighbours->beats, neighbours->beat_count,
                                         &neighbours->self, sk_time_now());
    neighbours->heard |= fleet_neighbours_find(&neighbours->known, &neighbours->self) != NULL;
    if (!changed) return SK_OK;
    neighbours->changed(neighbours->arg);
    return neighbours->path[0] ? fleet_neighbours_write(&neighbours->known, &neighbours->text) : SK_OK;
}

static sk_err save(void *arg) {
    struct edge_neighbours *neighbours = arg;
    sk_str text = sk_buf_str(&neighbours->text);
    return io_file_replace(neighbours->path, text.data, text.len, 0600);
}

static sk_err look(struct edge_neighbours *neighbours) {
    const struct fleet_heartbeats_question question = {.valkey = neighbours->valkey,
                                                       .signers = neighbours->signers,
                                                       .part = "peers",
                                                       .arg = neighbours,
                                                       .identity = identity_of,
                                                       .expelled = expelled_of,
                                                       .wanted = is_wanted};
    sk_arena_reset(&neighbours->arena);
    sk_buf_clear(&neighbours->text);
    sk_err err = fleet_heartbeats_read(&question, sk_time_now() + CALL_MS * SK_NS_PER_MS, &neighbours->arena,
                                       &neighbours->beats, &neighbours->beat_count);
    if (!err) err = fleet_deeply(take, neighbours);
    if (err || neighbours->abandoned || !sk_buf_len(&neighbours->text)) return err;
    err = io_blocking(neighbours->process->loop, save, neighbours);
    if (err)
        SK_LOG_LIMITED(SK_LOG_WARN, "peers", "%s: cannot be written: %s", neighbours->path, sk_err_text(err));
    return SK_OK;
}

static void look_on(void *arg) {
    struct edge_neighbours *neighbours = arg;
    sk_err err = SK_OK;
    while (err != SK_ERR_CANCELLED && !neighbours->abandoned) {
        err = look(neighbours);
        if (err == SK_ERR_CANCELLED || neighbours->abandoned) break;
        if (err && err != SK_ERR_BUSY) {
            SK_LOG_LIMITED(SK_LOG_INFO, "peers", "the members cannot be read: %s", sk_err_text(err));
            if (!fleet_valkey_connected(neighbours->valkey) &&
                fleet_valkey_pause(neighbours->valkey) == SK_ERR_CANCELLED)
                break;
        }
        int64_t pause_ms =
            neighbours->heard ? LOOK_MS + EACH_MS * (int64_t)neighbours->known.count : FIRST_MS;
        err = io_fiber_sleep_until(sk_time_now() + pause_ms * SK_NS_PER_MS);
    }
    neighbours->has_fiber = false;
    if (neighbours->abandoned) release(neighbours);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

/* In that life we may have been on our way out. */
static void forget_self(struct edge_neighbours *neighbours) {
    struct fleet_neighbours *known = &neighbours->known;
    for (uint32_t i = 0; i < known->count; i++)
        if (fleet_id_eq(&known->items[i].id, &neighbours->self))
            known->items[i--] = known->items[--known->count];
}

/* Those of before; a file that says nothing sensible is as good as none. */
static void load(struct edge_neighbours *neighbours) {
    struct sk_buf text;
    sk_buf_init(&text, 0);
    sk_err err = io_file_load(neighbours->path, FILE_MOST, &text);
    if (!err) err = fleet_neighbours_parse(sk_buf_str(&text), &neighbours->known);
    if (err && err != SK_ERR_NOT_FOUND)
        sk_log(SK_LOG_WARN, "peers", "%s: cannot be read: %s", neighbours->path, sk_err_text(err));
    sk_buf_free(&text);
    forget_self(neighbours);
}

static sk_err prepare(struct edge_neighbours *neighbours) {
    const struct config *config = neighbours->process->snapshot->config;
    struct fleet_valkey_where where;
    sk_err err = fleet_valkey_where_parse(config->fleet.bus, &where);
    where.ca = config->fleet.bus_ca;
    where.cert = config->fleet.bus_cert;
    where.key = config->fleet.bus_key;
    if (!err) err = fleet_valkey_create(neighbours->process->loop, &where, &neighbours->valkey);
    if (!err) err = fleet_signers_create(SIGNERS_KEPT, &neighbours->signers);
    if (err || !config->peers.state.len) return err;
    return fleet_path(config->peers.state, FILE_NAME, neighbours->path);
}

sk_err edge_neighbours_start(struct edge_process *process, const struct fleet_id *self,
                             void (*changed)(void *arg), void *arg, struct edge_neighbours **out_neighbours) {
    struct edge_neighbours *neighbours = calloc(1, sizeof *neighbours);
    if (!neighbours) return SK_ERR_NO_MEMORY;
    neighbours->process = process;
    neighbours->self = *self;
    neighbours->changed = changed;
    neighbours->arg = arg;
    sk_arena_init(&neighbours->arena, 4096, ARENA_LIMIT);
    sk_buf_init(&neighbours->text, FILE_MOST);
    sk_err err = prepare(neighbours);
    if (!err && neighbours->path[0]) load(neighbours);
    neighbours->has_fiber = !err; /* before it runs */
    if (!err) err = io_fiber_spawn(process->loop, "neighbours", look_on, neighbours, NULL);
    if (err) {
        release(neighbours);
        return err;
    }
    *out_neighbours = neighbours;
    return SK_OK;
}

void edge_neighbours_free(struct edge_neighbours *neighbours) {
    if (!neighbours) return;
    neighbours->abandoned = true;
    if (!neighbours->has_fiber) release(neighbours);
}

size_t edge_neighbours_list(const struct edge_neighbours *neighbours, struct edge_peer_heard *out,
                            size_t most) {
    const struct fleet_neighbours *known = &neighbours->known;
    size_t count = 0;
    for (uint32_t i = 0; i < known->count && count < most; i++) {
        const struct fleet_neighbour *one = &known->items[i];
        if (!one->running || fleet_id_eq(&one->id, &neighbours->self)) continue;
        out[count++] = (struct edge_peer_heard){sk_str_from_c(one->id.name), sk_str_from_c(one->id.pop),
                                                sk_str_from_c(one->address)};
    }
    return count;
}

bool edge_neighbours_self_out(const struct edge_neighbours *neighbours) {
    const struct fleet_neighbour *self = fleet_neighbours_find(&neighbours->known, &neighbours->self);
    return self && !self->running;
}
