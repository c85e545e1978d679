/* One thread of the router that answers over TCP: its loop, its answerer, its sockets. The main thread reaches it by messages only; the
 * sockets are the process's own (handed over at an upgrade), the thread works on duplicates. */
#ifndef SK_ROUTE_WORKER_H
#define SK_ROUTE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "io/socket.h"
#include "route/answer.h"
#include "route/notes.h"
#include "route/plan.h"

struct route_worker;

struct tcp_listener {
    struct io_watch watch;
    struct io_timer retry; /* out of descriptors: try again later */
    struct route_worker *worker;
};

struct route_worker {
    /* set once at start */
    unsigned index;
    pthread_t thread;
    struct io_loop *loop;
    struct observe_thread *metrics;
    struct answerer *answerer;
    struct access_log *log; /* the process's */
    struct route_notes notes;
    struct tcp_listener *tcp;
    unsigned socket_count;
    uint8_t *tcp_answer; /* scratch for one answer with its length */
    /* own thread */
    struct route_plan *plan; /* in force, a reference */
    struct sk_list connections;
    struct sk_pool connection_pool;
    uint32_t connection_count;
    uint16_t per_client[4096]; /* connections by hash of the client's address */
    bool leaving, draining;    /* nobody new; and each connection ends after its present answers */
    struct io_timer drain_timer;
    _Atomic bool ended; /* any thread reads */
};

/* INDEX and LOG are set, all else zero. Takes a duplicate of each of COUNT listening sockets. SK_ERR_NO_MEMORY, SK_ERR_FULL (descriptors). */
sk_err route_worker_start(struct route_worker *worker, const int *tcp_fds, unsigned count,
                          struct route_plan *plan);
/* Main thread. A reference to PLAN goes to the worker. SK_ERR_NO_MEMORY. */
sk_err route_worker_use(struct route_worker *worker, struct route_plan *plan);
/* Main thread: answer what waits, end connections, and let the thread end. */
void route_worker_stop(struct route_worker *worker);
/* Main thread: nobody new; connections go on until their clients are done or have been idle, for half a minute at most, then the
 * thread ends. */
void route_worker_leave(struct route_worker *worker);
/* Main thread: whether the thread has ended, or will without waiting for anybody. */
bool route_worker_ended(const struct route_worker *worker);
/* Main thread, after stop or leave: waits for the thread and frees what it had. */
void route_worker_join(struct route_worker *worker);

/* Own thread; tcp.c. */
void tcp_pool_init(struct route_worker *worker);
sk_err tcp_start(struct tcp_listener *listener, int fd);
void tcp_stop_accepting(struct tcp_listener *listener);
/* Ends the idle connections, the others after their present answers. */
void tcp_drain(struct route_worker *worker);
void tcp_close_all(struct route_worker *worker);

#endif
