/* The model: a shared cache as RFC 9111 has it, small and slow, written from the text of the standards and not
 * from Skerry's code. It is told what happens, in order, and says whether what Skerry did was allowed.
 *
 * It keeps every response that the origin ever gave, and so knows for each request the set of those that may
 * answer it. Where Skerry promises more than the standard asks (fresh means served, one request at a time for a
 * key, stale-while-revalidate and stale-if-error are used), it demands that too, for responses of which it is
 * sure that Skerry has them. Time is given; nothing here reads a clock. */
#ifndef SK_TESTS_PROPERTY_MODEL_H
#define SK_TESTS_PROPERTY_MODEL_H

#include "trace.h"

struct model;

struct model_time {
    int64_t wall_s, mono_ms;
};

/* MAY_FORGET: responses may be evicted or not stored at any time, so nothing is demanded, only forbidden. */
struct model *model_create(bool may_forget);
/* From now on tells on stdout what happens. */
void model_narrate(struct model *model);
void model_destroy(struct model *model);
/* What was wrong first; NULL: nothing. */
const char *model_complaint(const struct model *model);
void model_complain(struct model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A request came: OP with its values made. */
void model_request(struct model *model, struct model_time now, const struct trace_op *op);
/* What could be done at once has been done. */
void model_served(struct model *model, struct model_time now, uint32_t request);
/* The client has gone: nothing is expected for it. */
void model_aborted(struct model *model, uint32_t request);
/* A request for REQUEST (its X-Request field) went to the origin as exchange NUMBER. ALONE: for its client only. */
void model_forwarded(struct model *model, struct model_time now, uint32_t number, uint32_t request,
                     const char *method, uint32_t uri, const struct trace_head *head, bool alone);
/* The head of the origin's response, which also says X-Body: SERIAL or, for 304, X-Validation: SERIAL. LENGTH is what
 * it announces, UINT64_MAX when it does not. */
void model_answered(struct model *model, struct model_time now, uint32_t number, uint32_t serial,
                    uint16_t status, const struct trace_head *head, uint64_t length, bool until_close);
/* No response came. CANCELLED: Skerry itself gave it up. */
void model_failed(struct model *model, uint32_t number, bool cancelled);
/* The content has ended after BYTES; COMPLETE as the origin meant it. */
void model_body_over(struct model *model, uint32_t number, uint64_t bytes, bool complete);
/* The head that the client gets. */
void model_seen(struct model *model, struct model_time now, uint32_t request, uint16_t status,
                const struct trace_head *head);
/* All that came after it; BROKEN: visibly cut off. */
void model_seen_end(struct model *model, uint32_t request, const char *body, uint64_t bytes, bool broken);
void model_purged(struct model *model, const struct trace_op *op);
/* The trace is over, and the origin has answered everything. */
void model_over(struct model *model);

#endif
