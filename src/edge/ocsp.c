#include "edge/ocsp.h"

#include <stdlib.h>

#include "base/log.h"
#include "edge/ocsp_private.h"
#include "fleet/admin_json.h"

/* Responders that are asked at a time. */
#define ASKING_MAX 4

static struct edge_ocsp_status *status_of(struct sk_list *link) {
    return SK_CONTAINER_OF(link, struct edge_ocsp_status, link);
}

static struct edge_ocsp_status *find(const struct edge_ocsp *ocsp,
                                     const struct wire_tls_certificate *certificate) {
    SK_LIST_FOR_EACH(link, (struct sk_list *)&ocsp->all)
    if (memcmp(status_of(link)->id, certificate->id, sizeof certificate->id) == 0) return status_of(link);
    return NULL;
}

/* --- the story ------------------------------------------------------------------------------------------ */

static void wake(struct edge_ocsp *ocsp) {
    if (ocsp->story) io_fiber_wake(ocsp->story);
}

static void look_whether_done(struct edge_ocsp *ocsp) {
    if (!edge_ocsp_busy(ocsp)) edge_process_look_whether_done(ocsp->process);
}

static void ask_one(void *arg) {
    struct edge_ocsp_status *status = arg;
    struct edge_ocsp *ocsp = status->all;
    status->asking = io_fiber_self();
    edge_ocsp_status_ask(status);
    status->asking = NULL;
    ocsp->asking--;
    if (!status->wanted) edge_ocsp_status_free(status);
    wake(ocsp);
    look_whether_done(ocsp);
}

/* Asks what is due, as far as there is room; when the next thing is. */
static sk_unix_s attend_all(struct edge_ocsp *ocsp) {
    sk_unix_s now = sk_wall_now_s(), next = now + 3600; /* the wall clock may step */
    SK_LIST_FOR_EACH(link, &ocsp->all) {
        struct edge_ocsp_status *status = status_of(link);
        edge_ocsp_status_expire(status, now);
        if (!status->wanted || status->asking) continue;
        if (sk_buf_len(&status->response)) next = SK_MIN(next, status->answer.next_update);
        if (status->next > now) {
            next = SK_MIN(next, status->next);
        } else if (ocsp->asking < ASKING_MAX) {
            ocsp->asking++;
            if (io_fiber_spawn(ocsp->process->loop, "ocsp question", ask_one, status, NULL) == SK_OK)
                continue;
            ocsp->asking--;
            next = now + 1;
        }
    }
    return next;
}

static void run_story(void *arg) {
    struct edge_ocsp *ocsp = arg;
    ocsp->story = io_fiber_self();
    io_fiber_yield(); /* the edge is to serve first */
    while (!ocsp->stopping) {
        sk_unix_s next = attend_all(ocsp), now = sk_wall_now_s();
        (void)io_fiber_park(sk_time_now() + SK_MAX(next - now, 1) * SK_NS_PER_S);
    }
    ocsp->story = NULL;
    look_whether_done(ocsp);
}

/* --- what is in force ----------------------------------------------------------------------------------- */

static void drop_unwanted(struct edge_ocsp *ocsp) {
    SK_LIST_FOR_EACH(link, &ocsp->all) {
        struct edge_ocsp_status *status = status_of(link);
        if (!status->wanted && !status->asking) edge_ocsp_status_free(status);
    }
}

static void want(struct edge_ocsp *ocsp, uint32_t index) {
    const struct wire_tls_certificate *certificate = wire_tls_store_at(ocsp->store, index);
    if (!certificate->wants_status) return;
    struct edge_ocsp_status *status = find(ocsp, certificate);
    if (!status) status = edge_ocsp_status_create(ocsp, index);
    if (!status || status->wanted) return;
    status->wanted = true;
    edge_ocsp_status_show(status);
}

void edge_ocsp_use(struct edge_ocsp *ocsp, struct wire_tls_store *store) {
    if (!ocsp) return;
    wire_tls_store_unref(ocsp->store);
    ocsp->store = store ? wire_tls_store_ref(store) : NULL;
    SK_LIST_FOR_EACH(link, &ocsp->all) status_of(link)->wanted = false;
    for (uint32_t i = 0; store && i < wire_tls_store_count(store); i++) want(ocsp, i);
    drop_unwanted(ocsp);
    wake(ocsp);
}

uint32_t edge_ocsp_retry(struct edge_ocsp *ocsp) {
    uint32_t n = 0;
    if (!ocsp) return 0;
    SK_LIST_FOR_EACH(link, &ocsp->all) {
        struct edge_ocsp_status *status = status_of(link);
        if (!status->failures || status->asking) continue;
        status->next = 0;
        n++;
    }
    wake(ocsp);
    return n;
}

/* --- life ----------------------------------------------------------------------------------------------- */

sk_err edge_ocsp_start(struct edge_process *process, struct edge_ocsp **out_ocsp) {
    struct edge_ocsp *ocsp = calloc(1, sizeof *ocsp);
    if (!ocsp) return SK_ERR_NO_MEMORY;
    ocsp->process = process;
    sk_list_init(&ocsp->all);
    edge_ocsp_use(ocsp, process->snapshot->tls.store);
    sk_err err = io_fiber_spawn(process->loop, "ocsp", run_story, ocsp, NULL);
    if (err)
        edge_ocsp_free(ocsp);
    else
        *out_ocsp = ocsp;
    return err;
}

void edge_ocsp_stop(struct edge_ocsp *ocsp) {
    if (!ocsp || ocsp->stopping) return;
    ocsp->stopping = true;
    SK_LIST_FOR_EACH(link, &ocsp->all) {
        struct edge_ocsp_status *status = status_of(link);
        if (status->asking) io_fiber_cancel(status->asking);
    }
    wake(ocsp);
}

bool edge_ocsp_busy(const struct edge_ocsp *ocsp) { return ocsp && (ocsp->story || ocsp->asking); }

void edge_ocsp_free(struct edge_ocsp *ocsp) {
    if (!ocsp || edge_ocsp_busy(ocsp)) return; /* its loop was stopped amid a question: the process ends */
    SK_LIST_FOR_EACH(link, &ocsp->all) edge_ocsp_status_free(status_of(link));
    wire_tls_store_unref(ocsp->store);
    free(ocsp);
}

/* --- for people ----------------------------------------------------------------------------------------- */

yyjson_mut_val *edge_ocsp_json(const struct edge_ocsp *ocsp, yyjson_mut_doc *doc,
                               const struct wire_tls_certificate *certificate) {
    const struct edge_ocsp_status *status = ocsp ? find(ocsp, certificate) : NULL;
    if (!status || !certificate->wants_status) return NULL;
    bool shown = sk_buf_len(&status->response) > 0;
    yyjson_mut_val *json = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, json, "status",
                           !shown                   ? "none"
                           : status->answer.revoked ? "revoked"
                                                    : "good");
    if (shown) yyjson_mut_obj_add_int(doc, json, "this_update", status->answer.this_update);
    if (shown) yyjson_mut_obj_add_int(doc, json, "next_update", status->answer.next_update);
    yyjson_mut_obj_add_int(doc, json, "next", status->next);
    yyjson_mut_obj_add_uint(doc, json, "failures", status->failures);
    fleet_json_add(doc, json, "why", sk_str_from_c(status->why));
    return json;
}
