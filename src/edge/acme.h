/* Certificates by ACME (RFC 8555) for this edge: ordered, renewed, put in force. A story on a fiber of the main thread's
 * loop; what it decides is acme/plan.h's, what it runs acme/client.h's. */
#ifndef SK_EDGE_ACME_H
#define SK_EDGE_ACME_H

#include <yyjson.h>

#include "edge/process.h"

struct edge_acme;

/* Orders what the configuration in force names, now and after each change. SK_ERR_NO_MEMORY. */
sk_err edge_acme_start(struct edge_process *process, struct edge_acme **out_acme);
/* Another configuration is in force. NULL is allowed. */
void edge_acme_config_changes(struct edge_acme *acme);
/* What failed is tried again at once; how many that are. NULL is allowed. */
uint32_t edge_acme_retry(struct edge_acme *acme);
/* No orders any more: an order that runs is ended. NULL is allowed. */
void edge_acme_stop(struct edge_acme *acme);
/* Its fiber has not ended yet; edge_process_look_whether_done is called when it has. NULL is allowed. */
bool edge_acme_busy(const struct edge_acme *acme);
/* NULL is allowed. */
void edge_acme_free(struct edge_acme *acme);

/* An array with an object for each certificate that is ordered. NULL: no memory. */
yyjson_mut_val *edge_acme_json(const struct edge_acme *acme, yyjson_mut_doc *doc);

#endif
