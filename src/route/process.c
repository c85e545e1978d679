#include "route/process.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "config/value.h"
#include "route/admin.h"
#include "route/alarm.h"
#include "route/keep.h"
#include "route/notify.h"
#include "route/prober.h"
#include "route/redirect.h"
#include "route/sites.h"
#include "route/watch.h"

enum { SIGNATURES_KEPT = 65536 }; /* of routed names */

/* --- configuration ---------------------------------------------------------------------------------- */

/* Each line of the problems as one line of the log, or as they are on stderr at the start. */
static void tell_problems(sk_str problems, bool at_start) {
    sk_str line;
    if (at_start) {
        fprintf(stderr, "%.*s", SK_STR_ARGS(problems));
        return;
    }
    while (sk_str_cut(&problems, '\n', &line))
        if (line.len) sk_log(SK_LOG_ERROR, "route", "%.*s", SK_STR_ARGS(line));
}

static sk_err plan_of(struct route_process *process, struct route_config *config, const struct sites *sites,
                      struct route_plan **out_plan) {
    enum { EXPLORE_S = 10 };
    struct route_plan_input input = {.config = config,
                                     .sites = sites->items,
                                     .previous = process->plan,
                                     .kept = process->kept,
                                     .stay = process->settle_until > 0,
                                     .version = ++process->version,
                                     .explore_round = (uint64_t)sk_wall_now_s() / EXPLORE_S,
                                     .memo = process->memo};
    process->table_at = sk_time_now();
    process->learned = false;
    sk_err err = measure_set_create(process->measure, sites->items, sites->count, config->geo,
                                    process->table_at, &input.measured);
    if (err) return err;
    err = route_plan_create(&input, out_plan);
    measure_set_unref(input.measured);
    return err;
}

/* Takes CONFIG in every case. */
static sk_err make_plan(struct route_process *process, struct config_route *config,
                        struct route_plan **out_plan) {
    struct sk_buf problems;
    struct route_config *made;
    sk_buf_init(&problems, 64 * 1024);
    struct route_config_input input = {.config = config,
                                       .secrets = &process->secrets,
                                       .challenges = &process->challenges,
                                       .now = sk_wall_now_s(),
                                       /* A router that served before starts again in any case. */
                                       .without_places = !process->plan && keep_is_there(config),
                                       .problems = &problems};
    sk_err err = route_config_create(&input, &made);
    tell_problems(sk_buf_str(&problems), !process->plan);
    if (err) config_route_free(config);
    sk_buf_free(&problems);
    if (err) return err;
    route_alarm_set(process, ROUTE_ALARM_PLACES, made->is_lost);
    if (!process->plan) keep_load(process, made);
    process->signed_at = sk_wall_now_s();
    struct sites *sites = NULL;
    struct route_plan *plan = NULL;
    err = sites_create(made, process->sites, &sites);
    if (!err) err = plan_of(process, made, sites, &plan);
    if (!err) err = watch_use(process, sites, made->config);
    route_config_unref(made); /* the plan has its own reference */
    if (err) {
        sites_free(sites);
        route_plan_unref(plan);
        return err;
    }
    *out_plan = plan;
    return SK_OK;
}

/* Takes over the reference to PLAN. */
static void use_plan(struct route_process *process, struct route_plan *plan) {
    struct route_plan *old = process->plan;
    process->plan = plan;
    for (unsigned i = 0; i < process->udp_running; i++) udp_thread_use(&process->udp[i], plan);
    for (unsigned i = 0; i < process->running; i++)
        if (route_worker_use(&process->workers[i], plan))
            sk_log(SK_LOG_ERROR, "route", "a thread goes on with the old data: out of memory");
    if (redirect_use(process->redirect, plan))
        sk_log(SK_LOG_ERROR, "route", "redirects go on with the old data: out of memory");
    notify_changes(process->notify, old, plan);
    route_plan_unref(old);
    keep_save(process, false);
}

sk_err route_process_replan(struct route_process *process) {
    struct route_plan *plan;
    sk_err err = plan_of(process, process->plan->config, process->sites, &plan);
    if (!err) use_plan(process, plan);
    return err;
}

static sk_err load_again(const struct route_process *process, struct config_route **out_config) {
    struct config_problems problems;
    struct config_route *config;
    sk_str path = process->plan->config->config->path;
    config_problems_init(&problems);
    sk_err err =
        path.len ? config_route_load_file(path.data, &config, &problems) : config_route_empty(&config);
    if (!err) {
        err = config_route_apply_arguments(config, process->start->arguments, &problems);
        if (err) config_route_free(config);
    }
    if (err) tell_problems(sk_buf_str(&problems.text), false);
    config_problems_free(&problems);
    if (!err) *out_config = config;
    return err;
}

static bool same_listeners(const struct config_route *a, const struct config_route *b) {
    if (a->listener_count != b->listener_count) return false;
    for (uint32_t i = 0; i < a->listener_count; i++)
        if (!io_addr_eq(&a->listeners[i], &b->listeners[i]) ||
            io_addr_port(&a->listeners[i]) != io_addr_port(&b->listeners[i]))
            return false;
    return true;
}

sk_err route_process_reload(struct route_process *process) {
    struct config_route *config;
    struct route_plan *plan;
    sk_err err = load_again(process, &config);
    if (!err && !same_listeners(config, process->plan->config->config))
        sk_log(SK_LOG_WARN, "route", "listen has changed: this needs a restart");
    if (!err) err = make_plan(process, config, &plan);
    observe_count(process->metrics, err ? OBSERVE_RELOADS_REFUSED : OBSERVE_RELOADS);
    route_alarm_set(process, ROUTE_ALARM_CONFIG, err != SK_OK);
    if (err) {
        sk_log(SK_LOG_ERROR, "route", "not reloaded (%s): what was loaded before stays in force",
               sk_err_text(err));
        return err;
    }
    sk_log_set_level((enum sk_log_level)plan->config->config->log_level);
    use_plan(process, plan);
    watch_look(process);
    sk_log(SK_LOG_INFO, "route", "reloaded: %u zones", plan->config->config->zone_count);
    return SK_OK;
}

/* --- sockets ---------------------------------------------------------------------------------------- */

/* Both sockets of one address; port 0 gets the same port for both. */
static sk_err bind_pair(struct io_addr *addr, int *out_udp, int *out_tcp) {
    struct io_listen_options options = {.reuse_port = true};
    sk_err err = io_bind_datagram(addr, &options, out_udp);
    if (!err) err = io_socket_local_addr(*out_udp, addr);
    if (!err) err = io_listen(addr, &options, out_tcp);
    return err;
}

static sk_err bind_all(struct route_process *process, const struct config_route *config) {
    size_t count = (size_t)process->worker_count * config->listener_count;
    process->listener_count = config->listener_count;
    process->udp_fds = malloc(count * sizeof(int));
    process->tcp_fds = malloc(count * sizeof(int));
    struct io_addr *addrs = malloc(config->listener_count * sizeof *addrs);
    sk_err err = process->udp_fds && process->tcp_fds && addrs ? SK_OK : SK_ERR_NO_MEMORY;
    if (!err) memcpy(addrs, config->listeners, config->listener_count * sizeof *addrs);
    for (size_t i = 0; !err && i < count; i++) process->udp_fds[i] = process->tcp_fds[i] = -1;
    for (size_t i = 0; !err && i < count; i++) {
        char text[IO_ADDR_TEXT_BYTES];
        struct io_addr *addr = &addrs[i % config->listener_count];
        err = bind_pair(addr, &process->udp_fds[i], &process->tcp_fds[i]);
        io_addr_format(addr, text);
        if (err) sk_log(SK_LOG_ERROR, "route", "cannot listen on %s: %s", text, sk_err_text(err));
        if (!err && i < config->listener_count) sk_log(SK_LOG_INFO, "route", "answering on %s", text);
    }
    free(addrs);
    return err;
}

static void close_all(struct route_process *process) {
    bool opened = process->udp_fds && process->tcp_fds;
    for (size_t i = 0; opened && i < (size_t)process->worker_count * process->listener_count; i++) {
        if (process->udp_fds[i] >= 0) close(process->udp_fds[i]);
        if (process->tcp_fds[i] >= 0) close(process->tcp_fds[i]);
    }
    free(process->udp_fds);
    free(process->tcp_fds);
}

/* Becomes the configured user, when started as root; never gains privileges again in any case. */
static sk_err become_user(sk_str user) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (user.len == 0 || geteuid() != 0) return SK_OK;
    const struct passwd *entry = getpwnam(user.data);
    if (!entry) {
        sk_log(SK_LOG_ERROR, "route", "no such user: %s", user.data);
        return SK_ERR_NOT_FOUND;
    }
    if (initgroups(entry->pw_name, entry->pw_gid) || setgid(entry->pw_gid) || setuid(entry->pw_uid)) {
        sk_log(SK_LOG_ERROR, "route", "cannot become user %s", user.data);
        return SK_ERR_DENIED;
    }
    return SK_OK;
}

/* --- running ---------------------------------------------------------------------------------------- */

void route_process_stop(struct route_process *process) {
    if (process->stopping) return;
    process->stopping = true;
    sk_log(SK_LOG_INFO, "route", "stopping: what has been asked is answered");
    for (unsigned i = 0; i < process->udp_running; i++) udp_thread_stop(&process->udp[i]);
    for (unsigned i = 0; i < process->running; i++) route_worker_stop(&process->workers[i]);
    io_loop_stop(process->loop);
}

/* Signatures are made anew each day, and keys change with them. Those from a time that has not come yet hold for nobody
 * whose clock is right. */
void route_process_sign(struct route_process *process) {
    enum { DAY_S = 86400 };
    int64_t age_s = sk_wall_now_s() - process->signed_at;
    if (!process->plan->config->is_signed || (age_s >= 0 && age_s < DAY_S)) return;
    route_alarm_set(process, ROUTE_ALARM_SIGNATURES, route_process_reload(process) != SK_OK);
}

/* What failed is tried again each hour. */
static void on_sign_timer(struct io_timer *timer) {
    struct route_process *process = SK_CONTAINER_OF(timer, struct route_process, sign_timer);
    route_process_sign(process);
    io_timer_start(process->loop, timer, io_loop_now(process->loop) + 3600 * SK_NS_PER_S, on_sign_timer);
}

static void on_stop(int signo, void *arg) { route_process_stop(arg); }

static void on_reload(int signo, void *arg) { (void)!route_process_reload(arg); }

static sk_err watch_signals(struct route_process *process) {
    sk_err err = io_loop_on_signal(process->loop, SIGTERM, on_stop, process);
    if (!err) err = io_loop_on_signal(process->loop, SIGINT, on_stop, process);
    if (!err) err = io_loop_on_signal(process->loop, SIGHUP, on_reload, process);
    return err;
}

static sk_err start_udp(struct route_process *process) {
    size_t count = (size_t)process->worker_count * process->listener_count;
    if (!count) return SK_OK;
    process->udp = calloc(count, sizeof *process->udp);
    if (!process->udp) return SK_ERR_NO_MEMORY;
    for (unsigned i = 0; i < count; i++) {
        process->udp[i].index = i;
        sk_err err = udp_thread_start(&process->udp[i], process->udp_fds[i], process->plan);
        if (err) return err;
        process->udp_running++;
    }
    return SK_OK;
}

static sk_err start_workers(struct route_process *process) {
    for (unsigned i = 0; i < process->worker_count; i++) {
        process->workers[i].index = i;
        sk_err err =
            route_worker_start(&process->workers[i], process->tcp_fds + (size_t)i * process->listener_count,
                               process->listener_count, process->plan);
        if (err) return err;
        process->running++;
    }
    return start_udp(process);
}

static sk_err set_up(struct route_process *process, struct config_route *config) {
    sk_log_set_level((enum sk_log_level)config->log_level);
    process->worker_count = config->threads ? config->threads : config_machine_cores();
    process->workers = calloc(process->worker_count, sizeof *process->workers);
    sk_err err = process->workers ? io_loop_create("route", &process->loop) : SK_ERR_NO_MEMORY;
    if (!err) err = observe_thread_join(&process->metrics);
    if (!err) err = dnssec_memo_create(SIGNATURES_KEPT, &process->memo);
    if (!err) err = notify_create(process->loop, &process->notify);
    if (!err) err = watch_start(process);
    if (!err) err = watch_signals(process);
    return err;
}

static void tear_down(struct route_process *process) {
    for (unsigned i = 0; i < process->udp_running; i++) udp_thread_join(&process->udp[i]);
    for (unsigned i = 0; i < process->running; i++) route_worker_join(&process->workers[i]);
    redirect_stop(process->redirect);
    fleet_admin_stop(process->admin);
    notify_free(process->notify);
    watch_stop(process);
    if (process->loop) io_loop_destroy(process->loop);
    watch_free(process);
    route_plan_unref(process->plan);
    table_free(process->kept);
    dnssec_memo_free(process->memo);
    free(process->workers);
    free(process->udp);
}

/* From the loaded configuration to the end. */
static int run(struct route_process *process, struct config_route *config) {
    enum { FINE = 0, FAILED = 1, USAGE = 2 };
    struct route_plan *plan;
    sk_err err = make_plan(process, config, &plan);
    if (err) return err == SK_ERR_NO_MEMORY ? FAILED : USAGE;
    process->plan = plan;
    table_free(process->kept);
    process->kept = NULL;
    config = plan->config->config;
    err = bind_all(process, config);
    if (!err) err = route_admin_start(process);
    if (!err) err = redirect_create(plan, &process->redirect);
    if (!err) err = become_user(config->user);
    if (!err) keep_save(process, true);
    if (!err) err = redirect_start(process->redirect);
    if (!err) err = start_workers(process);
    if (err) {
        sk_log(SK_LOG_ERROR, "route", "not started: %s", sk_err_text(err));
        route_process_stop(process);
        return FAILED;
    }
    notify_changes(process->notify, NULL, plan);
    if (config->site_count && config->health.check == CONFIG_ROUTE_CHECK_NONE)
        sk_log(SK_LOG_WARN, "route", "health.check is none: a site that is dead stays in the answers");
    watch_look(process);
    io_timer_start(process->loop, &process->sign_timer, sk_time_now() + 3600 * SK_NS_PER_S, on_sign_timer);
    sk_log(SK_LOG_INFO, "route", "ready: %u zones, %u threads", config->zone_count, process->worker_count);
    io_loop_run(process->loop);
    keep_save(process, true);
    return FINE;
}

int route_main(struct config_route *config, const struct route_start *start) {
    struct route_process process = {.start = start};
    uint8_t hash_secret[SK_HASH_SECRET_BYTES];
    sk_random_secret(hash_secret, sizeof hash_secret);
    sk_hash_set_secret(hash_secret);
    sk_random_secret(process.secrets.current, sizeof process.secrets.current);
    io_signals_block();
    int code = 1;
    if (set_up(&process, config) == SK_OK)
        code = run(&process, config);
    else
        config_route_free(config);
    tear_down(&process);
    close_all(&process);
    return code;
}
