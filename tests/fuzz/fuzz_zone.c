/* Any text as a master file; what is accepted answers lookups for each of its own names. */
#include <stdlib.h>

#include "route/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static sk_err find_again(void *arg, const struct zone_rrset *rrset) {
    struct zone_result result = zone_lookup(arg, rrset->owner, rrset->type);
    if (result.found == ZONE_NO_NAME || result.found == ZONE_NOT_HERE) abort();
    return SK_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct dns_name apex;
    struct zone *zone = NULL;
    struct sk_buf problems;
    if (dns_name_parse(SK_STR("example.com"), NULL, &apex)) abort();
    sk_buf_init(&problems, 0);
    /* The folder does not exist, so nothing can be included. */
    if (zone_parse(sk_str_make((const char *)data, bytes), "/nonexistent/z", &apex, &zone, &problems) ==
        SK_OK) {
        if (zone_walk(zone, find_again, zone)) abort();
        zone_free(zone);
    }
    sk_buf_free(&problems);
    return 0;
}
