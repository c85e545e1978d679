#include "route/explain.h"

#include <math.h>
#include <stdlib.h>

#include "fleet/admin_json.h"
#include "http/query.h"
#include "http/uri.h"
#include "route/answer_private.h"
#include "route/target.h"

enum { TEXT_MAX = 2048 };

struct question {
    uint8_t ip[16];
    char client[IO_ADDR_TEXT_BYTES];
    char text[TEXT_MAX]; /* decoded; NAME and TARGET point into it */
    sk_str name, target; /* TARGET empty: no URL was given */
    bool has_client;
};

/* --- the question ----------------------------------------------------------------------------------- */

static sk_err take_client(sk_str value, struct question *question) {
    struct io_prefix prefix;
    char text[IO_ADDR_TEXT_BYTES];
    if (value.len >= sizeof text) return SK_ERR_MALFORMED;
    sk_str decoded = {text, http_form_decode(value, text)};
    if (io_prefix_parse(decoded, &prefix) || prefix.bits != 128) return SK_ERR_MALFORMED;
    memcpy(question->ip, prefix.ip, 16);
    memcpy(question->client, text, decoded.len);
    question->client[decoded.len] = 0;
    question->has_client = true;
    return SK_OK;
}

static sk_err take_text(sk_str value, bool url, struct question *question) {
    struct http_uri uri;
    if (value.len >= TEXT_MAX) return SK_ERR_MALFORMED;
    sk_str text = {question->text, http_form_decode(value, question->text)};
    question->name = text;
    if (!url) return SK_OK;
    if (http_uri_parse_absolute(text, &uri)) return SK_ERR_MALFORMED;
    uint16_t port;
    if (http_authority_parse(uri.authority, &question->name, &port)) return SK_ERR_MALFORMED;
    question->target =
        sk_str_slice(text, (size_t)(uri.authority.data + uri.authority.len - text.data), text.len);
    return SK_OK;
}

static sk_err read_question(sk_str query, struct question *out) {
    sk_str pair;
    sk_err err = SK_OK;
    *out = (struct question){0};
    while (!err && sk_str_cut(&query, '&', &pair)) {
        size_t equals = sk_str_find_byte(pair, '=');
        sk_str key = sk_str_slice(pair, 0, equals), value = sk_str_slice(pair, equals + 1, pair.len);
        if (sk_str_eq(key, SK_STR("client")))
            err = take_client(value, out);
        else if (sk_str_eq(key, SK_STR("name")) || sk_str_eq(key, SK_STR("url")))
            err = take_text(value, key.data[0] == 'u', out);
        else
            err = SK_ERR_MALFORMED;
    }
    return !err && !out->has_client ? SK_ERR_MALFORMED : err;
}

/* --- the answer ------------------------------------------------------------------------------------- */

static void add_number(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, double value) {
    if (isnan(value))
        yyjson_mut_obj_add_null(doc, object, key);
    else
        yyjson_mut_obj_add_real(doc, object, key, round(value * 1e6) / 1e6);
}

static void add_place(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct geo_place *place) {
    yyjson_mut_val *json = yyjson_mut_obj_add_obj(doc, root, "place");
    yyjson_mut_obj_add_strcpy(doc, json, "country", place->country);
    yyjson_mut_obj_add_strcpy(doc, json, "continent", place->continent);
    yyjson_mut_obj_add_uint(doc, json, "as_number", place->as_number);
    add_number(doc, json, "latitude", place->latitude);
    add_number(doc, json, "longitude", place->longitude);
}

static void add_scores(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct route_plan *plan,
                       const struct decide_score *scores) {
    yyjson_mut_val *all = yyjson_mut_obj_add_arr(doc, root, "sites");
    for (uint32_t i = 0; i < plan->config->config->site_count; i++) {
        const struct decide_score *score = &scores[i];
        const struct decide_site *site = &plan->sites[score->site].decide;
        yyjson_mut_val *json = yyjson_mut_arr_add_obj(doc, all);
        fleet_json_add(doc, json, "name", site->name);
        yyjson_mut_obj_add_bool(doc, json, "up", site->up);
        yyjson_mut_obj_add_bool(doc, json, "draining", site->draining);
        add_number(doc, json, "total", score->total);
        add_number(doc, json, "proximity_term", score->proximity);
        add_number(doc, json, "load_term", score->load);
        add_number(doc, json, "hit_ratio_term", score->hit_ratio);
        add_number(doc, json, "cost_term", score->cost);
        add_number(doc, json, "distance_km", score->distance_km);
        add_number(doc, json, "rtt_ms", score->rtt_ms);
        add_number(doc, json, "load", site->load);
        add_number(doc, json, "hit_ratio", site->hit_ratio);
        add_number(doc, json, "shed", score->shed);
    }
}

static bool is_below_wildcard(const struct dns_name *name, const struct dns_name *wild) {
    struct dns_name parent = {0};
    if (wild->length < 3 || wild->wire[0] != 1 || wild->wire[1] != '*') return false;
    parent.length = wild->length - 2;
    parent.labels = wild->labels - 1;
    memcpy(parent.wire, wild->wire + 2, parent.length);
    return dns_name_in(name, &parent) && !dns_name_eq(name, &parent);
}

/* Whether NAME is answered from the table: a routed name itself, or one below a routed wildcard. */
static const struct answer_routed *routed_of(const struct route_plan *plan, sk_str text) {
    const struct answer_zones *zones = answer_snapshot_zones(plan->snapshot);
    const struct answer_routed *found = NULL;
    struct dns_name name;
    if (!text.len || dns_name_parse(text, NULL, &name)) return NULL;
    for (size_t i = 0; i < zones->routed_count && !found; i++)
        if (dns_name_eq(&zones->routed[i].name, &name)) found = &zones->routed[i];
    for (size_t i = 0; i < zones->routed_count && !found; i++)
        if (is_below_wildcard(&name, &zones->routed[i].name)) found = &zones->routed[i];
    return found;
}

static void add_record(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct dns_rdata *rdata) {
    struct io_addr addr;
    char text[IO_ADDR_TEXT_BYTES];
    if (io_addr_from_ip(rdata->data, rdata->bytes, 0, &addr)) return;
    yyjson_mut_arr_append(list, fleet_json_text(doc, (sk_str){text, io_addr_format_ip(&addr, text)}));
}

static void add_addresses(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct route_plan *plan,
                          const struct answer_routed *routed, uint32_t list) {
    yyjson_mut_val *json = yyjson_mut_obj_add_arr(doc, root, "addresses");
    size_t index = (size_t)(routed - answer_snapshot_zones(plan->snapshot)->routed);
    for (enum answer_routed_type type = ROUTED_A; type <= ROUTED_AAAA; type++) {
        const struct zone_rrset *rrset = answer_set_of(plan->snapshot, index, list, type)->rrset;
        for (uint16_t i = 0; rrset && i < rrset->count; i++) add_record(doc, json, &rrset->records[i]);
    }
}

static void add_answer(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct route_plan *plan,
                       const struct question *question) {
    const struct table *table = answer_snapshot_table(plan->snapshot);
    struct table_choice choice = table_find(table, question->ip);
    yyjson_mut_val *sites = yyjson_mut_obj_add_arr(doc, root, "answer");
    for (uint16_t i = 0; i < choice.answer->count; i++)
        yyjson_mut_arr_append(sites, fleet_json_text(doc, plan->sites[choice.answer->sites[i]].decide.name));
    yyjson_mut_obj_add_str(doc, root, "reason", decide_reason_name(choice.answer->reason));
    yyjson_mut_obj_add_str(doc, root, "why", decide_reason_text(choice.answer->reason));
    yyjson_mut_obj_add_uint(doc, root, "scope_bits", choice.scope_bits);
    yyjson_mut_obj_add_uint(doc, root, "table", table_version(table));
    const struct answer_routed *routed = routed_of(plan, question->name);
    if (question->name.len) yyjson_mut_obj_add_bool(doc, root, "routed", routed != NULL);
    if (routed) add_addresses(doc, root, plan, routed, choice.list);
}

static void add_redirect(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct route_plan *plan,
                         const struct question *question) {
    struct target target;
    sk_str path = question->target.len ? question->target : SK_STR("/");
    if (!question->target.data || !target_choose(plan, question->ip, path, &target)) return;
    const char *scheme = plan->config->config->http.scheme == CONFIG_ROUTE_SCHEME_HTTPS ? "https" : "http";
    struct sk_buf url;
    sk_buf_init(&url, 0);
    if (sk_buf_printf(&url, "%s://%s%.*s", scheme, target.host, SK_STR_ARGS(path)) == SK_OK)
        fleet_json_add(doc, root, "location", sk_buf_str(&url));
    sk_buf_free(&url);
}

static sk_err explain(const struct route_plan *plan, const struct question *question,
                      struct fleet_admin_answer *answer) {
    static const char *const levels[] = {"none", "network", "as_in_country", "country"};
    struct table_input input = route_plan_table_input(plan);
    struct decide_score *scores = calloc(input.site_count, sizeof *scores);
    struct table_explanation why;
    sk_err err = scores ? table_explain(&input, question->ip, scores, &why) : SK_ERR_NO_MEMORY;
    yyjson_mut_doc *doc = err ? NULL : yyjson_mut_doc_new(NULL);
    if (!doc) {
        free(scores);
        return SK_ERR_NO_MEMORY;
    }
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    fleet_json_add(doc, root, "client", sk_str_from_c(question->client));
    if (question->name.len) fleet_json_add(doc, root, "name", question->name);
    add_answer(doc, root, plan, question);
    add_redirect(doc, root, plan, question);
    add_place(doc, root, &why.place);
    yyjson_mut_obj_add_str(doc, root, "measured_by", levels[why.measurement ? why.rtt_level : 0]);
    yyjson_mut_obj_add_bool(doc, root, "override", why.override != NULL);
    add_scores(doc, root, plan, scores);
    free(scores);
    return fleet_json_answer(answer, doc);
}

sk_err route_explain(const struct route_plan *plan, sk_str query, struct fleet_admin_answer *answer) {
    struct question question;
    if (read_question(query, &question))
        return fleet_admin_say(answer, 400, "expected ?client=IP, and &name=NAME or &url=http://HOST/PATH");
    if (!answer_snapshot_table(plan->snapshot)) return fleet_admin_say(answer, 404, "there are no sites");
    return explain(plan, &question, answer);
}
