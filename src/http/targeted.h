/* Targeted cache control (RFC 9213): directives for a class of caches, over those for all. Ours are, in this order,
 * Skerry-CDN-Cache-Control and CDN-Cache-Control (section 2.2's target list), then Surrogate-Control as older
 * software writes it. Pure. */
#ifndef SK_HTTP_TARGETED_H
#define SK_HTTP_TARGETED_H

#include "http/cache_control.h"

/* The directives that hold for us. *out_targeted: they came from a targeted field, so that Cache-Control and Expires are
 * as if they were not there (section 2.2). A targeted field that is empty or no structured dictionary does not count
 * (section 2.1). Never fails: without memory the targeted field is taken to forbid storing. */
void http_response_cache_control(const struct http_fields *fields, struct http_cache_control *out_control,
                                 bool *out_targeted);

#endif
