/* Purges of the whole fleet, by people. */
#include <stdlib.h>
#include <yyjson.h>

#include "control/erase.h"
#include "control/process.h"
#include "fleet/admin_json.h"
#include "fleet/publisher.h"

enum { PUBLISH_MS = 10000, WAIT_MOST_MS = 60000, END_MS = 1000 };

/* --- the publisher ------------------------------------------------------------------------------------------- */

static struct fleet_identity *identity_in_force(void *arg) {
    const struct control_process *process = arg;
    return fleet_identity_ref(process->identity);
}

static struct fleet_bus_keys keys_of(void *arg, sk_str edge) {
    const struct control_process *process = arg;
    return fleet_bus_keys_of(&process->bus_masters, edge);
}

sk_err control_purges_start(struct control_process *process, const struct fleet_valkey_where *where) {
    const struct fleet_publisher_options options = {
        .where = *where, .identity = identity_in_force, .keys = keys_of, .arg = process};
    return fleet_publisher_start(process->loop, &options, &process->publisher);
}

void control_purges_end(struct control_process *process) {
    if (process->publisher) fleet_publisher_end(process->publisher, sk_time_now() + END_MS * SK_NS_PER_MS);
}

/* --- one request --------------------------------------------------------------------------------------------- */

/* What a token of one site may purge names that site, or is narrowed to it; false: neither can be. */
static bool narrow(struct fleet_purge_request *request, sk_str site) {
    for (uint32_t i = 0; i < request->count; i++) {
        struct fleet_purge_wish *wish = &request->wishes[i];
        bool narrowed = wish->kind == CACHE_PURGE_TAG || wish->kind == CACHE_PURGE_GLOB;
        if (narrowed && !wish->site.len) wish->site = site;
        sk_str named = wish->kind == CACHE_PURGE_SITE ? wish->text : wish->site;
        if (!sk_str_eq(named, site)) return false;
    }
    return true;
}

/* How it went until the deadline. */
struct outcome {
    struct fleet_stragglers stragglers;
    struct control_erasure erasure; /* of one */
    sk_time_ns took_ns;
};

/* OUTCOME NULL: nobody waited. */
static sk_err describe(const struct fleet_purge_request *request, const struct fleet_receipt *receipt,
                       const struct outcome *outcome, struct fleet_admin_answer *answer) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_uint(doc, root, "epoch", receipt->mark.epoch);
    yyjson_mut_obj_add_uint(doc, root, "sequence", receipt->mark.sequence);
    yyjson_mut_obj_add_uint(doc, root, "purges", request->count);
    if (outcome) {
        const struct fleet_stragglers *stragglers = &outcome->stragglers;
        yyjson_mut_val *behind = yyjson_mut_obj_add_arr(doc, root, "behind");
        for (uint32_t i = 0; behind && i < stragglers->behind; i++)
            yyjson_mut_arr_append(behind, fleet_json_text(doc, stragglers->names[i]));
        yyjson_mut_obj_add_uint(doc, root, "living", stragglers->living);
        yyjson_mut_obj_add_real(doc, root, "applied_ms", (double)outcome->took_ns / (double)SK_NS_PER_MS);
        if (request->wishes[0].erase) control_erase_describe(doc, root, &outcome->erasure);
    }
    return doc && root ? fleet_json_answer(answer, doc) : SK_ERR_NO_MEMORY;
}

/* Everywhere by now; only what really is counts. */
static sk_err wait_everywhere(struct control_process *process, const struct fleet_receipt *receipt,
                              sk_time_ns deadline, struct sk_arena *arena, struct fleet_stragglers *out) {
    sk_err err = fleet_publisher_wait(process->publisher, receipt, deadline, arena, out);
    if (!err && out->living && !out->behind)
        observe_duration(process->metrics, OBSERVE_FLEET_PURGE_SECONDS,
                         sk_time_now() - (sk_time_ns)receipt->published_ns);
    return err;
}

struct watch {
    struct control_process *process;
    struct fleet_receipt receipt;
};

static void watch_on(void *arg) {
    struct watch watch = *(struct watch *)arg;
    struct fleet_stragglers stragglers;
    struct sk_arena arena;
    free(arg);
    sk_arena_init(&arena, 4096, 0);
    sk_time_ns deadline = sk_time_now() + WAIT_MOST_MS * SK_NS_PER_MS;
    (void)!wait_everywhere(watch.process, &watch.receipt, deadline, &arena, &stragglers);
    watch.process->watching = false;
    sk_arena_free(&arena);
}

/* For the figures alone; one at a time, so that many purges in a row do not ask of each. */
static void watch(struct control_process *process, const struct fleet_receipt *receipt) {
    struct watch *watch = process->watching ? NULL : malloc(sizeof *watch);
    if (!watch) return;
    *watch = (struct watch){process, *receipt};
    process->watching = true;
    if (io_fiber_spawn(process->loop, "purge-watch", watch_on, watch, NULL) == SK_OK) return;
    process->watching = false;
    free(watch);
}

static sk_err wait_and_describe(struct control_process *process, const struct fleet_purge_request *request,
                                const struct fleet_receipt *receipt, uint64_t wait_ms, struct sk_arena *arena,
                                struct fleet_admin_answer *answer) {
    struct outcome outcome = {0};
    if (!wait_ms) {
        watch(process, receipt);
        return describe(request, receipt, NULL, answer);
    }
    sk_time_ns begun = sk_time_now(), deadline = begun + (sk_time_ns)wait_ms * SK_NS_PER_MS;
    sk_err err = wait_everywhere(process, receipt, deadline, arena, &outcome.stragglers);
    outcome.took_ns = sk_time_now() - begun;
    if (!err && request->wishes[0].erase)
        err = control_erase_wait(process, receipt, deadline, arena, &outcome.erasure);
    return err ? err : describe(request, receipt, &outcome, answer);
}

static sk_err refuse(struct fleet_admin_answer *answer, sk_err err) {
    switch (err) {
    case SK_ERR_INVALID:
        return fleet_admin_say(answer, 400,
                               "a site is erased by a request of its own: found more in this one");
    case SK_ERR_TOO_LARGE: return fleet_admin_say(answer, 413, "one of the texts is over 8192 bytes");
    case SK_ERR_FULL:
        return fleet_admin_say(answer, 503, "too many purges wait for Valkey: none of these does");
    case SK_ERR_TIMEOUT:
        return fleet_admin_say(answer, 504,
                               "Valkey did not take them yet; they are sent when it can be reached");
    default: return err;
    }
}

static sk_err purge(struct control_process *process, struct fleet_admin_request *request,
                    struct fleet_purge_request *wanted, uint64_t wait_ms, struct fleet_admin_answer *answer) {
    const struct control_asker *asker = request->asker;
    struct fleet_receipt receipt;
    if (asker->site.len && !narrow(wanted, asker->site))
        return fleet_admin_say(answer, 403, "this token is for one site: purge by site, tag or glob");
    sk_err err =
        fleet_publish(process->publisher, wanted, sk_time_now() + PUBLISH_MS * SK_NS_PER_MS, &receipt);
    if (err) return refuse(answer, err);
    const char *deed = wanted->wishes[0].erase ? "erase" : "purge";
    control_record_deed(process, asker->name, deed, "%u, the first of them %s %.*s", wanted->count,
                        fleet_purge_kind_key(wanted->wishes[0].kind),
                        (int)SK_MIN(wanted->wishes[0].text.len, 200),
                        wanted->wishes[0].text.len ? wanted->wishes[0].text.data : "");
    return wait_and_describe(process, wanted, &receipt, wait_ms, &request->arena, answer);
}

sk_err control_api_purge(void *role, struct fleet_admin_request *request, struct fleet_admin_answer *answer) {
    struct fleet_purge_request wanted;
    struct fleet_purge_problem problem;
    sk_str wait = control_parameter(request, "wait_ms");
    uint64_t wait_ms = 0;
    if (wait.len && (sk_str_to_u64(wait, &wait_ms) || wait_ms > WAIT_MOST_MS))
        return fleet_admin_say(answer, 400, "wait_ms: expected at most 60000");
    sk_err err = fleet_purge_parse(sk_buf_str(&request->content), &request->arena, &wanted, &problem);
    if (err == SK_ERR_INVALID) return fleet_admin_say(answer, 400, problem.text);
    if (err) return err;
    err = purge(role, request, &wanted, wait_ms, answer);
    fleet_purge_request_free(&wanted);
    return err;
}
