#include "edge/explain.h"

#include "edge/exchange.h"
#include "edge/rules.h"
#include "edge/search.h"
#include "edge/selecting.h"

/* What comes from there is served fresh, or validated first (edge/tier.h). */
static void judge_on_disk(struct edge_verdict *verdict) {
    if (verdict->step == EDGE_STEP_ANSWER) verdict->reason = HTTP_REASON_HIT_DISK;
    if (verdict->step != EDGE_STEP_ANSWER_REFRESH) return;
    verdict->step = EDGE_STEP_VALIDATE;
    verdict->reason = HTTP_REASON_MISS_STALE;
}

static sk_err look(struct cache_thread *thread, struct sk_arena *arena,
                   struct edge_explanation *explanation) {
    struct edge_asked *asked = &explanation->asked;
    asked->request = explanation->request;
    asked->traits = edge_traits_of(&explanation->request->fields);
    asked->now = explanation->now;
    edge_request_control(asked->traits, asked->request, &asked->control);
    explanation->selecting = edge_selecting_of(arena, explanation->site, asked->request);
    sk_err err = cache_explain(thread, &explanation->key, explanation->selecting,
                               !asked->control.only_if_cached, arena, &explanation->cache);
    if (err) return err;
    explanation->verdict = edge_verdict_on(explanation->cache.object, &explanation->cache.finding, asked);
    if (explanation->cache.on_disk) judge_on_disk(&explanation->verdict);
    explanation->looked = true;
    return SK_OK;
}

sk_err edge_explain_look(struct cache_thread *thread, const struct config *config,
                         const struct http_request *request, sk_unix_s now, struct sk_arena *arena,
                         struct edge_explanation *out_explanation) {
    struct edge_explanation explanation = {
        .config = config,
        .request = request,
        .now = now,
        .site = edge_site_of(config, request),
        .detail = "",
    };
    explanation.refused = edge_refusal(config, explanation.site, request, &explanation.detail);
    if (!explanation.refused) {
        explanation.rule = edge_rule_of(explanation.site, request, arena);
        const struct config_rule *rule = edge_key_rule_of(explanation.site, explanation.rule, request, arena);
        sk_err err = edge_key_make(arena, explanation.site, rule, request, &explanation.key);
        if (err == SK_ERR_NO_MEMORY) return err;
        if (err && request->path.data[0] == '/') {
            explanation.refused = edge_key_refusal(err);
            explanation.detail = "the request's target cannot be used";
        }
        edge_search_key(thread, explanation.rule, request, arena, &explanation.key);
        explanation.pass = edge_pass_reason(explanation.rule, request, &explanation.key);
    }
    if (!explanation.refused && explanation.pass == HTTP_REASON_NONE) {
        sk_err err = look(thread, arena, &explanation);
        if (err) return err;
    }
    *out_explanation = explanation;
    return SK_OK;
}
