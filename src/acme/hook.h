/* What the ACME client tells us while an order runs, and what we say to it. The client (uacme) runs a program of ours for
 * each challenge, with METHOD TYPE IDENT TOKEN AUTH; that program sends them as one message over the socket that it has
 * inherited, and ends with what the answer says. */
#ifndef SK_ACME_HOOK_H
#define SK_ACME_HOOK_H

#include "base/buf.h"

/* The variable that tells the program its descriptor, and so that it is to be this and nothing else. */
#define ACME_HOOK_VARIABLE "SKERRY_ACME_HOOK"
#define ACME_HOOK_FD 3
#define ACME_HOOK_BYTES 1024
#define ACME_HOOK_YES "y"
#define ACME_HOOK_NO "n"

enum acme_hook_method { ACME_HOOK_BEGIN, ACME_HOOK_DONE, ACME_HOOK_FAILED };
enum acme_hook_type { ACME_HOOK_HTTP_01, ACME_HOOK_DNS_01, ACME_HOOK_OTHER };
struct acme_hook {
    enum acme_hook_method method;
    enum acme_hook_type type;
    sk_str ident; /* a DNS name without a wildcard's label */
    sk_str token, auth;
};

/* Five texts as one message: a line each. SK_ERR_MALFORMED (one that cannot be a line, too long). */
sk_err acme_hook_format(const char *const words[5], struct sk_buf *out);
/* Texts borrow from MESSAGE. What the authority chose (names, tokens) is of their charset and bounded, or:
 * SK_ERR_MALFORMED. */
sk_err acme_hook_parse(sk_str message, struct acme_hook *out_hook);

/* The program's side: sends ARGV[1] to [5] over descriptor FD and waits for the answer. True: accepted. Blocks. */
bool acme_hook_ask(int fd, const char *const words[5]);

#endif
