/* The fleet's own certificate authority: roots with ML-DSA-65 that issue short-lived certificates to nodes. Two
 * roots may be there at a time: that is how they change without a break (control says when, ca_step). Blocking, for
 * control's main thread; its folder is secret.
 *
 *     root-N.pem    a root's key and certificate, N counts up
 *     issuer        the N that issues */
#ifndef SK_FLEET_CA_H
#define SK_FLEET_CA_H

#include "fleet/bus_key.h"
#include "fleet/identity.h"
#include "fleet/vault.h"

#define FLEET_ROOT_LIFE_S (3650 * INT64_C(86400))
/* A certificate is valid from so long before it is issued, for clocks that go behind. */
#define FLEET_BACKDATE_S 300

struct fleet_ca;

/* Opens FOLDER, with a first root for FLEET if there is none. SK_ERR_INVALID: it is of another fleet; SK_ERR_CORRUPT,
 * and what files give. */
sk_err fleet_ca_open(sk_str folder, sk_str fleet, sk_unix_s now, struct fleet_ca **out_ca);
void fleet_ca_free(struct fleet_ca *ca); /* NULL is allowed */

/* A certificate (PEM) for the key of REQUEST (PKCS #10, PEM, whose own signature must be good) that names ID from
 * NOW on for LIFE_S seconds. What else the request asks for counts for nothing. SK_ERR_MALFORMED: no good request;
 * SK_ERR_UNSUPPORTED: its key is not ML-DSA-65; SK_ERR_INVALID: ID is of another fleet. */
sk_err fleet_ca_issue(const struct fleet_ca *ca, sk_str request, const struct fleet_id *id, sk_unix_s now,
                      int64_t life_s, struct sk_buf *out_certificate);

sk_str fleet_ca_roots(const struct fleet_ca *ca); /* PEM, the issuing one first */
const char *fleet_ca_roots_digest(const struct fleet_ca *ca);
/* Of the root that issues. */
void fleet_ca_fingerprint(const struct fleet_ca *ca, uint8_t out[FLEET_DIGEST_BYTES]);
uint32_t fleet_ca_root_count(const struct fleet_ca *ca);
/* True when the root that issues is the newest. */
bool fleet_ca_issues_by_newest(const struct fleet_ca *ca);

/* Secrets of every root, the issuing one's first, from which edges' keys for the bus are made. */
sk_err fleet_ca_bus_masters(const struct fleet_ca *ca, struct fleet_bus_keys *out_masters);
/* The same, with which control seals what it keeps in Valkey. */
sk_err fleet_ca_vault_keys(const struct fleet_ca *ca, struct fleet_vault_keys *out_keys);

/* Root rotation, one step at a time; when each may be taken is fleet_ca_next's to say. */
enum fleet_ca_step {
    FLEET_CA_STAY,
    FLEET_CA_ADD,    /* a second root, trusted but not issuing */
    FLEET_CA_SWITCH, /* it issues */
    FLEET_CA_DROP,   /* the old one is trusted no more */
};
/* Files first, then memory: on failure nothing has changed. SK_ERR_INVALID: not the step that follows. */
sk_err fleet_ca_take(struct fleet_ca *ca, enum fleet_ca_step step, sk_unix_s now);

/* What control knows of the living nodes, for the decision. */
struct fleet_ca_facts {
    uint32_t roots; /* of ours: 1 or 2 */
    bool newest_issues;
    uint32_t nodes;        /* living ones */
    uint32_t trust_both;   /* of them: have reported our present set of roots */
    uint32_t under_newest; /* of them: have a certificate of the newest root */
};
/* Pure. A rotation that was begun goes on when every living node has done its part. */
enum fleet_ca_step fleet_ca_next(const struct fleet_ca_facts *facts);

#endif
