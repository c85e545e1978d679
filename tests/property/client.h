/* Clients of the world: each is one request, and reads its answer at its own speed. */
#ifndef SK_TESTS_PROPERTY_CLIENT_H
#define SK_TESTS_PROPERTY_CLIENT_H

#include "edge/worker.h"
#include "model.h"

/* Serves OP's request. The client is in CLIENTS until its answer and its fiber have ended. */
void client_start(struct edge_worker *worker, struct model *model, struct sk_list *clients,
                  const struct trace_op *op);
/* The N-th of those that have stopped reading (or of all), modulo their number. */
void client_read_on(struct sk_list *clients, uint32_t n);
void client_abort(struct sk_list *clients, uint32_t n);

#endif
