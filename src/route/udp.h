/* A thread that answers one UDP socket. Several may have sockets of the same address (SO_REUSEPORT); the kernel then
 * shares the clients among them. */
#ifndef SK_ROUTE_UDP_H
#define SK_ROUTE_UDP_H

#include <pthread.h>
#include <stdatomic.h>

#include "route/notes.h"
#include "route/plan.h"
#include "route/udp_send.h"

#define UDP_QUERY_BYTES 1536 /* longer datagrams are no queries that we answer otherwise than malformed */

struct udp_batch;

struct udp_thread {
    /* set once at start */
    unsigned index;
    int fd;        /* the process's */
    bool wildcard; /* bound to all addresses: answer from the one that was asked */
    pthread_t thread;
    struct observe_thread *metrics;
    struct answerer *answerer;
    struct access_log *log; /* the process's; NULL: none */
    struct route_notes notes;
    struct udp_batch *batch;
    /* own thread */
    struct route_plan *plan; /* in force, a reference */
    /* written by the main thread, taken by the own one */
    _Atomic(struct route_plan *) next_plan; /* a reference; NULL: nothing new */
    _Atomic bool stop;
};

/* INDEX and LOG are set, all else zero. FD stays the caller's and must outlive the thread; it becomes a blocking one.
 * SK_ERR_NO_MEMORY, SK_ERR_IO. */
sk_err udp_thread_start(struct udp_thread *thread, int fd, struct route_plan *plan);
/* Main thread. What is asked after it is answered from PLAN. */
void udp_thread_use(struct udp_thread *thread, struct route_plan *plan);
/* Main thread. The thread answers what waits, then ends. */
void udp_thread_stop(struct udp_thread *thread);
/* Main thread, after stop. */
void udp_thread_join(struct udp_thread *thread);

#endif
