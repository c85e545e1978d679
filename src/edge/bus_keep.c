#include "edge/bus_keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cache/purge.h"
#include "cache/tier.h"
#include "io/file.h"

enum { WRITE_EVERY_MS = 1000, TIER_WAIT_MS = 5000 };

/* The machine's clock since it began, sleep included. */
static int64_t boot_now_ns(void) {
    struct timespec now;
    return clock_gettime(CLOCK_BOOTTIME, &now) == 0 ? now.tv_sec * SK_NS_PER_S + now.tv_nsec : 0;
}

void edge_bus_keep_init(struct edge_bus_keep *keep, struct edge_process *process) {
    sk_str state = process->snapshot->config->disk.state;
    struct sk_buf boot;
    *keep = (struct edge_bus_keep){.process = process};
    if (!process->snapshot->config->disk.device_count || state.len + sizeof ".bus" > sizeof keep->path)
        return;
    snprintf(keep->path, sizeof keep->path, "%.*s.bus", SK_STR_ARGS(state));
    sk_buf_init(&boot, 0);
    if (io_file_load("/proc/sys/kernel/random/boot_id", 256, &boot) == SK_OK)
        snprintf(keep->boot, sizeof keep->boot, "%.*s", SK_STR_ARGS(sk_str_trim(sk_buf_str(&boot))));
    sk_buf_free(&boot);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static const char *why_not(const struct edge_bus_keep *keep, const struct fleet_bus_place *place) {
    if (place->tick > cache_purge_clock(keep->process->cache)) return "the log of purges lacks its end";
    return NULL;
}

/* By sk_time_now; 0 when it cannot be told. */
static sk_time_ns heard_of(const struct edge_bus_keep *keep, const struct fleet_bus_place *place) {
    int64_t ago_ns = boot_now_ns() - place->heard_ns;
    bool known = place->heard_ns && keep->boot[0] && sk_str_eq(place->boot, sk_str_from_c(keep->boot));
    return known && ago_ns >= 0 ? sk_time_now() - ago_ns : 0;
}

sk_err edge_bus_keep_read(const struct edge_bus_keep *keep, struct fleet_bus_follow *out_follow,
                          sk_time_ns *out_heard, bool *out_unresolved) {
    struct fleet_bus_place place;
    struct sk_buf bytes;
    struct cache *cache = keep->process->cache;
    if (!keep->path[0] || access(keep->path, F_OK) != 0) return SK_ERR_NOT_FOUND;
    /* Rather a moment later than all of it asked about; not when another process has it. */
    cache_tier_await(cache, sk_time_now() + TIER_WAIT_MS * SK_NS_PER_MS);
    if (!cache_tier_is_open(cache)) return SK_ERR_NOT_FOUND;
    sk_buf_init(&bytes, 0);
    sk_err err = io_file_load(keep->path, FLEET_BUS_PLACE_MAX_BYTES, &bytes);
    bool there = err != SK_ERR_NOT_FOUND;
    if (!err) err = fleet_bus_place_read(sk_buf_str(&bytes), &place);
    const char *why = err ? sk_err_text(err) : why_not(keep, &place);
    if (!why) {
        *out_follow = place.follow;
        *out_heard = heard_of(keep, &place);
        *out_unresolved = place.unresolved;
    } else if (there) {
        sk_log(SK_LOG_WARN, "bus", "%s: %s: what is stored is revalidated before it is used", keep->path,
               why);
    }
    sk_buf_free(&bytes);
    return why ? SK_ERR_NOT_FOUND : SK_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

/* By rename, and not synced: a file that a dying machine tore is seen by its sum. */
static sk_err put_in_place(const char *path, sk_str bytes) {
    char beside[1040];
    snprintf(beside, sizeof beside, "%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return sk_err_from_errno(errno);
    ssize_t n = write(fd, bytes.data, bytes.len);
    sk_err err = n < 0 ? sk_err_from_errno(errno) : (size_t)n == bytes.len ? SK_OK : SK_ERR_FULL;
    close(fd);
    if (!err && rename(beside, path) != 0) err = sk_err_from_errno(errno);
    if (err) (void)!unlink(beside);
    return err;
}

static sk_err write_now(const struct edge_bus_keep *keep, const struct fleet_bus_follow *follow,
                        sk_time_ns heard, bool unresolved) {
    struct fleet_bus_place place = {.follow = *follow,
                                    .tick = cache_purge_clock(keep->process->cache),
                                    .unresolved = unresolved,
                                    .boot = sk_str_from_c(keep->boot)};
    struct sk_buf bytes;
    if (heard) place.heard_ns = SK_MAX(boot_now_ns() - (sk_time_now() - heard), 0);
    sk_buf_init(&bytes, FLEET_BUS_PLACE_MAX_BYTES);
    sk_err err = fleet_bus_place_write(&place, &bytes);
    if (!err) err = put_in_place(keep->path, sk_buf_str(&bytes));
    sk_buf_free(&bytes);
    return err;
}

void edge_bus_keep_write(struct edge_bus_keep *keep, const struct fleet_bus_follow *follow, sk_time_ns heard,
                         bool unresolved, bool last) {
    sk_time_ns now = sk_time_now();
    bool same = fleet_stream_id_compare(follow->read, keep->written) == 0 && heard == keep->written_heard;
    if (!keep->path[0] || same || (now < keep->next && !last)) return;
    if (follow->again || !follow->server_bytes || !cache_tier_is_open(keep->process->cache)) return;
    keep->next = now + WRITE_EVERY_MS * SK_NS_PER_MS;
    sk_err err = write_now(keep, follow, heard, unresolved);
    if (err) {
        SK_LOG_LIMITED(SK_LOG_WARN, "bus", "%s cannot be written: %s", keep->path, sk_err_text(err));
        return;
    }
    keep->written = follow->read;
    keep->written_heard = heard;
}
