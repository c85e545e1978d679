/* HTTP dates (RFC 9110 section 5.6.7): all three formats in, IMF-fixdate out. Pure. */
#ifndef SK_HTTP_DATE_H
#define SK_HTTP_DATE_H

#include "base/str.h"
#include "base/time.h"

#define HTTP_DATE_BYTES 29

/* IMF-fixdate, RFC 850 (a two-digit year more than 50 years after NOW is in the past) and asctime, in any
 * case as RFC 9111 4.2 asks. SK_ERR_MALFORMED for anything else, also for impossible dates and a zone other
 * than GMT; the day of the week may be wrong. */
sk_err http_date_parse(sk_str text, sk_unix_s now, sk_unix_s *out_time);
/* "Sun, 06 Nov 1994 08:49:37 GMT", without NUL; clamped to the years 0 to 9999. */
void http_date_format(sk_unix_s time, char out[HTTP_DATE_BYTES]);

#endif
