/* One thread of the edge: its loop, its memberships (cache, origins, metrics, access log), the listening
 * sockets it accepts from and the connections it serves. Everything here belongs to that thread; the main
 * thread reaches it by messages (edge_worker_tell) only. */
#ifndef SK_EDGE_WORKER_H
#define SK_EDGE_WORKER_H

#include <pthread.h>
#include <semaphore.h>

#include "base/pool.h"
#include "cache/cache.h"
#include "edge/limits.h"
#include "edge/mux_room.h"
#include "edge/snapshot.h"
#include "http/date.h"
#include "observe/access_log.h"

struct edge_process;
struct edge_ring;
struct edge_worker;
struct edge_quic;

/* One recv's worth, and the head of a request with all that was pipelined behind it. */
#define EDGE_INPUT_BYTES (64 * 1024)
/* How much of one answer goes out before the other connections get their turn. */
#define EDGE_TURN_BYTES (1024 * 1024)
/* An idle connection is kept this long once the edge drains: a request may be on its way. */
#define EDGE_DRAIN_IDLE_MS 1000
/* How long a closed connection's last answer may take to reach a peer that still sends. */
#define EDGE_LINGER_MS 2000

/* A listening socket that a worker accepts from; shared by several workers when there are fewer sockets than
 * workers (after an upgrade to more threads). */
struct edge_accept {
    struct io_watch watch;
    struct edge_worker *worker;
    struct io_timer retry; /* out of descriptors: try again later */
    struct io_task again;  /* more wait than one turn takes */
    bool queued, closed;
    struct io_addr addr; /* as configured: by it the configuration in force tells what is spoken here */
    struct wire_tls_server *tls; /* the snapshot's; NULL: plain */
    uint16_t port, http3_port;   /* as bound; the same where HTTP/3 is spoken too, else 0 */
    int source_fd;               /* the process's own descriptor of the same socket: its name in messages */
    struct sk_list link;         /* worker.accepts */
};

/* A client's connection, whatever it speaks, as the worker sees it. */
struct edge_connection;
struct edge_connection_ops {
    void (*drain)(struct edge_connection *connection); /* no further request than those that are under way */
    void (*abort)(struct edge_connection *connection); /* at once */
};
struct edge_connection {
    struct sk_list link; /* worker.connections */
    const struct edge_connection_ops *ops;
};

enum edge_stage { EDGE_RUNNING, EDGE_DRAINING, EDGE_STOPPING };

struct edge_worker {
    /* set once at start */
    struct edge_process *process;
    struct edge_ring *ring; /* the process's */
    unsigned index;
    pthread_t thread;
    struct io_loop *loop;
    struct cache_thread *cache;
    struct origin_thread *origins;
    struct observe_thread *metrics;
    struct access_log_ring *log; /* NULL: no access log was opened */
    struct edge_limits *limits;
    struct observe_rtt *rtt; /* NULL before the first sample */
    sk_str loop_mark;        /* "i=0123456789abcdef": this process in CDN-Loop */
    char *input;             /* EDGE_INPUT_BYTES, filled and used up within one callback */
    /* own thread */
    struct edge_snapshot *snapshot; /* in force, a reference */
    bool log_wanted;                /* by the configuration in force */
    enum edge_stage stage;
    bool lets_go;            /* it serves, but each client is to go elsewhere for the next request */
    struct sk_arena scratch; /* reset before each request */
    struct sk_pool connection_pool;
    struct mux_room mux_room;
    struct edge_quic *quic;
    struct edge_tls_room *tls_room; /* NULL before the first TLS connection */
    struct sk_list connections;     /* struct edge_connection.link */
    size_t connection_count;
    struct sk_list fetches; /* struct edge_fetch.link */
    struct sk_list accepts;
    struct sk_list encodes; /* struct edge_encode.link */
    uint32_t encode_count;
    struct io_fiber *improver; /* NULL: nothing is improved by this thread */
    struct io_timer drain_timer;
    sk_time_ns stop_by;
    /* main thread */
    bool done; /* its loop has ended: no more messages */
    /* own thread until it is joined, then main thread */
    bool stuck; /* fibers did not end in time: what they use is left to the kernel */
    /* between the two at the end */
    struct io_task done_task;
    sem_t may_leave;
    sk_unix_s date_at;
    char date[HTTP_DATE_BYTES]; /* of date_at */
};

/* What the main thread may tell a worker. */
enum edge_message_kind {
    EDGE_TELL_SNAPSHOT,  /* a reference to the new snapshot comes with it */
    EDGE_TELL_ACCEPT,    /* accept from FD, a duplicate of SOURCE_FD that the worker owns, from now on */
    EDGE_TELL_QUIC,      /* the same of a datagram socket */
    EDGE_TELL_REFUSE,    /* stop accepting from SOURCE_FD's duplicate: accept what waits and close it */
    EDGE_TELL_LET_GO,    /* connections end after their next answer; idle ones now */
    EDGE_TELL_KEEP,      /* not any more */
    EDGE_TELL_DRAIN,     /* accept what waits, close the listening sockets, end connections gracefully */
    EDGE_TELL_HAND_OVER, /* the same without accepting: another process has the sockets */
    EDGE_TELL_STOP,      /* end now */
};
struct edge_message {
    enum edge_message_kind kind;
    struct edge_snapshot *snapshot;
    int fd, source_fd;
    struct io_addr addr; /* of ACCEPT: as configured */
};

/* Starts the thread. It reports through edge_process_worker_ready, later edge_process_worker_done. */
sk_err edge_worker_start(struct edge_worker *worker);
/* Main thread. SK_ERR_NO_MEMORY. */
sk_err edge_worker_tell(struct edge_worker *worker, struct edge_message message);
/* Own thread: CONNECTION counts from now on, and not any more. */
void edge_connection_add(struct edge_worker *worker, struct edge_connection *connection,
                         const struct edge_connection_ops *ops);
void edge_connection_remove(struct edge_worker *worker, struct edge_connection *connection);
/* Own thread: what the thread's TLS connections share. NULL: out of memory. */
struct edge_tls_room *edge_worker_tls_room(struct edge_worker *worker);
/* Own thread: something ended; a draining worker looks whether it may stop. */
void edge_worker_check_drained(struct edge_worker *worker);
/* Own thread: no further request than this one is wanted of a client. */
static inline bool edge_worker_lets_go(const struct edge_worker *worker) {
    return worker->lets_go || worker->stage != EDGE_RUNNING;
}
/* The Date field's value for now. */
sk_str edge_worker_date(struct edge_worker *worker);

#endif
