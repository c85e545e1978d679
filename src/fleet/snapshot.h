/* A configuration of the fleet: immutable, numbered, signed by control. Edges take one only if it is whole, of
 * their fleet, signed by a control, made for a number above the one in force, and a good configuration; then they
 * keep it on disk and start from it with nobody else alive. Pure but for the two that touch files.
 *
 * In bytes (integers big-endian):
 *
 *     "SKSNAP1\n"  number:8  created:8  author:2  body:4  certificate:2  signature:2   lengths in bytes
 *     author  body  certificate (DER, of the control that signed)  signature
 *
 * The signature covers all before it. */
#ifndef SK_FLEET_SNAPSHOT_H
#define SK_FLEET_SNAPSHOT_H

#include "fleet/identity.h"

#define FLEET_SNAPSHOT_BODY_MAX (1u << 20)
#define FLEET_SNAPSHOT_AUTHOR_MAX 128
#define FLEET_SNAPSHOT_MAX (FLEET_SNAPSHOT_BODY_MAX + FLEET_SNAPSHOT_AUTHOR_MAX + 16 * 1024)
#define FLEET_SNAPSHOT_PURPOSE "skerry snapshot 1"

struct fleet_snapshot {
    uint64_t number; /* from 1 */
    sk_unix_s created;
    sk_str author; /* printable ASCII */
    sk_str body;   /* YAML, never empty */
    sk_str certificate, signature, covered;
    char digest[FLEET_HEX_BYTES]; /* SHA-256 of what the signature covers */
};

/* Borrows BYTES. SK_ERR_MALFORMED: cut short, too long, empty body or not one; SK_ERR_TOO_LARGE. The signature is
 * not looked at. */
sk_err fleet_snapshot_parse(sk_str bytes, struct fleet_snapshot *out_snapshot);
/* Makes and signs one: number, created, author and body of SNAPSHOT count. SK_ERR_INVALID: number 0, an empty body,
 * an author of other bytes; SK_ERR_TOO_LARGE. */
sk_err fleet_snapshot_make(const struct fleet_identity *identity, const struct fleet_snapshot *snapshot,
                           struct sk_buf *out);
/* Parses BYTES and checks what an edge must: errors of the parser and of fleet_verify, and SK_ERR_STALE when the
 * number is not above IN_FORCE (0: none is). What the body says is for the configuration's own check. */
sk_err fleet_snapshot_check(const struct fleet_identity *identity, sk_str bytes, uint64_t in_force,
                            const struct fleet_expelled *expelled, struct fleet_snapshot *out_snapshot);

/* The last good one in FOLDER, appended to OUT; parse it again. SK_ERR_NOT_FOUND, SK_ERR_IO, ... */
sk_err fleet_snapshot_read(sk_str folder, struct sk_buf *out);
sk_err fleet_snapshot_keep(sk_str folder, sk_str bytes);

#endif
