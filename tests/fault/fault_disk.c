/* The SSD tier through crashes: several devices with records, a log of purges, and the keys of sites, used as an edge uses
 * them, killed at any moment, and looked through after each restart. No wrong byte is ever served, nothing that was purged
 * comes back, and nothing of a site is readable whose key was erased.
 *
 *   fault_disk [--crashes N] [--seed S] [--kind devices|process]
 *
 * devices: simulated ones, which lose, tear and reorder what was not synced, fail reads, writes and syncs, are full,
 * and rot; the same seed does the same again. process: a real one with real files, killed with SIGKILL; what it does
 * follows from the seed, the moment at which it dies does not. SKERRY_TEST_LONG=1: 1,000 crashes of each. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/disk_keys.h"
#include "cache/disk_set.h"
#include "cache/tier_log.h"
#include "disk_sim.h"

enum { KEYS = 300, SITES = 5, DEVICES = 3, SEGMENT = 64 * 1024, SEGMENTS = 20, HEAD_BYTES = 24 };
#define DEVICE_BYTES ((uint64_t)SEGMENTS * SEGMENT + UINT64_C(64) * 1024)

static uint64_t crashes_wanted, seed_wanted = 1;
static const char *kind_wanted = "";
static char folder[32], log_path[64], keys_path[64];
static const uint8_t secret[SK_HASH_SECRET_BYTES] = "of the hashes, for the tests";
static const uint8_t node_key[32] = "a key for the tests of crashes";

/* What the clients know, and what survives the crash. Of a process that is killed: in shared memory. */
struct model {
    uint64_t random;
    uint64_t put[KEYS];    /* the latest version that was begun to be put */
    uint64_t purged[KEYS]; /* versions up to this are gone for ever: the purge was told to be done */
    uint64_t erased[KEYS]; /* and up to this unreadable */
    uint64_t served, missed, stale, outages, revived, purges, erasures, logs_torn;
    bool sealed;
    _Atomic uint64_t begun; /* lives that have looked through everything */
};

/* What the owner of the store knows: the generations of purges (docs: "A purge"). */
struct table {
    uint64_t generation, floor; /* nothing of a lower generation than the floor is proven */
    uint64_t gone[KEYS];
};

struct life {
    struct model *model;
    struct disk_set *set;
    struct disk_keys *keys; /* NULL: not sealed */
    struct tier_log *log;
    struct table table;
};

static uint64_t draw(struct model *model, uint64_t below) {
    model->random = model->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (model->random >> 24) % below;
}

/* ---- records whose content follows from key and version ---------------------------------------------------- */

static sk_hash128 hash_of(uint64_t key) { return sk_hash128_of(&key, sizeof key); }

static size_t body_of(uint64_t key, uint64_t version, uint8_t **out_body) {
    uint64_t state = key * 7919 + version, kind = (state * UINT64_C(0x9e3779b97f4a7c15)) >> 60;
    size_t bytes = (size_t)((state * UINT64_C(0x9e3779b97f4a7c15)) >> 40 & 2047);
    if (!kind) bytes = bytes * 20; /* up to 40 KiB */
    uint8_t *body = malloc(bytes + 8);
    assert_non_null(body);
    for (size_t i = 0; i < bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + 1;
        body[i] = (uint8_t)(state >> 56);
    }
    *out_body = body;
    return bytes;
}

static sk_str key_text(uint64_t key, char out[24]) {
    return sk_str_make(out, (size_t)snprintf(out, 24, "/object/%llu", (unsigned long long)key));
}

static sk_str site_text(uint64_t site, char out[24]) {
    return sk_str_make(out, (size_t)snprintf(out, 24, "site%llu", (unsigned long long)site));
}

static void put(struct life *life, uint64_t key) {
    uint64_t version = ++life->model->put[key], head[3] = {key, version, life->table.generation};
    uint8_t *body;
    uint32_t site = 0;
    char text[24];
    size_t bytes = body_of(key, version, &body);
    if (life->keys) assert_ok(disk_keys_for(life->keys, site_text(key % SITES, text), &site));
    const sk_str pieces[] = {sk_str_make((char *)body, bytes / 3),
                             sk_str_make((char *)body + bytes / 3, bytes - bytes / 3)};
    sk_err err = disk_set_put(life->set, hash_of(key), site, key_text(key, text),
                              sk_str_make((char *)head, HEAD_BYTES), pieces, SK_COUNT(pieces));
    assert_true(!err || err == SK_ERR_FULL || err == SK_ERR_IO);
    free(body);
}

/* The whole body, as it was put. False: it could not be read to its end. */
static bool body_is_right(struct disk_set_reader *reader, uint64_t key, uint64_t version) {
    uint8_t *body;
    size_t bytes = body_of(key, version, &body);
    bool whole = true;
    assert_int_equal(reader->one.record.body_bytes, bytes);
    for (uint64_t i = 0; i * DISK_BLOCK_BYTES < bytes && whole; i++) {
        sk_str data;
        whole = disk_set_read_block(reader, NULL, i, &data) == SK_OK;
        if (whole) assert_memory_equal(data.data, body + i * DISK_BLOCK_BYTES, data.len);
    }
    free(body);
    return whole;
}

static void serve(struct life *life, uint64_t key) {
    struct disk_set_reader reader;
    struct model *model = life->model;
    uint64_t head[3];
    char text[24];
    if (disk_set_find(life->set, NULL, hash_of(key), key_text(key, text), &reader) != SK_OK) {
        model->missed++;
        return;
    }
    assert_int_equal(reader.one.record.head.len, HEAD_BYTES);
    memcpy(head, reader.one.record.head.data, HEAD_BYTES);
    assert_int_equal(head[0], key);
    assert_in_range(head[1], model->erased[key] + 1, model->put[key]);
    if (head[2] < life->table.gone[key] || head[2] < life->table.floor) {
        model->stale++;
    } else {
        if (head[1] <= model->purged[key])
            fail_msg("key %llu: version %llu was purged", (unsigned long long)key,
                     (unsigned long long)head[1]);
        model->served += body_is_right(&reader, key, head[1]);
    }
    disk_set_reader_close(&reader);
}

/* ---- purges, and the log of them -------------------------------------------------------------------------------- */

static struct cache_purge purge_of(uint64_t key, char text[24]) {
    return (struct cache_purge){.kind = CACHE_PURGE_KEY, .text = key_text(key, text)};
}

/* Told to be done, for ever, when the log has it. */
static void purge(struct life *life, uint64_t key) {
    uint64_t before = life->model->put[key];
    char text[24];
    struct cache_purge purge = purge_of(key, text);
    life->table.gone[key] = ++life->table.generation;
    tier_log_append(life->log, &purge, life->table.generation);
    life->model->purged[key] = before;
    life->model->purges++;
}

/* What the log says. When it is damaged, it may have known more: then nothing from before is proven. */
static void recall_table(struct life *life) {
    struct tier_log_reading reading;
    struct cache_purge purge;
    struct sk_buf data;
    uint64_t tick;
    size_t at = TIER_LOG_HEADER_BYTES;
    life->table = (struct table){0};
    assert_ok(tier_log_open(log_path, secret, &life->log, &data, &reading));
    while (tier_log_next(&reading, sk_buf_str(&data), &at, &purge, &tick)) {
        char text[24] = "";
        unsigned long long key;
        assert_true(purge.text.len < sizeof text);
        memcpy(text, purge.text.data, purge.text.len);
        assert_int_equal(sscanf(text, "/object/%llu", &key), 1);
        assert_true(key < KEYS);
        life->table.gone[key] = tick;
    }
    bool proven = life->model->begun == 0 || !reading.damaged;
    life->table.generation = SK_MAX(reading.last_tick, reading.state.floor);
    life->table.floor = reading.state.floor;
    if (!proven) {
        life->model->logs_torn++;
        life->table.floor = ++life->table.generation;
    }
    sk_str kept = sk_str_slice(sk_buf_str(&data), TIER_LOG_HEADER_BYTES, reading.purge_bytes);
    if (!proven) kept.len = 0;
    assert_ok(tier_log_restart(life->log, life->table.floor, kept));
    sk_buf_free(&data);
}

/* The end of what was not synced is not whole after a power cut. */
static void tear_log(struct model *model) {
    struct stat status;
    if (stat(log_path, &status) || status.st_size <= TIER_LOG_HEADER_BYTES) return;
    assert_int_equal(truncate(log_path, status.st_size - 1 - (off_t)draw(model, 8)), 0);
}

/* ---- sites, whose keys are erased ------------------------------------------------------------------------------ */

/* Told to be done: nothing of it is ever found again, whatever the devices hold. */
static void erase(struct life *life, uint64_t site) {
    char text[24];
    if (!life->keys) return;
    sk_err err = disk_keys_erase(life->keys, site_text(site, text));
    assert_true(!err || err == SK_ERR_NOT_FOUND);
    for (uint64_t key = site; key < KEYS; key += SITES) life->model->erased[key] = life->model->put[key];
    life->model->erasures += !err;
}

/* A slot rots: that costs its site's records. */
static void rot_keys(struct model *model) {
    int fd = open(keys_path, O_RDWR | O_CLOEXEC);
    struct stat status;
    char byte;
    if (fd < 0) return;
    if (fstat(fd, &status) == 0 && status.st_size) {
        off_t at = (off_t)draw(model, (uint64_t)status.st_size);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (char)(1 << draw(model, 8));
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

/* ---- a life ------------------------------------------------------------------------------------------------------ */

static void work(struct life *life, uint64_t what) {
    for (size_t i = 0; i < DEVICES; i++) {
        while (disk_set_write(life->set, NULL, i) == SK_OK) continue;
        while (disk_set_reclaim(life->set, NULL, i) == SK_OK) continue;
        if (what % 2) (void)disk_set_load(life->set, NULL, i);
        if (what % 16 == 0) (void)disk_set_flush(life->set, NULL, i);
    }
}

static void revive(struct life *life) {
    for (size_t i = 0; i < DEVICES; i++) life->model->revived += disk_set_revive(life->set, NULL, i) == SK_OK;
}

static void step(struct life *life) {
    uint64_t key = draw(life->model, KEYS), what = draw(life->model, 1000);
    key = key * key / KEYS; /* some more often than others */
    if (what < 400)
        put(life, key);
    else if (what < 850)
        serve(life, key);
    else if (what < 960)
        work(life, what);
    else if (what < 975)
        revive(life);
    else if (what < 998)
        purge(life, key);
    else
        erase(life, draw(life->model, SITES));
}

/* All that is there, some of it before all is loaded. */
static void begin(struct life *life, struct model *model, const struct disk_set_options *options) {
    struct disk_set_options with_keys = *options;
    *life = (struct life){.model = model};
    recall_table(life);
    if (model->sealed) assert_ok(disk_keys_open(keys_path, node_key, &life->keys));
    with_keys.sites = life->keys;
    assert_ok(disk_set_open(&with_keys, NULL, &life->set));
    for (uint64_t key = 0; key < KEYS; key++) serve(life, key);
    for (size_t i = 0; i < DEVICES; i++)
        while (disk_set_load(life->set, NULL, i) == SK_OK) continue;
    for (uint64_t key = 0; key < KEYS; key++) serve(life, key);
}

static void end(struct life *life, bool in_order) {
    (void)disk_set_close(life->set, NULL);
    disk_keys_close(life->keys);
    tier_log_close(life->log, in_order, life->table.generation);
}

static struct disk_set_options options_of(const struct model *model, const struct disk_set_path *paths) {
    return (struct disk_set_options){.paths = paths,
                                     .count = DEVICES,
                                     .segment_bytes = SEGMENT,
                                     .records = 4 * KEYS,
                                     .create = true,
                                     .background = true,
                                     .key = model->sealed ? node_key : NULL};
}

static void report(const char *kind, const struct model *model, uint64_t crashes) {
#define FIGURE(name) (unsigned long long)model->name
    print_message("%s: %llu crashes, %llu served, %llu missed, %llu stale, %llu purges, %llu sites erased, "
                  "%llu outages, %llu revived, %llu logs torn\n",
                  kind, (unsigned long long)crashes, FIGURE(served), FIGURE(missed), FIGURE(stale),
                  FIGURE(purges), FIGURE(erasures), FIGURE(outages), FIGURE(revived), FIGURE(logs_torn));
#undef FIGURE
}

/* ---- simulated devices ------------------------------------------------------------------------------------------- */

static struct disk_sim sims[DEVICES];
static const struct disk_set_path sim_paths[DEVICES] = {{"0", 0}, {"1", 0}, {"2", 0}};

static sk_err open_sim(const char *path, uint64_t bytes, struct disk_io *out_io) {
    *out_io = sim_io(&sims[path[0] - '0']);
    (void)bytes;
    return SK_OK;
}
static void close_sim(struct disk_io *io) { *io = (struct disk_io){0}; }

static void no_trouble(void) {
    for (size_t i = 0; i < DEVICES; i++)
        sims[i].read_fails = sims[i].write_fails = sims[i].sync_fails = sims[i].full = 0;
}

/* What goes wrong in this life, on one device or on all. */
static void draw_trouble(struct model *model) {
    uint64_t kind = draw(model, 6), which = draw(model, DEVICES + 1);
    for (size_t i = 0; i < DEVICES; i++) {
        if (which < DEVICES && which != i) continue;
        if (kind == 1) sims[i].read_fails = 20;
        if (kind == 2) sims[i].write_fails = 30;
        if (kind == 3) sims[i].sync_fails = 10;
        if (kind == 4) sims[i].full = 20;
    }
}

static void rot(struct model *model) {
    for (uint64_t n = draw(model, 30); n > 0; n--) {
        struct disk_sim *sim = &sims[draw(model, DEVICES)];
        uint64_t at = DISK_SECTOR_BYTES + draw(model, sim->bytes - DISK_SECTOR_BYTES);
        sim->now[at] ^= (uint8_t)(1 << draw(model, 8));
    }
}

/* The dead one's memory is given back without a trace on the devices. */
static void die(struct life *life, bool killed) {
    static uint8_t *images[DEVICES];
    for (size_t i = 0; i < DEVICES; i++) {
        struct disk_set_usage usage;
        disk_set_usage(life->set, i, &usage);
        life->model->outages += usage.outages;
        sim_crash(&sims[i], killed);
        images[i] = malloc(sims[i].bytes);
        assert_non_null(images[i]);
        memcpy(images[i], sims[i].now, sims[i].bytes);
        sims[i].write_fails = 1;
    }
    end(life, false);
    if (!killed) tear_log(life->model);
    no_trouble();
    for (size_t i = 0; i < DEVICES; i++) {
        memcpy(sims[i].now, images[i], sims[i].bytes);
        (void)sim_sync(&sims[i], NULL);
        free(images[i]);
    }
}

static void make_folder(void) {
    snprintf(folder, sizeof folder, "/tmp/skerry-fault-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    snprintf(keys_path, sizeof keys_path, "%s/keys", folder);
}

static void clear_folder(void) {
    (void)unlink(log_path);
    (void)unlink(keys_path);
    assert_int_equal(rmdir(folder), 0);
}

static void devices_crash(uint64_t crashes, uint64_t seed) {
    make_folder();
    struct model model = {.random = seed * 2 + 1, .sealed = seed % 2 == 0};
    struct life life;
    for (size_t i = 0; i < DEVICES; i++) sim_open(&sims[i], DEVICE_BYTES, seed * DEVICES + i);
    struct disk_set_options options = options_of(&model, sim_paths);
    options.open = open_sim;
    options.close = close_sim;
    for (uint64_t i = 0; i < crashes; i++) {
        begin(&life, &model, &options);
        model.begun++;
        draw_trouble(&model);
        for (uint64_t n = 20 + draw(&model, 400); n > 0; n--) step(&life);
        if (draw(&model, 8) == 0) rot(&model);
        if (draw(&model, 8) == 0) { /* now and then a clean stop, as far as the devices let it */
            end(&life, true);
            no_trouble();
        } else {
            die(&life, draw(&model, 2));
        }
        if (draw(&model, 16) == 0) rot_keys(&model);
    }
    report("devices", &model, crashes);
    assert_true(!model.sealed || model.erasures > 0);
    clear_folder();
    assert_true(model.served > crashes && model.purges > crashes / 4);
    for (size_t i = 0; i < DEVICES; i++) sim_close(&sims[i]);
}

/* ---- a process ---------------------------------------------------------------------------------------------------- */

static _Noreturn void live_until_killed(struct model *model, const struct disk_set_path *paths) {
    static struct life life;
    struct disk_set_options options = options_of(model, paths);
    begin(&life, model, &options);
    for (size_t i = 0; i < DEVICES; i++) {
        struct disk_set_usage usage;
        disk_set_usage(life.set, i, &usage);
        assert_int_equal(usage.err, SK_OK);
    }
    atomic_fetch_add(&model->begun, 1);
    for (;;) step(&life);
}

/* Every other one is let get to work before the time until it is killed begins. */
static void kill_soon(pid_t child, struct model *model, uint64_t begun, uint64_t us) {
    int status;
    for (int ms = 0; us % 2 && ms < 10000 && atomic_load(&model->begun) == begun; ms++) usleep(1000);
    usleep((useconds_t)us);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) fail_msg("the process found a fault and ended");
}

static void process_crash(uint64_t crashes, uint64_t seed) {
    char names[DEVICES][64];
    struct disk_set_path paths[DEVICES];
    make_folder();
    for (size_t i = 0; i < DEVICES; i++) {
        snprintf(names[i], sizeof names[i], "%s/%zu", folder, i);
        paths[i] = (struct disk_set_path){names[i], DEVICE_BYTES};
    }
    struct model *model =
        mmap(NULL, sizeof *model, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(model != MAP_FAILED);
    *model = (struct model){.random = seed * 2 + 1, .sealed = seed % 2}; /* as the usual one is */
    uint64_t random = seed;
    for (uint64_t i = 0; i < crashes; i++) {
        random = random * UINT64_C(6364136223846793005) + 1;
        uint64_t begun = atomic_load(&model->begun);
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) live_until_killed(model, paths);
        kill_soon(child, model, begun, 1000 + (random >> 40) % 60000);
    }
    report("process", model, crashes);
    assert_true(model->served > crashes && model->purges > 0);
    munmap(model, sizeof *model);
    for (size_t i = 0; i < DEVICES; i++) unlink(names[i]);
    clear_folder();
}

/* ---- the program --------------------------------------------------------------------------------------------------- */

static uint64_t count_of(uint64_t usual) {
    if (crashes_wanted) return crashes_wanted;
    return getenv("SKERRY_TEST_LONG") ? 1000 : usual;
}

static void simulated_devices_crash(void **state) {
    if (kind_wanted[0] == 'p') return;
    devices_crash(count_of(80), seed_wanted);
    devices_crash(count_of(80), seed_wanted + 1); /* one of the two is sealed */
    (void)state;
}

static void a_process_is_killed(void **state) {
    if (kind_wanted[0] == 'd') return;
    process_crash(count_of(16), seed_wanted);
    (void)state;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"crashes", required_argument, NULL, 'c'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"kind", required_argument, NULL, 'k'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "c:s:k:", options, NULL)) != -1;) {
        if (c == 'c') crashes_wanted = strtoull(optarg, NULL, 10);
        if (c == 's') seed_wanted = strtoull(optarg, NULL, 10);
        if (c == 'k') kind_wanted = optarg;
        if (c == '?') return 2;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulated_devices_crash),
        cmocka_unit_test(a_process_is_killed),
    };
    return SK_RUN_TESTS(tests);
}
