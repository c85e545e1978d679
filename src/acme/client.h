/* The ACME client, uacme, as a process: no shell, bounded in time, output and memory, told by its exit code, answered
 * by messages (acme/hook.h). One order at a time; a loop's own thread, on a fiber. */
#ifndef SK_ACME_CLIENT_H
#define SK_ACME_CLIENT_H

#include "acme/held.h"
#include "acme/hook.h"
#include "io/fiber.h"

struct acme_client;

struct acme_client_options {
    const char *program;   /* the client's path */
    const char *hook;      /* path of our own, run with ACME_HOOK_VARIABLE */
    const char *directory; /* URL */
    const char *email;     /* "": none */
    const char *folder;    /* the client's own: account, keys, certificates; made when it is not there */
    int64_t timeout_ms;    /* for a run */
};

struct acme_client_order {
    const char *const *names; /* NULL-terminated; the first one gives the files their names */
    bool force;               /* whatever the authority suggests */
    uint32_t days_left; /* the fallback where it suggests nothing: renew one that has less; 1 at least */
    bool rsa;           /* else ECDSA; of keys that are made, the ones that are there stay */
    /* A challenge begins, or has ended; true: accepted. On a fiber; may park. */
    bool (*on_hook)(void *arg, const struct acme_hook *hook);
    void *arg;
};

sk_err acme_client_create(struct io_loop *loop, struct acme_client **out_client);
/* No run may be under way. NULL is allowed. */
void acme_client_free(struct acme_client *client);
/* Ends the run that is under way, if one is. */
void acme_client_stop(struct acme_client *client);

/* Has an account at the directory (makes it when this folder has none there, which agrees to the authority's terms) and
 * orders. On ACME_ISSUED the files of acme_client_files are new. Otherwise WHY tells people more. OPTIONS and
 * ORDER stay the caller's for the call. */
enum acme_outcome acme_client_issue(struct acme_client *client, const struct acme_client_options *options,
                                    const struct acme_client_order *order, char why[ACME_WHY_BYTES]);

#define ACME_PATH_BYTES 1024
/* Where the client has the certificate and the key of the order whose first name is NAME. SK_ERR_TOO_LARGE. */
sk_err acme_client_files(const char *folder, const char *name, char cert_file[ACME_PATH_BYTES],
                         char key_file[ACME_PATH_BYTES]);

#endif
