#include "route/notify.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "io/socket.h"

enum {
    TRIES_MAX = 5,
    FIRST_WAIT_MS = 1000,
    PENDING_MAX = 4096,
    MESSAGE_BYTES = 12 + DNS_NAME_MAX + 4 + DNS_TSIG_BYTES_MAX
};

struct notify_service;

/* One secondary to be told of one zone. */
struct pending {
    struct sk_list link;
    struct io_timer timer;
    struct notify_service *service;
    struct io_addr to;
    struct dns_name apex;
    bool is_signed;
    struct dns_tsig_key key; /* a copy: the configuration may go */
    uint16_t id;
    int tries;
};

struct notify_socket {
    struct io_watch watch; /* fd -1 where the family is missing */
    struct notify_service *service;
};

struct notify_service {
    struct io_loop *loop;
    struct notify_socket sockets[2]; /* IPv4, IPv6 */
    struct sk_list pending;
    size_t count;
};

static void finish(struct pending *p) {
    io_timer_stop(&p->timer);
    sk_list_remove(&p->link);
    p->service->count--;
    free(p);
}

static size_t write_message(const struct pending *p, uint8_t out[MESSAGE_BYTES]) {
    enum { OPCODE_NOTIFY = 4 };
    memset(out, 0, 12);
    out[0] = (uint8_t)(p->id >> 8);
    out[1] = (uint8_t)p->id;
    out[2] = OPCODE_NOTIFY << 3 | DNS_FLAG_AA >> 8;
    out[5] = 1;
    memcpy(out + 12, p->apex.wire, p->apex.length);
    memcpy(out + 12 + p->apex.length, (uint8_t[]){0, DNS_TYPE_SOA, 0, 1}, 4);
    size_t bytes = 12 + (size_t)p->apex.length + 4;
    struct dns_tsig_chain chain = {0};
    sk_unix_s now = sk_wall_now_s();
    if (p->is_signed &&
        dns_tsig_sign(out, &bytes, MESSAGE_BYTES, &p->key, &chain, (uint64_t)now, DNS_TSIG_FINE, now))
        return 0;
    return bytes;
}

static void on_timer(struct io_timer *timer);

static void try_now(struct pending *p) {
    uint8_t message[MESSAGE_BYTES];
    size_t bytes = write_message(p, message);
    int fd = p->service->sockets[p->to.any.sa_family == AF_INET6].watch.fd;
    /* A failure is as a loss on the way: it is tried again. */
    if (fd >= 0 && bytes) (void)!sendto(fd, message, bytes, MSG_DONTWAIT, &p->to.any, p->to.len);
    int64_t wait_ms = (int64_t)FIRST_WAIT_MS << p->tries++;
    io_timer_start(p->service->loop, &p->timer, io_loop_now(p->service->loop) + wait_ms * SK_NS_PER_MS,
                   on_timer);
}

static void on_timer(struct io_timer *timer) {
    struct pending *p = SK_CONTAINER_OF(timer, struct pending, timer);
    if (p->tries < TRIES_MAX) {
        try_now(p);
        return;
    }
    char text[IO_ADDR_TEXT_BYTES], name[1024];
    io_addr_format(&p->to, text);
    dns_name_format(&p->apex, name);
    sk_log(SK_LOG_WARN, "route", "%s did not answer to NOTIFY of %s", text, name);
    finish(p);
}

static void take_answer(struct notify_service *service, const uint8_t *data, size_t bytes,
                        const struct io_addr *from) {
    if (bytes < 12 || !(data[2] & 0x80)) return;
    uint16_t id = (uint16_t)(data[0] << 8 | data[1]);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed was taken out of the list */
    SK_LIST_FOR_EACH(link, &service->pending) {
        struct pending *p = SK_CONTAINER_OF(link, struct pending, link);
        if (p->id != id || !io_addr_eq(&p->to, from)) continue;
        finish(p);
        return;
    }
}

static void on_ready(struct io_watch *watch, unsigned ready) {
    struct notify_service *service = SK_CONTAINER_OF(watch, struct notify_socket, watch)->service;
    uint8_t data[1500];
    for (;;) {
        struct io_addr from;
        from.len = sizeof(struct sockaddr_in6);
        ssize_t n = recvfrom(watch->fd, data, sizeof data, MSG_DONTWAIT, &from.any, &from.len);
        if (n < 0) return;
        take_answer(service, data, (size_t)n, &from);
    }
}

static void open_socket(struct notify_service *service, int index, const char *any) {
    struct io_addr addr;
    struct io_watch *watch = &service->sockets[index].watch;
    service->sockets[index].service = service;
    watch->fd = -1;
    if (io_addr_parse(sk_str_from_c(any), &addr)) return;
    if (io_bind_datagram(&addr, &(struct io_listen_options){.v6_only = true}, &watch->fd)) return;
    watch->on_ready = on_ready;
    watch->read_only = true;
    if (io_watch_start(service->loop, watch) == SK_OK) return;
    close(watch->fd);
    watch->fd = -1;
}

sk_err notify_create(struct io_loop *loop, struct notify_service **out_service) {
    struct notify_service *service = calloc(1, sizeof *service);
    if (!service) return SK_ERR_NO_MEMORY;
    service->loop = loop;
    sk_list_init(&service->pending);
    open_socket(service, 0, "0.0.0.0:0");
    open_socket(service, 1, "[::]:0");
    *out_service = service;
    return SK_OK;
}

void notify_free(struct notify_service *service) {
    if (!service) return;
    SK_LIST_FOR_EACH(link, &service->pending) finish(SK_CONTAINER_OF(link, struct pending, link));
    for (int i = 0; i < 2; i++) {
        if (service->sockets[i].watch.fd < 0) continue;
        io_watch_stop(&service->sockets[i].watch);
        close(service->sockets[i].watch.fd);
    }
    free(service);
}

static void tell(struct notify_service *service, const struct plan_zone *zone, const struct io_addr *to) {
    struct pending *p = service->count < PENDING_MAX ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        sk_log(SK_LOG_WARN, "route", "too many secondaries to tell: the rest learns by its refresh timer");
        return;
    }
    p->service = service;
    p->to = *to;
    p->apex = zone->apex;
    p->is_signed = zone->tsig_key != NULL;
    if (zone->tsig_key) p->key = *zone->tsig_key;
    sk_random_secret(&p->id, sizeof p->id);
    sk_list_push_back(&service->pending, &p->link);
    service->count++;
    try_now(p);
}

void notify_changes(struct notify_service *service, const struct route_plan *previous,
                    const struct route_plan *plan) {
    for (uint32_t i = 0; i < plan->config->config->zone_count; i++) {
        const struct plan_zone *zone = &plan->config->plan_zones[i];
        const struct zone *now = answer_zones_find(plan->config->zones, &zone->apex);
        const struct zone *before = previous ? answer_zones_find(previous->config->zones, &zone->apex) : NULL;
        if (before && zone_serial(before) == zone_serial(now)) continue;
        for (uint32_t j = 0; j < zone->config->notify_count; j++)
            tell(service, zone, &zone->config->notify[j]);
    }
}
