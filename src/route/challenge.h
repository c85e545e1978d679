/* Records that a certificate authority looks for (ACME dns-01, RFC 8555 8.4): TXT records that come and go by the admin
 * socket, beside those of the zones' files. Main thread; of fixed size. */
#ifndef SK_ROUTE_CHALLENGE_H
#define SK_ROUTE_CHALLENGE_H

#include <yyjson.h>

#include "base/time.h"
#include "route/zone.h"

#define CHALLENGES_MAX 256
#define CHALLENGE_TTL_S 5          /* of the record */
#define CHALLENGE_LIFE_MAX_S 86400 /* until it goes by itself */
#define CHALLENGE_LIFE_DEFAULT_S 600

struct challenge {
    struct dns_name name;
    uint8_t data[256]; /* as on the wire: its length, then the text */
    uint16_t bytes;
    sk_time_ns expires;
    bool
        in_zone; /* a record of its zone itself, since that was loaded; else of the overlay (route/overlay.h) */
};
struct challenges {
    size_t count;
    struct challenge items[CHALLENGES_MAX];
    bool zones_differ; /* one that is in its zone has gone: until the next load */
};

/* Takes {"name": NAME, "value": TEXT, "ttl": SECONDS}: a record that stays for so long; 0 takes it away. The name must
 * begin with "_acme-challenge". SK_ERR_MALFORMED, SK_ERR_FULL. */
sk_err challenge_take(struct challenges *challenges, sk_str json, sk_time_ns now);
/* Drops what has expired. True when something has. */
bool challenge_expire(struct challenges *challenges, sk_time_ns now);
/* All of them, with what is left of their time, as an array KEY of OBJECT in DOC; false without memory. */
bool challenges_write(const struct challenges *challenges, yyjson_mut_doc *doc, yyjson_mut_val *object,
                      const char *key, sk_time_ns now);
/* Takes what challenges_write wrote. SK_ERR_MALFORMED, SK_ERR_FULL. */
sk_err challenges_read(struct challenges *challenges, yyjson_val *array, sk_time_ns now);
/* The record of CHALLENGE, which stays its memory. */
struct zone_extra challenge_extra(const struct challenge *challenge);

#endif
