#include "io/resolver.h"

#include <ares.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

#define BUCKETS 256
#define MAX_ENTRIES 1024
#define MAX_NAME 253 /* RFC 1035 section 2.3.4, as text without the final dot */

#define TTL_MIN_S 1
#define TTL_MAX_S 300
#define STALE_NS (30 * SK_NS_PER_S)
#define NEGATIVE_NS SK_NS_PER_S
/* After the servers failed for a name, they are left in peace so long. */
#define RETRY_NS SK_NS_PER_S
/* RFC 8767 section 5: who has a stale answer waits no longer than the client response timer. */
#define STALE_PATIENCE_NS (1800 * SK_NS_PER_MS)

#define QUERY_TIMEOUT_MS 1500
#define QUERY_TRIES 3

/* What is known of one name, and whether it is being asked for. */
struct entry {
    struct sk_list bucket_link;
    struct sk_list use_link; /* in io_resolver.entries */
    struct io_resolver *resolver;

    struct io_addr addrs[IO_RESOLVE_MAX]; /* port 0; in the order of RFC 6724 */
    size_t count;
    sk_err err;             /* of the last lookup */
    sk_time_ns fresh_until; /* of addrs, or of NAME_NOT_FOUND */
    sk_time_ns stale_until; /* of addrs, when servers fail */
    sk_time_ns retry_at;

    bool in_flight;
    size_t users; /* fibers that hold a pointer to it */
    struct sk_list waiters;
    size_t name_len;
    char name[]; /* lower case, NUL after it */
};

/* A fiber that waits for a lookup, on its own stack. */
struct waiter {
    struct sk_list link;
    struct io_fiber *fiber;
    bool done;
    bool closed; /* the resolver is gone, and the entry with it */
};

/* A socket of c-ares. */
struct dns_socket {
    struct sk_list link;
    struct io_watch watch;
    struct io_resolver *resolver;
};

struct io_resolver {
    struct io_loop *loop;
    ares_channel_t *channel;
    struct io_timer timer; /* the next time-out of c-ares */
    struct sk_list sockets;
    struct sk_list buckets[BUCKETS];
    struct sk_list entries; /* most recently used first */
    size_t entry_count;
    bool closing;
};

/* --- c-ares on our loop ------------------------------------------------------------------------------- */

static void process(struct io_resolver *resolver, const ares_fd_events_t *events, size_t count);

static void on_timeout(struct io_timer *timer) {
    process(SK_CONTAINER_OF(timer, struct io_resolver, timer), NULL, 0);
}

static void set_timer(struct io_resolver *resolver) {
    struct timeval wait;
    if (!ares_timeout(resolver->channel, NULL, &wait)) {
        io_timer_stop(&resolver->timer);
        return;
    }
    /* The loop's time may be a little behind the clock that c-ares reads; then it is asked once more. */
    sk_time_ns in = wait.tv_sec * SK_NS_PER_S + wait.tv_usec * SK_NS_PER_US;
    io_timer_start(resolver->loop, &resolver->timer, io_loop_now(resolver->loop) + in + SK_NS_PER_MS,
                   on_timeout);
}

static void process(struct io_resolver *resolver, const ares_fd_events_t *events, size_t count) {
    ares_process_fds(resolver->channel, events, count, ARES_PROCESS_FLAG_NONE);
    set_timer(resolver);
}

static void on_socket_ready(struct io_watch *watch, unsigned ready) {
    struct dns_socket *socket = SK_CONTAINER_OF(watch, struct dns_socket, watch);
    ares_fd_events_t event = {.fd = watch->fd};
    if (ready & (IO_READABLE | IO_HANGUP)) event.events |= ARES_FD_EVENT_READ;
    if (ready & IO_WRITABLE) event.events |= ARES_FD_EVENT_WRITE;
    process(socket->resolver, &event, 1);
}

static struct dns_socket *find_socket(struct io_resolver *resolver, int fd) {
    SK_LIST_FOR_EACH(link, &resolver->sockets) {
        struct dns_socket *socket = SK_CONTAINER_OF(link, struct dns_socket, link);
        if (socket->watch.fd == fd) return socket;
    }
    return NULL;
}

static void forget_socket(struct dns_socket *socket) {
    io_watch_stop(&socket->watch);
    sk_list_remove(&socket->link);
    free(socket);
}

/* Without memory or a watch the query times out, as if its packets were lost. */
static void add_socket(struct io_resolver *resolver, int fd) {
    struct dns_socket *socket = calloc(1, sizeof *socket);
    if (!socket) return;
    socket->resolver = resolver;
    socket->watch = (struct io_watch){.fd = fd, .on_ready = on_socket_ready};
    if (io_watch_start(resolver->loop, &socket->watch))
        free(socket);
    else
        sk_list_push_back(&resolver->sockets, &socket->link);
}

/* c-ares says what it waits for; our watches always wait for both, and it ignores what it did not ask. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable) {
    struct io_resolver *resolver = data;
    struct dns_socket *socket = find_socket(resolver, fd);
    if (!readable && !writable && socket)
        forget_socket(socket);
    else if ((readable || writable) && !socket)
        add_socket(resolver, fd);
}

/* --- lookups ------------------------------------------------------------------------------------------ */

static void finish(struct entry *entry) {
    entry->in_flight = false;
    for (struct sk_list *link; (link = sk_list_pop_front(&entry->waiters));) {
        struct waiter *waiter = SK_CONTAINER_OF(link, struct waiter, link);
        waiter->done = true;
        waiter->closed = entry->resolver->closing;
        io_fiber_wake(waiter->fiber);
    }
}

static void take_node(struct entry *entry, const struct ares_addrinfo_node *node) {
    if (entry->count == IO_RESOLVE_MAX) return;
    sk_err err = SK_ERR_UNSUPPORTED;
    struct io_addr *addr = &entry->addrs[entry->count];
    const void *any = node->ai_addr;
    const struct sockaddr_in *v4 = any;
    const struct sockaddr_in6 *v6 = any;
    if (node->ai_family == AF_INET) err = io_addr_from_ip(&v4->sin_addr, 4, 0, addr);
    if (node->ai_family == AF_INET6) err = io_addr_from_ip(&v6->sin6_addr, 16, 0, addr);
    if (!err) entry->count++;
}

static void take_answer(struct entry *entry, const struct ares_addrinfo *answer, sk_time_ns now) {
    int64_t ttl_s = TTL_MAX_S;
    entry->count = 0;
    for (const struct ares_addrinfo_node *node = answer->nodes; node; node = node->ai_next) {
        ttl_s = SK_MIN(ttl_s, (int64_t)node->ai_ttl);
        take_node(entry, node);
    }
    entry->err = entry->count ? SK_OK : SK_ERR_NAME_NOT_FOUND;
    entry->fresh_until = now + SK_MAX(ttl_s, TTL_MIN_S) * SK_NS_PER_S;
    entry->stale_until = entry->fresh_until + STALE_NS;
}

static sk_err error_of(int status) {
    switch (status) {
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
    case ARES_EBADNAME:
    case ARES_EBADQUERY: return SK_ERR_NAME_NOT_FOUND;
    case ARES_ENOMEM: return SK_ERR_NO_MEMORY;
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED: return SK_ERR_CANCELLED;
    default: return SK_ERR_NAME_SERVER;
    }
}

static void on_lookup_done(void *arg, int status, int timeouts, struct ares_addrinfo *answer) {
    struct entry *entry = arg;
    sk_time_ns now = io_loop_now(entry->resolver->loop);
    (void)timeouts;
    if (status == ARES_SUCCESS && answer) {
        take_answer(entry, answer, now);
    } else {
        entry->err = error_of(status);
        entry->retry_at = now + RETRY_NS;
    }
    if (entry->err == SK_ERR_NAME_NOT_FOUND) {
        entry->count = 0; /* an answer, not a failure: nothing stale is served over it */
        entry->fresh_until = now + NEGATIVE_NS;
    }
    if (answer) ares_freeaddrinfo(answer);
    finish(entry);
}

static void start_lookup(struct entry *entry) {
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    entry->in_flight = true;
    ares_getaddrinfo(entry->resolver->channel, entry->name, NULL, &hints, on_lookup_done, entry);
    set_timer(entry->resolver);
}

/* --- the cache ---------------------------------------------------------------------------------------- */

static struct sk_list *bucket_of(struct io_resolver *resolver, sk_str name) {
    return &resolver->buckets[sk_hash64(name.data, name.len) % BUCKETS];
}

static void free_entry(struct entry *entry) {
    sk_list_remove(&entry->bucket_link);
    sk_list_remove(&entry->use_link);
    entry->resolver->entry_count--;
    free(entry);
}

/* Frees the least recently used entry that nobody needs. */
static void evict_one(struct io_resolver *resolver) {
    for (struct sk_list *link = resolver->entries.prev; link != &resolver->entries; link = link->prev) {
        struct entry *entry = SK_CONTAINER_OF(link, struct entry, use_link);
        if (entry->in_flight || entry->users) continue;
        free_entry(entry);
        return;
    }
}

static struct entry *find_entry(struct io_resolver *resolver, sk_str name) {
    SK_LIST_FOR_EACH(link, bucket_of(resolver, name)) {
        struct entry *entry = SK_CONTAINER_OF(link, struct entry, bucket_link);
        if (sk_str_eq(sk_str_make(entry->name, entry->name_len), name)) return entry;
    }
    return NULL;
}

static struct entry *add_entry(struct io_resolver *resolver, sk_str name) {
    if (resolver->entry_count >= MAX_ENTRIES) evict_one(resolver);
    struct entry *entry = calloc(1, sizeof *entry + name.len + 1);
    if (!entry) return NULL;
    entry->resolver = resolver;
    entry->name_len = name.len;
    memcpy(entry->name, name.data, name.len);
    sk_list_init(&entry->waiters);
    sk_list_push_front(bucket_of(resolver, name), &entry->bucket_link);
    sk_list_push_front(&resolver->entries, &entry->use_link);
    resolver->entry_count++;
    return entry;
}

static struct entry *use_entry(struct io_resolver *resolver, sk_str name) {
    struct entry *entry = find_entry(resolver, name);
    if (!entry) return add_entry(resolver, name);
    sk_list_remove(&entry->use_link);
    sk_list_push_front(&resolver->entries, &entry->use_link);
    return entry;
}

static bool has_stale(const struct entry *entry, sk_time_ns now) {
    return entry->count > 0 && now < entry->stale_until;
}

static sk_err copy_addrs(const struct entry *entry, uint16_t port, struct io_addr *out_addrs,
                         size_t *out_count) {
    for (size_t i = 0; i < entry->count; i++) {
        out_addrs[i] = entry->addrs[i];
        if (out_addrs[i].any.sa_family == AF_INET)
            out_addrs[i].v4.sin_port = htons(port);
        else
            out_addrs[i].v6.sin6_port = htons(port);
    }
    *out_count = entry->count;
    return SK_OK;
}

/* Parks until the lookup under way is done. SK_ERR_TIMEOUT, SK_ERR_CANCELLED; *out_closed tells that the
 * entry is gone. */
static sk_err await_lookup(struct entry *entry, sk_time_ns deadline, bool *out_closed) {
    struct waiter waiter = {.fiber = io_fiber_self()};
    sk_err err = SK_OK;
    sk_list_push_back(&entry->waiters, &waiter.link);
    while (!waiter.done && !err) err = io_fiber_park(deadline);
    if (!waiter.done) sk_list_remove(&waiter.link);
    *out_closed = waiter.closed;
    return waiter.done ? SK_OK : err;
}

/* Brings ENTRY up to date, or finds that it cannot be. */
static sk_err refresh(struct entry *entry, sk_time_ns deadline) {
    struct io_loop *loop = entry->resolver->loop;
    sk_time_ns now = io_loop_now(loop);
    if (now < entry->fresh_until) return entry->err;
    if (!entry->in_flight && now >= entry->retry_at) start_lookup(entry);
    if (!entry->in_flight) return entry->err;
    bool closed = false;
    sk_time_ns patience = has_stale(entry, now) ? SK_MIN(deadline, now + STALE_PATIENCE_NS) : deadline;
    entry->users++;
    sk_err err = await_lookup(entry, patience, &closed);
    if (closed) return SK_ERR_CANCELLED;
    entry->users--;
    return err ? err : entry->err;
}

/* --- the public face ---------------------------------------------------------------------------------- */

static sk_err resolve_numeric(sk_str host, uint16_t port, struct io_addr *out_addr) {
    char text[80];
    bool bare_v6 = sk_str_find_byte(host, ':') < host.len && host.data[0] != '[';
    int len = snprintf(text, sizeof text, bare_v6 ? "[%.*s]:%u" : "%.*s:%u", SK_STR_ARGS(host), port);
    if (host.len == 0 || host.len > 64 || len >= (int)sizeof text) return SK_ERR_MALFORMED;
    if (sk_str_starts_with(host, SK_STR("unix:"))) return SK_ERR_MALFORMED;
    return io_addr_parse(sk_str_make(text, (size_t)len), out_addr);
}

/* Letters, digits and the few signs that host names are made of; c-ares checks the labels. */
static bool is_host_name(sk_str host) {
    if (host.len == 0 || host.len > MAX_NAME) return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = sk_ascii_lower_byte(host.data[i]);
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
        if (!fine) return false;
    }
    return true;
}

sk_err io_resolve(struct io_resolver *resolver, sk_str host, uint16_t port, sk_time_ns deadline,
                  struct io_addr out_addrs[IO_RESOLVE_MAX], size_t *out_count) {
    struct io_addr numeric;
    if (!resolve_numeric(host, port, &numeric)) {
        out_addrs[0] = numeric;
        *out_count = 1;
        return SK_OK;
    }
    char name[MAX_NAME + 1];
    if (!is_host_name(host)) return SK_ERR_NAME_NOT_FOUND;
    sk_ascii_lower(name, host.data, host.len);
    struct entry *entry = use_entry(resolver, sk_str_make(name, host.len));
    if (!entry) return SK_ERR_NO_MEMORY;
    sk_err err = refresh(entry, deadline);
    if (err == SK_ERR_CANCELLED) return err; /* the entry may be gone */
    if (err && !has_stale(entry, io_loop_now(resolver->loop))) return err;
    return copy_addrs(entry, port, out_addrs, out_count);
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static void init_library(void) { ares_library_init(ARES_LIB_INIT_ALL); }

static sk_err open_channel(struct io_resolver *resolver, const char *servers) {
    struct ares_options options = {
        .timeout = QUERY_TIMEOUT_MS,
        .tries = QUERY_TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolver,
        .qcache_max_ttl = 0, /* we cache ourselves, and know what is stale */
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_QUERY_CACHE;
    pthread_once(&library_once, init_library);
    int status = ares_init_options(&resolver->channel, &options, mask);
    if (status != ARES_SUCCESS) return status == ARES_ENOMEM ? SK_ERR_NO_MEMORY : SK_ERR_IO;
    if (!servers || ares_set_servers_ports_csv(resolver->channel, servers) == ARES_SUCCESS) return SK_OK;
    ares_destroy(resolver->channel);
    return SK_ERR_INVALID;
}

sk_err io_resolver_create(struct io_loop *loop, const char *servers, struct io_resolver **out_resolver) {
    struct io_resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver) return SK_ERR_NO_MEMORY;
    resolver->loop = loop;
    sk_list_init(&resolver->sockets);
    sk_list_init(&resolver->entries);
    for (int i = 0; i < BUCKETS; i++) sk_list_init(&resolver->buckets[i]);
    sk_err err = open_channel(resolver, servers);
    if (err) {
        free(resolver);
        return err;
    }
    *out_resolver = resolver;
    return SK_OK;
}

void io_resolver_destroy(struct io_resolver *resolver) {
    if (!resolver) return;
    resolver->closing = true;
    ares_destroy(resolver->channel); /* ends every lookup and closes every socket */
    io_timer_stop(&resolver->timer);
    SK_LIST_FOR_EACH(link, &resolver->sockets) forget_socket(SK_CONTAINER_OF(link, struct dns_socket, link));
    SK_LIST_FOR_EACH(link, &resolver->entries) free_entry(SK_CONTAINER_OF(link, struct entry, use_link));
    free(resolver);
}
