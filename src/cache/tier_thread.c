/* The SSD tier's own thread: it alone writes to the devices. */
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cache/entry.h"
#include "cache/index.h"
#include "cache/purge_internal.h"
#include "cache/store.h"
#include "cache/tier_internal.h"

#define STEP_MS 10      /* between looks for full segments */
#define SYNC_MS 100     /* between syncs of the log */
#define FLUSH_MS 1000   /* what a crash may cost, while the devices keep up */
#define RETRY_MS 50     /* between tries to get what another process has */
#define REVIVE_MS 10000 /* between tries to get a device back */
#define USERS_WAIT_MS 5000
#define PRIORITY 19
#define SLICE_NS (100 * SK_NS_PER_MS) /* the longest that there is */
#define WALK_ENTRIES 64

/* ---- stages ----------------------------------------------------------------------------------------------------- */

static void set_stage(struct cache_tier *tier, enum tier_stage stage) {
    pthread_mutex_lock(&tier->lock);
    tier->stage = stage;
    pthread_cond_broadcast(&tier->changed);
    pthread_mutex_unlock(&tier->lock);
}

static bool is_leaving(struct cache_tier *tier) {
    pthread_mutex_lock(&tier->lock);
    bool leaving = tier->leaving;
    pthread_mutex_unlock(&tier->lock);
    return leaving;
}

/* True when somebody wants the thread to leave. */
static bool rest(struct cache_tier *tier, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * SK_NS_PER_MS;
    until.tv_sec += ms / 1000 + until.tv_nsec / SK_NS_PER_S;
    until.tv_nsec %= SK_NS_PER_S;
    pthread_mutex_lock(&tier->lock);
    if (!tier->leaving) pthread_cond_timedwait(&tier->changed, &tier->lock, &until);
    bool leaving = tier->leaving;
    pthread_mutex_unlock(&tier->lock);
    return leaving;
}

/* Until the tier is open, or somebody wants it closed. */
static void open_tier(struct cache_tier *tier) {
    sk_err told = SK_OK;
    for (;;) {
        sk_err err = tier->log ? SK_OK : tier_open_log(tier);
        if (!err) err = tier_open_devices(tier);
        if (!err) {
            set_stage(tier, TIER_OPEN);
            return;
        }
        if (err != told)
            sk_log(err == SK_ERR_BUSY ? SK_LOG_INFO : SK_LOG_ERROR, "disk", "%s: %s: %s", tier->state_path,
                   sk_err_text(err), tier_advice(err));
        told = err;
        set_stage(tier, TIER_WAITING);
        if (rest(tier, err == SK_ERR_BUSY ? RETRY_MS : REVIVE_MS)) return;
    }
}

/* ---- the work -------------------------------------------------------------------------------------------- */

/* False: there was none. */
static bool write_one(struct cache_tier *tier, size_t device) {
    sk_time_ns started = sk_time_now();
    if (disk_set_write(tier->set, NULL, device) != SK_OK) return false;
    if (tier->metrics) observe_duration(tier->metrics, OBSERVE_DISK_WRITE_SECONDS, sk_time_now() - started);
    return true;
}

static uint64_t reinserted_bytes(struct cache_tier *tier, size_t device) {
    struct disk_set_usage usage;
    disk_set_usage(tier->set, device, &usage);
    return usage.disk.reinserted_bytes;
}

/* What is put in again is written too: what is put later waits for it. False: there was nothing to take back. */
static bool reclaim_one(struct cache_tier *tier, size_t device) {
    uint64_t before = reinserted_bytes(tier, device);
    if (disk_set_reclaim(tier->set, NULL, device) != SK_OK) return false;
    uint64_t after = reinserted_bytes(tier, device);
    if (after > before) disk_pace_charge(&tier->pace, after - before, sk_time_now());
    return true;
}

static void write_segments(struct cache_tier *tier) {
    for (size_t i = 0; i < tier->count; i++)
        for (bool more = true; more;) {
            more = write_one(tier, i);
            more |= reclaim_one(tier, i);
        }
}

/* One segment's records more of each device; the newest come first. */
static void load_more(struct cache_tier *tier) {
    bool more = false;
    if (!atomic_load_explicit(&tier->loading, memory_order_relaxed)) return; /* own thread writes it */
    for (size_t i = 0; i < tier->count; i++) more |= disk_set_load(tier->set, NULL, i) == SK_OK;
    atomic_store_explicit(&tier->loading, more, memory_order_relaxed);
}

static void flush(struct cache_tier *tier) {
    if (!atomic_exchange_explicit(&tier->put_since, false, memory_order_relaxed)) return; /* a hint */
    for (size_t i = 0; i < tier->count; i++) (void)!disk_set_flush(tier->set, NULL, i);
    tier_count(&tier->flushed, 1);
}

/* What is known of the devices' outages. */
struct outages {
    uint64_t told[DISK_SET_MAX];
    bool away[DISK_SET_MAX]; /* and what it has is unproven since */
};

static void goes_away(struct cache_tier *tier, struct outages *outages, size_t device) {
    if (!outages->away[device]) tier_device_away(tier, device);
    outages->away[device] = true;
}

/* Those of the start are told there (tier_open.c). */
static void known_outages(struct cache_tier *tier, struct outages *outages) {
    for (size_t i = 0; i < tier->count; i++) {
        struct disk_set_usage usage;
        disk_set_usage(tier->set, i, &usage);
        outages->told[i] = usage.outages;
        if (usage.err) goes_away(tier, outages, i);
    }
}

/* Told once for each outage, as soon as it is there. */
static void report_outages(struct cache_tier *tier, struct outages *outages) {
    for (size_t i = 0; i < tier->count; i++) {
        struct disk_set_usage usage;
        disk_set_usage(tier->set, i, &usage);
        if (usage.err) goes_away(tier, outages, i);
        if (usage.outages == outages->told[i]) continue;
        outages->told[i] = usage.outages;
        sk_log(SK_LOG_ERROR, "disk",
               "%s: out of service: %s; what it has is fetched again; it is tried again every %d s",
               usage.path, sk_err_text(usage.err), REVIVE_MS / 1000);
    }
}

/* What is overtaken while a device is away is not struck out on it: it comes back unproven. */
static void revive(struct cache_tier *tier, struct outages *outages) {
    for (size_t i = 0; i < tier->count; i++) {
        struct disk_set_usage usage;
        disk_set_usage(tier->set, i, &usage);
        if (!usage.err) continue;
        goes_away(tier, outages, i);
        outages->away[i] = disk_set_revive(tier->set, NULL, i) != SK_OK;
        if (!outages->away[i])
            sk_log(SK_LOG_INFO, "disk", "%s: in service again; what it has is validated before it is used",
                   usage.path);
        else
            SK_LOG_LIMITED(SK_LOG_WARN, "disk", "%s: out of service: %s", usage.path, sk_err_text(usage.err));
    }
}

/* What is older than the log's new beginning must be validated, once the process has ended: until then the purges in
 * memory are known. */
static void shorten_log(struct cache_tier *tier) {
    if (tier_log_bytes(tier->log) < TIER_LOG_MAX_BYTES) return;
    if (tier_log_restart(tier->log, cache_purge_now(tier->cache), (sk_str){"", 0}) != SK_OK)
        SK_LOG_LIMITED(SK_LOG_WARN, "disk", "%s: cannot be written", tier->state_path);
}

/* Due again after MS, and the time when it was due last. */
static bool is_due(sk_time_ns now, int64_t ms, sk_time_ns *last) {
    if (now - *last < ms * SK_NS_PER_MS) return false;
    *last = now;
    return true;
}

static void work(struct cache_tier *tier) {
    sk_time_ns now = sk_time_now(), synced = now, flushed = now, revived = now;
    struct outages outages = {0};
    known_outages(tier, &outages);
    do {
        now = sk_time_now();
        write_segments(tier);
        load_more(tier);
        if (is_due(now, SYNC_MS, &synced)) {
            tier_log_sync(tier->log);
            report_outages(tier, &outages);
        }
        if (is_due(now, FLUSH_MS, &flushed)) {
            flush(tier);
            shorten_log(tier);
        }
        if (is_due(now, REVIVE_MS, &revived)) revive(tier, &outages);
    } while (!rest(tier, atomic_load_explicit(&tier->loading, memory_order_relaxed) ? 0 : STEP_MS));
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */

static void save_one(struct cache_tier *tier, struct cache_entry *entry) {
    sk_err err = SK_OK;
    for (int tries = 0; tries < 2; tries++) {
        err = tier_put(tier, tier->set, entry);
        if (err != SK_ERR_FULL) return;
        write_segments(tier);
    }
}

/* What RAM holds and deserves it, so that the next start is a warm one. */
static void save_all(struct cache_tier *tier, struct cache_thread *thread, int64_t budget_ns) {
    struct cache_walk walk = {0};
    struct cache_entry *entries[WALK_ENTRIES];
    sk_time_ns until = sk_time_now() + budget_ns;
    disk_pace_init(&tier->pace, 0, 0); /* nobody else puts any more */
    for (uint32_t shards = tier->cache->shard_count; shards && sk_time_now() < until;) {
        uint32_t count = 0;
        cache_section_begin(thread);
        uint32_t found = cache_index_walk(tier->cache, &walk, entries, WALK_ENTRIES);
        for (uint32_t i = 0; i < found; i++) {
            if (!tier_deserves(tier->cache, entries[i])) continue;
            cache_entry_ref(entries[i]);
            entries[count++] = entries[i];
        }
        cache_section_end(thread);
        shards -= found == 0;
        for (uint32_t i = 0; i < count; i++) {
            save_one(tier, entries[i]);
            cache_entry_unref(tier->cache, entries[i]);
        }
    }
}

/* False: somebody still reads. */
static bool outwait_users(struct cache_tier *tier) {
    for (int i = 0; i < USERS_WAIT_MS; i++) {
        if (!atomic_load(&tier->users)) return true;
        struct timespec pause = {.tv_nsec = SK_NS_PER_MS};
        nanosleep(&pause, NULL);
    }
    return false;
}

static void close_tier(struct cache_tier *tier, struct cache_thread *thread) {
    sk_err err = SK_OK;
    if (atomic_load(&tier->open)) {
        save_all(tier, thread, tier->save_ns);
        atomic_store(&tier->open, false); /* seq_cst, see tier_internal.h */
        if (!outwait_users(tier)) {
            sk_log(SK_LOG_WARN, "disk", "somebody still reads: the devices are left as after a crash");
            set_stage(tier, TIER_CLOSED);
            return;
        }
        err = disk_set_close(tier->set, NULL);
        tier->set = NULL;
    }
    disk_keys_close(tier->keys);
    tier->keys = NULL;
    pthread_mutex_lock(&tier->lock);
    struct tier_log *log = tier->log;
    tier->log = NULL;
    tier->stage = TIER_CLOSED;
    pthread_cond_broadcast(&tier->changed);
    pthread_mutex_unlock(&tier->lock);
    if (log) tier_log_close(log, true, cache_purge_now(tier->cache));
    if (err) sk_log(SK_LOG_WARN, "disk", "not all could be written: %s", sk_err_text(err));
}

/* Below everything else, but never starved, since workers wait for its locks: on Linux all is of this thread alone. The
 * long slice says that it is in no hurry: who wakes and has a shorter one gets the processor at once (Linux 6.12 on), and
 * not when this thread's slice is over, which a low priority does not shorten. */
static void lower_priority(void) {
    const int who_process = 1, idle_best_effort = 2 << 13 | 7;
    struct sched_attr attributes = {.size = sizeof attributes,
                                    .sched_policy = SCHED_BATCH,
                                    .sched_nice = PRIORITY,
                                    .sched_runtime = SLICE_NS};
    if (sched_setattr(0, &attributes, 0)) (void)setpriority(PRIO_PROCESS, 0, PRIORITY);
    (void)syscall(SYS_ioprio_set, who_process, 0, idle_best_effort);
}

void *tier_thread_main(void *arg) {
    struct cache_tier *tier = arg;
    struct cache_thread *thread;
    lower_priority();
    pthread_setname_np(pthread_self(), "disk");
    if (observe_thread_join(&tier->metrics) != SK_OK) tier->metrics = NULL;
    if (cache_thread_join(tier->cache, NULL, &thread)) {
        set_stage(tier, TIER_CLOSED);
        return NULL;
    }
    open_tier(tier);
    if (!is_leaving(tier)) work(tier);
    close_tier(tier, thread);
    cache_thread_leave(thread);
    return NULL;
}
