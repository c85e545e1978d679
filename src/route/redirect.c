#include "route/redirect.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "fleet/admin_server.h"
#include "observe/metrics.h"
#include "route/explain.h"
#include "route/target.h"
#include "route/upgrade.h"

struct redirect {
    /* set once at start */
    struct io_loop *loop;
    struct observe_thread *metrics;
    pthread_t thread;
    bool running;
    unsigned count;
    struct fleet_admin_server **servers;
    struct io_addr *addrs; /* as configured */
    struct io_task hand_over;
    /* own thread */
    struct route_plan *plan; /* a reference */
};

/* --- answers ---------------------------------------------------------------------------------------- */

static sk_err answer_route(void *role, struct fleet_admin_request *request,
                           struct fleet_admin_answer *answer) {
    const struct redirect *redirect = role;
    return route_explain(redirect->plan, request->http.query, answer);
}

/* For who announces or balances several routers: true while there is somewhere to send clients. */
static sk_err answer_health(void *role, struct fleet_admin_request *request,
                            struct fleet_admin_answer *answer) {
    const struct redirect *redirect = role;
    bool any = false;
    for (uint32_t i = 0; i < redirect->plan->config->config->site_count; i++)
        any |= redirect->plan->sites[i].decide.up && !redirect->plan->sites[i].decide.draining;
    return fleet_admin_say(answer, any ? 200 : 503, any ? "ok" : "all sites look dead");
}

static sk_err answer_redirect(void *role, struct fleet_admin_request *request,
                              struct fleet_admin_answer *answer) {
    const struct redirect *redirect = role;
    const struct config_route_http *config = &redirect->plan->config->config->http;
    const struct http_request *http = &request->http;
    struct target target;
    uint8_t ip[16];
    if (!io_addr_ip16(&request->peer, ip)) memset(ip, 0, sizeof ip);
    if (!http->path.len || http->path.data[0] != '/') return fleet_admin_say(answer, 400, "expected a path");
    if (!target_choose(redirect->plan, ip, http->path, &target))
        return fleet_admin_say(answer, 503, "there are no sites");
    const char *scheme = config->scheme == CONFIG_ROUTE_SCHEME_HTTPS ? "https" : "http";
    bool safe = http->method == HTTP_METHOD_GET || http->method == HTTP_METHOD_HEAD;
    answer->location =
        sk_arena_printf(&request->arena, "%s://%s%.*s%s%.*s", scheme, target.host, SK_STR_ARGS(http->path),
                        http->query.data ? "?" : "", SK_STR_ARGS(http->query));
    if (!answer->location.data) return SK_ERR_NO_MEMORY;
    observe_count(redirect->metrics, OBSERVE_ROUTE_REDIRECTS);
    return fleet_admin_say(answer, safe && config->status == 0 ? 302 : 307, "the best place for this client");
}

static const struct fleet_admin_endpoint endpoints[] = {
    {HTTP_METHOD_GET, SK_STR_INIT("/route"), answer_route, "the decision for a client: JSON"},
    {HTTP_METHOD_GET, SK_STR_INIT("/.well-known/skerry/health"), answer_health, "whether there are sites"},
};

/* --- life ------------------------------------------------------------------------------------------- */

static sk_err listen_all(struct redirect *redirect, const struct config_route_http *config) {
    for (uint32_t i = 0; i < config->listener_count; i++) {
        char text[IO_ADDR_TEXT_BYTES];
        struct fleet_admin_options options = {
            .role_name = "route",
            .where = {text, io_addr_format(&config->listeners[i], text)},
            .inherited_fd = route_upgrade_take_http(&config->listeners[i]),
            .endpoints = endpoints,
            .endpoint_count = SK_COUNT(endpoints),
            .role = redirect,
            .fallback = answer_redirect,
            .connections_max = config->connections,
        };
        sk_err err = fleet_admin_start(redirect->loop, &options, &redirect->servers[i]);
        if (err) return err;
        redirect->addrs[i] = config->listeners[i];
        redirect->count++;
    }
    return SK_OK;
}

sk_err redirect_create(struct route_plan *plan, struct redirect **out_redirect) {
    const struct config_route_http *config = &plan->config->config->http;
    *out_redirect = NULL;
    if (!config->listener_count) return SK_OK;
    struct redirect *redirect = calloc(1, sizeof *redirect);
    if (!redirect) return SK_ERR_NO_MEMORY;
    redirect->plan = route_plan_ref(plan);
    redirect->servers = calloc(config->listener_count, sizeof *redirect->servers);
    redirect->addrs = calloc(config->listener_count, sizeof *redirect->addrs);
    sk_err err =
        redirect->servers && redirect->addrs ? io_loop_create("redirect", &redirect->loop) : SK_ERR_NO_MEMORY;
    if (!err) err = observe_thread_join(&redirect->metrics);
    if (!err) err = listen_all(redirect, config);
    if (err)
        redirect_stop(redirect);
    else
        *out_redirect = redirect;
    return err;
}

static void *run(void *arg) {
    struct redirect *redirect = arg;
    io_loop_run(redirect->loop);
    return NULL;
}

sk_err redirect_start(struct redirect *redirect) {
    if (!redirect) return SK_OK;
    if (pthread_create(&redirect->thread, NULL, run, redirect) != 0) return SK_ERR_NO_MEMORY;
    redirect->running = true;
    return SK_OK;
}

struct change {
    struct io_task task;
    struct redirect *redirect;
    struct route_plan *plan;
};

static void on_change(struct io_task *task) {
    struct change *change = SK_CONTAINER_OF(task, struct change, task);
    route_plan_unref(change->redirect->plan);
    change->redirect->plan = change->plan;
    free(change);
}

sk_err redirect_use(struct redirect *redirect, struct route_plan *plan) {
    if (!redirect) return SK_OK;
    struct change *change = calloc(1, sizeof *change);
    if (!change) return SK_ERR_NO_MEMORY;
    *change = (struct change){.task.run = on_change, .redirect = redirect, .plan = route_plan_ref(plan)};
    io_loop_post(redirect->loop, &change->task);
    return SK_OK;
}

sk_err redirect_package(const struct redirect *redirect, struct io_upgrade_package *package) {
    sk_err err = SK_OK;
    for (unsigned i = 0; redirect && !err && i < redirect->count; i++) {
        char text[5 + IO_ADDR_TEXT_BYTES] = "http:";
        size_t bytes = 5 + io_addr_format(&redirect->addrs[i], text + 5);
        int fd = fleet_admin_fd(redirect->servers[i]);
        err = io_upgrade_package_add(package, sk_str_make(text, bytes), &fd, 1);
    }
    return err;
}

static void on_hand_over(struct io_task *task) {
    struct redirect *redirect = SK_CONTAINER_OF(task, struct redirect, hand_over);
    for (unsigned i = 0; i < redirect->count; i++) fleet_admin_hand_over(redirect->servers[i]);
}

void redirect_hand_over(struct redirect *redirect) {
    if (!redirect) return;
    redirect->hand_over.run = on_hand_over;
    io_loop_post(redirect->loop, &redirect->hand_over);
}

void redirect_stop(struct redirect *redirect) {
    if (!redirect) return;
    if (redirect->running) {
        io_loop_stop(redirect->loop);
        pthread_join(redirect->thread, NULL);
    }
    for (unsigned i = 0; i < redirect->count; i++) fleet_admin_stop(redirect->servers[i]);
    if (redirect->loop) io_loop_destroy(redirect->loop);
    free(redirect->servers);
    free(redirect->addrs);
    route_plan_unref(redirect->plan);
    free(redirect);
}
