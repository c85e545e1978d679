/* Asks for objects at a steady rate and tells how long each answer took, without what the machine's host did meanwhile.
 *
 *   steady PORT HOST PATH-FORMAT OBJECTS RATE CONNECTIONS SECONDS SEED CORE OTHER-CORE
 *   steady watch CORE OTHER-CORE     until its input ends; then the spans in which the host had one of them ("FROM TO")
 *
 * Requests are due at random times (a Poisson process) whether or not answers came, and an answer's time counts from when
 * its request was due, so that a server that stands still is not asked less (what is called coordinated omission). The
 * client runs on CORE at real-time priority: what else is on that core does not delay it.
 *
 * On a virtual machine a processor is now and then the host's. On each of the two cores a thread of the highest
 * priority wakes every WATCH_NS: when it woke late, nobody of the machine ran, and answers that were under way in that
 * time or shortly after it are left out of the figures; their share is told. Nothing that a server does in user space
 * can make such a thread late.
 *
 * One line of JSON: requests, errors, rate, p50, p99, p999, max (in microseconds, undisturbed), all_p99, excluded (share). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ll
#define WATCH_NS (1 * MS)
#define LATE_NS (MS / 4)
#define CONNECTIONS_MAX 1024
#define BUFFER_BYTES (1 << 18)
#define LATES_MAX 200000

static void leave(const char *why) {
    perror(why);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void run_on(int core, int priority) {
    cpu_set_t set;
    struct sched_param param = {.sched_priority = priority};
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) leave("sched_setaffinity");
    if (sched_setscheduler(0, SCHED_FIFO, &param) != 0) leave("SCHED_FIFO");
}

/* --- when nobody of this machine ran ------------------------------------------------------------------- */

struct span {
    int64_t from, to;
};
struct watch {
    pthread_t thread;
    int core;
    size_t count;
    struct span lates[LATES_MAX];
};
static struct watch watches[2];
static _Atomic bool ended;

static void *watch_on(void *arg) {
    struct watch *watch = arg;
    run_on(watch->core, 90);
    int64_t due = now_ns() + WATCH_NS;
    while (!ended) {
        struct timespec t = {due / 1000000000, due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        int64_t woke = now_ns();
        if (woke - due > LATE_NS && watch->count < LATES_MAX)
            watch->lates[watch->count++] = (struct span){due - WATCH_NS, woke + (woke - due) + WATCH_NS};
        due = woke - due > WATCH_NS ? woke + WATCH_NS : due + WATCH_NS;
    }
    return NULL;
}

/* The spans of WATCH come in order of their starts. */
static bool was_disturbed(const struct watch *watch, struct span asked) {
    size_t low = 0, high = watch->count;
    while (low < high) { /* the first that ends after ASKED began */
        size_t middle = (low + high) / 2;
        if (watch->lates[middle].to < asked.from)
            low = middle + 1;
        else
            high = middle;
    }
    return low < watch->count && watch->lates[low].from <= asked.to;
}

/* --- asking ------------------------------------------------------------------------------------------------ */

struct connection {
    int fd;
    bool busy;
    int64_t due;
    size_t filled;
    char buffer[BUFFER_BYTES + 1];
};
static struct connection *connections;
static size_t connection_count, errors, count, room;
static struct span *spans;
static struct sockaddr_in server = {.sin_family = AF_INET};
static int poller;
static uint64_t seed;

static double random_unit(void) { /* splitmix64 */
    uint64_t z = (seed += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

static void reach(struct connection *c) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&server, sizeof server) != 0) leave("connect");
    setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &(int){1}, sizeof(int));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) != 0) leave("epoll_ctl");
    c->busy = false, c->filled = 0;
}

static void fail(struct connection *c) {
    errors++;
    close(c->fd);
    reach(c);
}

static void ask(struct connection *c, int64_t due, const char *host, const char *format, unsigned objects) {
    char text[1024], path[256];
    snprintf(path, sizeof path, format, 1 + (unsigned)(random_unit() * objects));
    int bytes = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
    c->busy = true, c->due = due, c->filled = 0;
    if (write(c->fd, text, (size_t)bytes) != bytes) fail(c);
}

/* Bytes of the whole answer; 0: its head is not whole. */
static size_t answer_bytes(const struct connection *c) {
    const char *end = memmem(c->buffer, c->filled, "\r\n\r\n", 4);
    const char *length = end ? strcasestr(c->buffer, "\r\ncontent-length:") : NULL;
    if (!length || length > end) return 0;
    return (size_t)(end + 4 - c->buffer) + strtoul(length + 17, NULL, 10);
}

static void hear(struct connection *c) {
    ssize_t got = read(c->fd, c->buffer + c->filled, BUFFER_BYTES - c->filled);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || !c->busy) {
        fail(c);
        return;
    }
    c->filled += (size_t)got;
    c->buffer[c->filled] = 0;
    size_t whole = answer_bytes(c);
    if (whole == 0 && c->filled < BUFFER_BYTES) return;
    if (whole == 0 || whole > BUFFER_BYTES || c->filled > whole ||
        memcmp(c->buffer, "HTTP/1.1 200", 12) != 0) {
        fail(c);
        return;
    }
    if (c->filled < whole) return;
    c->busy = false;
    if (count < room) spans[count++] = (struct span){c->due, now_ns()};
}

static struct connection *idle_one(void) {
    static size_t next;
    for (size_t i = 0; i < connection_count; i++) {
        struct connection *c = &connections[next++ % connection_count];
        if (!c->busy) return c;
    }
    return NULL;
}

static void run(double rate, double seconds, const char *host, const char *format, unsigned objects) {
    struct epoll_event events[64];
    int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9);
    double due = (double)start;
    for (;;) {
        struct connection *c;
        int64_t now = now_ns();
        if (now >= end) return;
        while (due <= (double)now && (c = idle_one())) {
            ask(c, (int64_t)due, host, format, objects);
            due -= log(1 - random_unit()) / rate * 1e9;
        }
        int64_t wait = due > (double)now ? (int64_t)due - now : 10 * MS; /* else all are busy */
        struct timespec t = {0, wait < MS ? wait : MS};
        int ready = epoll_pwait2(poller, events, 64, &t, NULL);
        for (int i = 0; i < ready; i++) hear(events[i].data.ptr);
    }
}

/* --- telling ----------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double at(const int64_t *sorted, size_t n, double share) {
    size_t i = (size_t)((double)n * share);
    return n ? (double)sorted[i < n ? i : n - 1] / 1000 : 0;
}

static void tell(double seconds) {
    int64_t *all = malloc((count + 1) * sizeof *all), *good = malloc((count + 1) * sizeof *good);
    size_t kept = 0;
    if (!all || !good) leave("malloc");
    for (size_t i = 0; i < count; i++) {
        all[i] = spans[i].to - spans[i].from;
        if (!was_disturbed(&watches[0], spans[i]) && !was_disturbed(&watches[1], spans[i]))
            good[kept++] = all[i];
    }
    qsort(all, count, sizeof *all, by_time);
    qsort(good, kept, sizeof *good, by_time);
    printf(
        "{\"requests\": %zu, \"errors\": %zu, \"rate\": %.0f, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f, "
        "\"all_p99\": %.1f, \"excluded\": %.5f}\n",
        count, errors, (double)count / seconds, at(good, kept, 0.5), at(good, kept, 0.99),
        at(good, kept, 0.999), at(good, kept, 1), at(all, count, 0.99),
        count ? 1 - (double)kept / (double)count : 0);
}

static void watch_both(char **cores) {
    for (size_t i = 0; i < 2; i++) {
        watches[i].core = atoi(cores[i]);
        if (pthread_create(&watches[i].thread, NULL, watch_on, &watches[i]) != 0) leave("pthread_create");
    }
}

static void end_watches(void) {
    ended = true;
    for (size_t i = 0; i < 2; i++) pthread_join(watches[i].thread, NULL);
}

static int only_watch(char **cores) {
    char byte;
    watch_both(cores);
    while (read(0, &byte, 1) > 0);
    end_watches();
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < watches[i].count; k++)
            printf("%lld %lld\n", (long long)watches[i].lates[k].from, (long long)watches[i].lates[k].to);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "watch") == 0) return only_watch(argv + 2);
    if (argc != 11) {
        fputs("usage: steady PORT HOST PATH-FORMAT OBJECTS RATE CONNECTIONS SECONDS SEED CORE OTHER-CORE\n",
              stderr);
        return 2;
    }
    double rate = atof(argv[5]), seconds = atof(argv[7]);
    connection_count = (size_t)atoi(argv[6]);
    if (connection_count < 1 || connection_count > CONNECTIONS_MAX || rate <= 0 || seconds <= 0) return 2;
    server.sin_port = htons((uint16_t)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    seed = strtoull(argv[8], NULL, 10);
    room = (size_t)(rate * seconds * 2) + 1000;
    spans = malloc(room * sizeof *spans);
    connections = calloc(connection_count, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!spans || !connections || poller < 0) leave("memory");
    memset(spans, 1, room * sizeof *spans); /* no page fault while it measures */
    for (size_t i = 0; i < connection_count; i++) reach(&connections[i]);
    watch_both(argv + 9);
    run_on(atoi(argv[9]), 50);
    run(rate, seconds, argv[2], argv[3], (unsigned)atoi(argv[4]));
    end_watches();
    tell(seconds);
    return errors > 0 && count == 0;
}
