#include "edge/answer_coded.h"

#include "edge/answer.h"
#include "edge/coding.h"
#include "edge/dictionary.h"
#include "edge/error_page.h"
#include "edge/improve.h"
#include "edge/worker.h"

/* By the worker: after its answer an exchange without a fiber may be gone. */
static void drop(struct edge_worker *worker, struct cache_object *object, bool borrowed) {
    if (!borrowed) cache_object_unref(worker->cache, object);
}

static void count_form(struct edge_exchange *exchange, const struct cache_object *object, uint64_t length) {
    struct observe_thread *metrics = exchange->worker->metrics;
    uint64_t whole = atomic_load_explicit(&object->body_length, memory_order_acquire);
    observe_count(metrics, OBSERVE_CODED_RESPONSES);
    if (whole != CACHE_LENGTH_UNKNOWN && length < whole && exchange->request.method == HTTP_METHOD_GET)
        observe_add(metrics, OBSERVE_CODED_SAVED_BYTES, whole - length);
}

/* With OBJECT's fields and the bytes of its FORM, which is borrowed or referenced as OBJECT is. */
static void answer_form(struct edge_exchange *exchange, struct cache_object *object,
                        struct cache_object *form, enum http_coding coding, bool borrowed) {
    struct edge_worker *worker = exchange->worker;
    char extra[EDGE_EXTRA_BYTES];
    uint64_t length = atomic_load_explicit(&form->body_length, memory_order_acquire);
    exchange->part = (struct edge_part){.first = 0, .end = length};
    struct edge_response response = {
        .status = object->status,
        .head = edge_coding_head(exchange->arena, &object->fields, coding),
        .extra_head = edge_status_fields(exchange, object, extra),
        .body_length = length,
        .head_only = exchange->request.method == HTTP_METHOD_HEAD,
        .object = form,
        .borrowed = borrowed,
        .parts = &exchange->part,
        .part_count = 1,
    };
    if (response.head.data) {
        count_form(exchange, object, length);
        if (coding != HTTP_CODING_DCB && coding != HTTP_CODING_DCZ)
            edge_improve_consider(exchange, object, form, coding);
        exchange->ops->respond(exchange, &response);
    } else {
        edge_respond_error(exchange, 503, "out of memory");
        drop(worker, form, borrowed);
    }
    drop(worker, object, borrowed);
}

/* The form with a dictionary that the client has; when it is not there it is made for the next time, and this one is
 * answered otherwise. */
static bool answer_with_dictionary(struct edge_exchange *exchange, struct cache_object *object,
                                   bool borrowed) {
    uint8_t hash[HTTP_DICTIONARY_HASH_BYTES];
    struct cache_thread *cache = exchange->worker->cache;
    struct cache_key key;
    enum http_coding coding = edge_dictionary_choose(exchange, object, hash);
    if (coding == HTTP_CODING_IDENTITY ||
        edge_dictionary_form_key(exchange->arena, object, coding, hash, &key))
        return false;
    if (!borrowed) cache_enter(cache);
    struct cache_object *form = cache_find(cache, &key, NULL, NULL);
    if (form && !borrowed) cache_object_ref(form);
    if (!borrowed) cache_leave(cache);
    if (form)
        answer_form(exchange, object, form, coding, borrowed);
    else
        edge_improve_with_dictionary(exchange, object, coding, &key, hash);
    return form != NULL;
}

bool edge_answer_coded(struct edge_exchange *exchange, struct cache_object *object, bool borrowed,
                       bool *out_missing) {
    if ((exchange->traits & EDGE_TRAIT_DICTIONARY) && answer_with_dictionary(exchange, object, borrowed))
        return true;
    enum http_coding coding = edge_coding_choose(exchange, object);
    if (coding == HTTP_CODING_IDENTITY) return false;
    struct cache_object *form =
        borrowed ? edge_coding_find(exchange, object, coding) : edge_coding_get(exchange, object, coding);
    *out_missing = borrowed && !form;
    if (form) answer_form(exchange, object, form, coding, borrowed);
    return form != NULL;
}
