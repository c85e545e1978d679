/* Whom the process runs as. Main thread, before others start. */
#ifndef SK_IO_USER_H
#define SK_IO_USER_H

#include "base/err.h"
#include "base/str.h"

/* Becomes NAME (ends with NUL) with its group and supplementary groups, for good: of NAME's own processes and root only.
 * SK_ERR_NOT_FOUND: no such user; SK_ERR_DENIED. Logged as PART. */
sk_err io_user_become(sk_str name, const char *part);
/* Whom a role runs as: NAME, by io_user_become; empty: who has started it, with a warning when that is root. Gives up the
 * means of ever gaining privileges again, by a program with other rights for instance. Errors of io_user_become. */
sk_err io_user_settle(sk_str name, const char *part);

#endif
