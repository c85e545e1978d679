/* From a configuration to what answers: made at the start, and again when the file, a site, a challenge or the date of
 * the signatures has changed. */
#include "route/process.h"

#include <stdio.h>

#include "base/log.h"
#include "route/alarm.h"
#include "route/builder.h"
#include "route/keep.h"
#include "route/notify.h"
#include "route/redirect.h"
#include "route/sites.h"
#include "route/watch.h"

/* --- making a plan ---------------------------------------------------------------------------------- */

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

/* What a plan of CONFIG would be made of now; the caller lets go of input->measured. */
static sk_err plan_input(struct route_process *process, struct route_config *config,
                         const struct sites *sites, struct route_plan_input *out_input) {
    enum { EXPLORE_S = 10 };
    *out_input = (struct route_plan_input){.config = config,
                                           .sites = sites->items,
                                           .previous = process->plan,
                                           .kept = process->kept,
                                           .stay = process->settle_until > 0,
                                           .version = ++process->version,
                                           .explore_round = (uint64_t)sk_wall_now_s() / EXPLORE_S,
                                           .memo = process->memo};
    process->table_at = sk_time_now();
    process->learned = false;
    return measure_set_create(process->measure, sites->items, sites->count, config->geo, process->table_at,
                              &out_input->measured);
}

static sk_err plan_of(struct route_process *process, struct route_config *config, const struct sites *sites,
                      struct route_plan **out_plan) {
    struct route_plan_input input;
    sk_err err = plan_input(process, config, sites, &input);
    if (err) return err;
    err = route_plan_create(&input, out_plan);
    measure_set_unref(input.measured);
    return err;
}

static sk_err make_config(struct route_process *process, struct config_route *config,
                          struct route_config **out_made) {
    struct sk_buf problems;
    sk_buf_init(&problems, 64 * 1024);
    struct route_config_input input = {.config = config,
                                       .secrets = &process->secrets,
                                       .challenges = &process->challenges,
                                       .now = sk_wall_now_s(),
                                       /* A router that served before starts again in any case. */
                                       .without_places = !process->plan && keep_is_there(config),
                                       .problems = &problems};
    sk_err err = route_config_create(&input, out_made);
    tell_problems(sk_buf_str(&problems), !process->plan);
    sk_buf_free(&problems);
    return err;
}

/* What lies over the zones of MADE. A challenge that these cannot do without comes in by the next load. */
static sk_err overlay_of(struct route_process *process, const struct route_config *made) {
    struct overlay *overlay = NULL;
    sk_err err = overlay_create(made->zones, &process->challenges, &overlay);
    process->reload_due = err == SK_ERR_UNSUPPORTED;
    if (err && err != SK_ERR_UNSUPPORTED) return err;
    if (err) return SK_OK; /* what is in force stays */
    overlay_unref(process->overlay);
    process->overlay = overlay;
    return SK_OK;
}

sk_err route_process_plan(struct route_process *process, struct config_route *config,
                          struct route_plan **out_plan) {
    struct route_config *made;
    sk_err err = make_config(process, config, &made);
    if (err) config_route_free(config);
    if (err) return err;
    route_alarm_set(process, ROUTE_ALARM_PLACES, made->is_lost);
    if (!process->plan) keep_load(process, made);
    process->signed_at = sk_wall_now_s();
    struct sites *sites = NULL;
    struct route_plan *plan = NULL;
    err = sites_create(made, process->sites, &sites);
    if (!err) err = plan_of(process, made, sites, &plan);
    if (!err) err = overlay_of(process, made);
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

/* --- putting it in force ---------------------------------------------------------------------------- */

/* Takes over the reference to PLAN. */
static void use_plan(struct route_process *process, struct route_plan *plan) {
    struct route_plan *old = process->plan;
    route_plan_overlay(plan, process->overlay); /* it may have changed while the plan was made */
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

void route_process_replan(struct route_process *process) {
    struct route_plan_input input;
    if (builder_runs(process->builder)) {
        process->replan_again = true;
        return;
    }
    process->replan_again = false;
    sk_err err = plan_input(process, process->plan->config, process->sites, &input);
    if (!err) {
        err = builder_start(process->builder, &input);
        measure_set_unref(input.measured);
    }
    if (err) sk_log(SK_LOG_ERROR, "route", "the table before stays in force: %s", sk_err_text(err));
}

sk_err route_process_challenges(struct route_process *process) {
    struct route_plan *plan;
    if (process->challenges.zones_differ) return route_process_reload(process);
    sk_err err = overlay_of(process, process->plan->config);
    if (!err && process->reload_due) return route_process_reload(process);
    if (!err) err = route_plan_overlaid(process->plan, process->overlay, &plan);
    if (!err) use_plan(process, plan);
    return err;
}

void route_process_built(void *arg, sk_err err, struct route_plan *plan) {
    struct route_process *process = arg;
    if (err)
        sk_log(SK_LOG_ERROR, "route", "the table before stays in force: %s", sk_err_text(err));
    else
        use_plan(process, plan);
    if (process->replan_again) watch_changed(process);
}

/* --- the configuration again ------------------------------------------------------------------------ */

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

/* Also the same file is opened again: it may have been rotated. */
static void use_query_log(struct route_process *process, const struct config_route *config) {
    sk_err err = access_log_change(
        process->query_log, config->query_log.path.len ? config->query_log.path.data : NULL, ACCESS_LOG_JSON);
    if (err)
        sk_log(SK_LOG_ERROR, "route", "query_log %.*s: %s; the one before stays in use",
               SK_STR_ARGS(config->query_log.path), sk_err_text(err));
}

sk_err route_process_reload(struct route_process *process) {
    struct config_route *config;
    struct route_plan *plan;
    builder_cancel(process->builder); /* what it makes would be of the old configuration */
    sk_err err = load_again(process, &config);
    if (!err && !same_listeners(config, process->plan->config->config))
        sk_log(SK_LOG_WARN, "route", "listen has changed: this needs a restart");
    if (!err) err = route_process_plan(process, config, &plan);
    if (!err && process->reload_due) { /* once more, with challenges that belong into the zones */
        route_plan_unref(plan);
        err = load_again(process, &config);
        if (!err) err = route_process_plan(process, config, &plan);
    }
    observe_count(process->metrics, err ? OBSERVE_RELOADS_REFUSED : OBSERVE_RELOADS);
    route_alarm_set(process, ROUTE_ALARM_CONFIG, err != SK_OK);
    if (err) {
        sk_log(SK_LOG_ERROR, "route", "not reloaded (%s): what was loaded before stays in force",
               sk_err_text(err));
        watch_changed(process); /* for the table that was cancelled */
        return err;
    }
    process->challenges.zones_differ = false;
    const struct config_route *in_force = plan->config->config;
    sk_log_set_level((enum sk_log_level)in_force->log_level);
    use_query_log(process, in_force);
    use_plan(process, plan);
    watch_look(process);
    sk_log(SK_LOG_INFO, "route", "reloaded: %u zones", plan->config->config->zone_count);
    return SK_OK;
}

/* Signatures are made anew each day, and keys change with them. Those from a time that has not come yet hold for nobody
 * whose clock is right. */
void route_process_sign(struct route_process *process) {
    enum { DAY_S = 86400 };
    int64_t age_s = sk_wall_now_s() - process->signed_at;
    if (!process->plan->config->is_signed || (age_s >= 0 && age_s < DAY_S)) return;
    route_alarm_set(process, ROUTE_ALARM_SIGNATURES, route_process_reload(process) != SK_OK);
}
