/* Answering over UDP: as many datagrams as wait are taken with one call, answered where they lie, and sent with one
 * call. The thread waits in that first call, not in an event loop: a socket that is watched runs its watcher's
 * callback for each datagram that comes and each buffer that is given back, which here would cost more than the
 * answer. */
#include "route/udp.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/socket.h"

enum { CONTROL_BYTES = 64, LOOK_UP_MS = 100 /* how often an idle thread sees whether it should end */ };

/* A thread's buffers. */
struct udp_batch {
    struct mmsghdr in[UDP_BATCH];
    struct iovec in_iov[UDP_BATCH];
    struct io_addr clients[UDP_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[UDP_BATCH][CONTROL_BYTES];
    uint8_t queries[UDP_BATCH][UDP_QUERY_BYTES];
    uint8_t answers[UDP_BATCH][DNS_UDP_PAYLOAD];
    struct udp_sender sender;
};

static struct udp_batch *new_batch(void) {
    struct udp_batch *batch = calloc(1, sizeof *batch);
    for (int i = 0; batch && i < UDP_BATCH; i++) {
        batch->in_iov[i] = (struct iovec){batch->queries[i], UDP_QUERY_BYTES};
        batch->in[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->clients[i].any, .msg_iov = &batch->in_iov[i], .msg_iovlen = 1};
    }
    return batch;
}

/* Room for the next COUNT clients' addresses, and for the address that was asked where the socket does not say. */
static void prepare(struct udp_batch *batch, bool wildcard, int count) {
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &batch->in[i].msg_hdr;
        header->msg_namelen = sizeof(struct sockaddr_in6);
        header->msg_control = wildcard ? batch->control[i] : NULL;
        header->msg_controllen = wildcard ? CONTROL_BYTES : 0;
    }
}

/* The control message that came, as one that says where to send from. The interface is left to the routing table,
 * except where the address means nothing without it. */
static void turn_control(struct msghdr *header) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo *info = (struct in_pktinfo *)(void *)CMSG_DATA(c);
            info->ipi_ifindex = 0;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo *info = (struct in6_pktinfo *)(void *)CMSG_DATA(c);
            if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr)) info->ipi6_ifindex = 0;
        }
    }
}

/* Time, once for a batch. */
struct moment {
    sk_time_ns now;
    sk_unix_s wall_s;
};

/* The answer to datagram FROM in place TO; a NOTE of it is wanted or NULL. */
static size_t ask(struct udp_thread *thread, int from, int to, const struct moment *at,
                  struct answer_log *note) {
    struct udp_batch *batch = thread->batch;
    return answer_query(thread->answerer, thread->plan->snapshot, ANSWER_UDP, &batch->clients[from],
                        batch->queries[from], batch->in[from].msg_len, at->now, at->wall_s,
                        batch->answers[to], DNS_UDP_PAYLOAD, note);
}

/* WEIGHT: of how many queries this one is to be noted for; 0: of none. */
[[gnu::noinline]] static size_t ask_and_note(struct udp_thread *thread, int from, int to,
                                             const struct moment *at, bool is_logged, uint32_t weight) {
    struct answer_log answer;
    answer.name.length = 0;
    size_t bytes = ask(thread, from, to, at, &answer);
    if (answer.name.length == 0) return bytes; /* no query at all */
    struct route_note note = {ANSWER_UDP, &thread->batch->clients[from], &answer, bytes, is_logged, weight};
    route_notes_take(&thread->notes, thread->plan, &note, at->now);
    return bytes;
}

/* Answers datagram FROM into place TO of what is sent; false when there is nothing to send. */
static bool answer_one(struct udp_thread *thread, int from, int to, const struct moment *at,
                       uint32_t weight) {
    struct udp_batch *batch = thread->batch;
    struct msghdr *in = &batch->in[from].msg_hdr;
    batch->clients[from].len = in->msg_namelen;
    bool is_logged = query_log_wants(&thread->notes.log);
    size_t bytes = SK_UNLIKELY(is_logged || weight) ? ask_and_note(thread, from, to, at, is_logged, weight)
                                                    : ask(thread, from, to, at, NULL);
    if (bytes == 0) return false;
    if (thread->wildcard) turn_control(in);
    udp_sender_add(&batch->sender, in, batch->answers[to], bytes);
    return true;
}

/* Takes the reference. */
static void use_plan(struct udp_thread *thread, struct route_plan *plan) {
    struct route_plan *old = thread->plan;
    thread->plan = plan;
    answerer_use_overlay(thread->answerer, plan->overlay);
    route_notes_use(&thread->notes, plan);
    route_plan_unref(old);
}

/* The newest plan, if main has left one. */
static void take_plan(struct udp_thread *thread) {
    if (!atomic_load_explicit(&thread->next_plan, memory_order_relaxed)) return; /* the exchange orders */
    struct route_plan *plan = atomic_exchange_explicit(&thread->next_plan, NULL, memory_order_acquire);
    if (!plan) return;
    use_plan(thread, plan);
}

/* One batch; how many datagrams came, -1 when none did. */
static int turn(struct udp_thread *thread, int flags) {
    int answers = 0, count = recvmmsg(thread->fd, thread->batch->in, UDP_BATCH, flags, NULL);
    take_plan(thread); /* after the wait: what is asked after a reload is answered from what was loaded */
    if (count <= 0) return -1;
    struct moment at = {sk_time_now(), sk_wall_now_s()};
    uint32_t weight = top_due(thread->notes.top, (uint32_t)count, at.now);
    int noted = weight ? (int)((uint64_t)at.now % (uint64_t)count) : -1;
    for (int i = 0; i < count; i++) answers += answer_one(thread, i, answers, &at, i == noted ? weight : 0);
    udp_sender_flush(&thread->batch->sender);
    prepare(thread->batch, thread->wildcard, count);
    return count;
}

static void *run(void *arg) {
    struct udp_thread *thread = arg;
    char name[16];
    snprintf(name, sizeof name, "udp-%u", thread->index);
    pthread_setname_np(pthread_self(), name);
    /* relaxed: it says only that the end has come, nothing that is to be read after it */
    while (!atomic_load_explicit(&thread->stop, memory_order_relaxed)) turn(thread, MSG_WAITFORONE);
    while (turn(thread, MSG_DONTWAIT) > 0) continue; /* what came before the end is answered */
    return NULL;
}

static bool is_wildcard(int fd) {
    struct io_addr addr;
    uint8_t ip[16];
    static const uint8_t any4[16] = {[10] = 0xff, [11] = 0xff}, any6[16];
    if (io_socket_local_addr(fd, &addr) || !io_addr_ip16(&addr, ip)) return false;
    return memcmp(ip, any4, 16) == 0 || memcmp(ip, any6, 16) == 0;
}

/* Waits in the kernel, but not for ever. */
static sk_err make_blocking(int fd) {
    struct timeval wait = {.tv_usec = LOOK_UP_MS * 1000};
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) return SK_ERR_IO;
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0 ? SK_ERR_IO : SK_OK;
}

static void release(struct udp_thread *thread) {
    answerer_free(thread->answerer);
    route_notes_end(&thread->notes);
    free(thread->batch);
    route_plan_unref(thread->plan);
    route_plan_unref(
        atomic_load_explicit(&thread->next_plan, memory_order_relaxed)); /* the thread has ended */
}

sk_err udp_thread_start(struct udp_thread *thread, int fd, struct route_plan *plan) {
    thread->fd = fd;
    thread->wildcard = is_wildcard(fd);
    thread->batch = new_batch();
    sk_err err = thread->batch ? make_blocking(fd) : SK_ERR_NO_MEMORY;
    /* Joined on behalf of the thread that begins now: from then on only it counts there. */
    if (!err) err = observe_thread_join(&thread->metrics);
    if (!err) err = answerer_create(thread->metrics, &thread->answerer);
    if (!err) err = route_notes_start(&thread->notes, thread->log, thread->metrics);
    if (!err) use_plan(thread, route_plan_ref(plan));
    if (!err) udp_sender_init(&thread->batch->sender, fd, thread->metrics);
    if (!err) prepare(thread->batch, thread->wildcard, UDP_BATCH);
    if (!err && pthread_create(&thread->thread, NULL, run, thread) != 0) err = SK_ERR_NO_MEMORY;
    if (err) release(thread);
    return err;
}

void udp_thread_use(struct udp_thread *thread, struct route_plan *plan) {
    /* acq_rel: the thread sees the plan whole; one that it has not taken yet is ours again. */
    route_plan_unref(
        atomic_exchange_explicit(&thread->next_plan, route_plan_ref(plan), memory_order_acq_rel));
}

void udp_thread_stop(struct udp_thread *thread) {
    atomic_store_explicit(&thread->stop, true, memory_order_relaxed); /* as in run */
}

void udp_thread_join(struct udp_thread *thread) {
    pthread_join(thread->thread, NULL);
    release(thread);
}
