/* The certificates of ACME as files: what the client left is looked at, and only what can be used is put in its place.
 * Blocking; for a thread that may. */
#ifndef SK_ACME_HELD_H
#define SK_ACME_HELD_H

#include "acme/plan.h"

#define ACME_WHY_BYTES 240

/* Certificate and key are right for NAMES (in lower case) at the time NOW: each is in it, the key is the
 * certificate's, and its time has begun and is not over. SK_ERR_NOT_FOUND: there is no certificate; SK_ERR_INVALID and
 * the reason in WHY; SK_ERR_NO_MEMORY. */
sk_err acme_held_look(const char *cert_file, const char *key_file, const sk_str *names, uint32_t name_count,
                      sk_unix_s now, struct acme_held *out_held, char why[ACME_WHY_BYTES]);

/* Certificate, chain and key in one file, which readers see whole, old or new; for its owner alone. Errors as of
 * io_file_load and io_file_replace. */
sk_err acme_held_install(const char *cert_file, const char *key_file, const char *file);

#endif
