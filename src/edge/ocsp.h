/* OCSP stapling: what the authorities say of the certificates in force, asked for in the background, kept beside their
 * files, and shown to clients. Fibers of the main thread's loop; what they decide is wire/ocsp.h's. Main thread. */
#ifndef SK_EDGE_OCSP_H
#define SK_EDGE_OCSP_H

#include <yyjson.h>

#include "edge/process.h"

struct edge_ocsp;

/* Shows at once what earlier processes have left beside the certificates of the snapshot in force, and asks for the rest
 * from now on. SK_ERR_NO_MEMORY. */
sk_err edge_ocsp_start(struct edge_process *process, struct edge_ocsp **out_ocsp);
/* STORE (NULL: none) is about to be in force: what is known of its certificates is shown from its first connection on. The
 * caller keeps it until the next call, or until nothing is asked any more. OCSP may be NULL. */
void edge_ocsp_use(struct edge_ocsp *ocsp, struct wire_tls_store *store);
/* What failed is asked for again at once; how many that are. NULL is allowed. */
uint32_t edge_ocsp_retry(struct edge_ocsp *ocsp);
/* Nothing is asked any more. NULL is allowed. */
void edge_ocsp_stop(struct edge_ocsp *ocsp);
/* Its fibers have not ended yet; edge_process_look_whether_done is called when they have. NULL is allowed. */
bool edge_ocsp_busy(const struct edge_ocsp *ocsp);
void edge_ocsp_free(struct edge_ocsp *ocsp); /* NULL is allowed */

/* An object about CERTIFICATE's status; NULL: none is asked for. OCSP may be NULL. */
yyjson_mut_val *edge_ocsp_json(const struct edge_ocsp *ocsp, yyjson_mut_doc *doc,
                               const struct wire_tls_certificate *certificate);

#endif
