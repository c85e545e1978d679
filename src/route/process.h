/* The process of the router as its own parts see it; route.h is the outside. Main thread. */
#ifndef SK_ROUTE_PROCESS_H
#define SK_ROUTE_PROCESS_H

#include "route/route.h"
#include "route/sockets.h"
#include "route/udp.h"
#include "route/worker.h"

struct builder;
struct notify_service;
struct prober;
struct redirect;
struct sites;
struct route_gauges;
struct fleet_admin_server;
struct io_upgrade;

struct route_process {
    /* set once at start */
    const struct route_start *start;
    struct io_loop *loop;
    struct observe_thread *metrics;
    struct cookie_secrets secrets; /* made at start, for when the configuration names none */
    struct route_worker *workers;
    unsigned worker_count;
    unsigned running;       /* of them */
    struct udp_thread *udp; /* one for each UDP socket */
    unsigned udp_running;
    struct route_sockets sockets;
    struct route_inherited inherited; /* of the process before this one, until it is ready */
    struct notify_service *notify;
    struct builder *builder;
    bool replan_again;                /* something changed while a table was made */
    struct fleet_admin_server *admin; /* NULL: none */
    struct redirect *redirect;        /* NULL: none */
    /* main thread */
    struct route_plan *plan; /* in force, a reference */
    uint64_t version;        /* of the last table */
    struct dnssec_memo *memo;
    sk_unix_s signed_at;
    struct challenges challenges; /* of certificate authorities */
    struct overlay *overlay;      /* of those that are not in the zones; NULL: none */
    bool reload_due;              /* a challenge can be answered by its zone only */
    struct access_log *query_log;
    struct io_timer sign_timer;
    /* main thread; route/watch.h */
    struct sites *sites; /* of plan->config, as they are now */
    struct prober *prober;
    struct measure *measure;
    bool learned;        /* something that a new table would be made of */
    sk_time_ns table_at; /* when the table in force was made */
    struct route_gauges *gauges;
    struct io_timer settle_timer; /* runs when a new table is due */
    struct io_timer look_timer;
    uint32_t alarms; /* route/alarm.h */
    int64_t
        clock_offset_ns; /* from the monotonic to the wall clock, when it was looked at last; 0: not yet */
    sk_time_ns clock_calm, table_calm; /* when the last step, and a damaged table, are no alarm any more */
    /* main thread; route/keep.h */
    struct table *kept;      /* from the last run, until there is a plan */
    sk_time_ns settle_until; /* nobody moves until then, or until all edges were checked; 0: all may */
    sk_time_ns keep_at;      /* no earlier again */
    uint64_t kept_version;   /* of the table on disk */
    bool stopping;
    /* main thread; route/upgrade.h */
    struct io_upgrade *upgrade; /* NULL: none is running */
    bool handed_over;           /* another process answers */
    struct io_timer leave_timer;
};

void route_process_stop(struct route_process *process);

/* --- process_plan.c --------------------------------------------------------------------------------- */

/* The plan of CONFIG, which is taken in every case, with the sites as they are now. Errors are logged: SK_ERR_NO_MEMORY,
 * and those of what CONFIG names. */
sk_err route_process_plan(struct route_process *process, struct config_route *config,
                          struct route_plan **out_plan);
/* Of the builder: puts PLAN in force, or says why there is none. ARG is the process. */
void route_process_built(void *arg, sk_err err, struct route_plan *plan);
/* Makes a plan of the configuration in force with a new table, beside this thread, and then puts it in force: after a site's
 * state has changed. */
void route_process_replan(struct route_process *process);
/* Reads the configuration again. What is wrong is logged, and the old one stays. */
sk_err route_process_reload(struct route_process *process);
/* The challenges have changed: answers them from now on. Errors as of a reload, which some need. */
sk_err route_process_challenges(struct route_process *process);
/* Makes signatures anew where it is time. */
void route_process_sign(struct route_process *process);

#endif
