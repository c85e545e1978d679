#include "edge/purge.h"

#include "base/log.h"
#include "cache/search.h"
#include "edge/admin.h"

/* ---- applying ----------------------------------------------------------------------------------------------- */

static sk_err apply_one(struct cache *cache, struct observe_thread *metrics, const struct cache_purge *purge,
                        struct edge_purge_done *done) {
    sk_time_ns start = sk_time_now();
    sk_err err = cache_purge(cache, purge, &done->number);
    if (!err && purge->kind == CACHE_PURGE_KEY) err = cache_search_purge(cache, purge->text, purge->soft);
    if (err) return err;
    sk_time_ns took = sk_time_now() - start;
    observe_count(metrics, OBSERVE_PURGES_KEY + (unsigned)purge->kind);
    observe_duration(metrics, OBSERVE_PURGE_SECONDS, took);
    done->took_ns += took;
    return SK_OK;
}

/* A line a request: one with many purges says how many. */
static void tell(const struct edge_purge_list *list, const struct edge_purge_done *done, sk_str who) {
    const struct cache_purge *first = &list->items[0];
    const char *kind = fleet_purge_kind_key(first->kind), *how = first->soft ? "soft" : "hard";
    unsigned long long number = done->number;
    if (list->count == 1)
        sk_log(SK_LOG_INFO, "purge", "%llu by %.*s: %s %s%s%.*s%s%.*s%s%.*s", number, SK_STR_ARGS(who), how,
               kind, first->site.len ? ", site " : "", SK_STR_ARGS(first->site),
               first->host.len ? ", host " : "", SK_STR_ARGS(first->host), first->text.len ? ": " : "",
               SK_STR_ARGS(first->text));
    else
        sk_log(SK_LOG_INFO, "purge", "%llu by %.*s: %u purges, the first of them %s %s %.*s", number,
               SK_STR_ARGS(who), list->count, how, kind, SK_STR_ARGS(first->text));
}

sk_err edge_purge_apply(struct cache *cache, struct observe_thread *metrics,
                        const struct edge_purge_list *list, sk_str who, struct edge_purge_done *out_done) {
    struct edge_purge_done done = {0};
    sk_err err = SK_OK;
    for (uint32_t i = 0; i < list->count && !err; i++)
        err = apply_one(cache, metrics, &list->items[i], &done);
    if (list->count && !err) tell(list, &done, who);
    if (!err) *out_done = done;
    return err;
}

/* ---- answering ---------------------------------------------------------------------------------------------- */

sk_err edge_purge_write(const struct edge_purge_list *list, const struct edge_purge_done *done,
                        struct sk_buf *out) {
    bool one_kind = true, one_way = true;
    for (uint32_t i = 1; i < list->count; i++) {
        one_kind &= list->items[i].kind == list->items[0].kind;
        one_way &= list->items[i].soft == list->items[0].soft;
    }
    const char *soft = !one_way ? "null" : list->items[0].soft ? "true" : "false";
    return sk_buf_printf(
        out, "{\"purge\":%llu,\"purges\":%u,\"kind\":\"%s\",\"soft\":%s,\"applied_us\":%lld.%03lld}\n",
        (unsigned long long)done->number, list->count,
        one_kind ? fleet_purge_kind_key(list->items[0].kind) : "mixed", soft,
        (long long)(done->took_ns / SK_NS_PER_US), (long long)(done->took_ns % SK_NS_PER_US));
}

sk_err edge_admin_purge(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct edge_process *process = role;
    struct fleet_purge_problem problem;
    struct fleet_purge_request wanted = {0};
    struct edge_purge_list list = {0};
    struct edge_purge_done done;
    sk_err err = fleet_purge_parse(sk_buf_str(&request->content), &request->arena, &wanted, &problem);
    if (!err) err = edge_purge_resolve(process->snapshot->config, &wanted, &request->arena, &list, &problem);
    if (err == SK_ERR_INVALID) {
        observe_count(process->metrics, OBSERVE_PURGES_REFUSED);
        err = fleet_admin_say(answer, 400, problem.text);
    } else if (!err) {
        err = edge_purge_apply(process->cache, process->metrics, &list, SK_STR("admin"), &done);
        if (!err) err = edge_purge_write(&list, &done, &answer->body);
    }
    edge_purge_list_free(&list);
    fleet_purge_request_free(&wanted);
    return err;
}
