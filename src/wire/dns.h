/* DNS messages, sans-I/O (RFC 1035, 2181, 3597, 6891, 7871, 7873, 5001): a strict, bounded reader of
 * queries and a writer of responses with name compression. Names are kept in wire form, lower-cased for
 * comparison; the query's own case is echoed. No allocation; any thread. */
#ifndef SK_WIRE_DNS_H
#define SK_WIRE_DNS_H

#include "base/str.h"

#define DNS_NAME_MAX 255 /* bytes in wire form, with the root's length byte */
#define DNS_LABEL_MAX 63
#define DNS_UDP_PAYLOAD 1232 /* what we announce and never exceed over UDP */

#define DNS_TYPE_TABLE(X)                                                                                    \
    X(A, 1)                                                                                                  \
    X(NS, 2)                                                                                                 \
    X(CNAME, 5)                                                                                              \
    X(SOA, 6)                                                                                                \
    X(PTR, 12)                                                                                               \
    X(HINFO, 13)                                                                                             \
    X(MX, 15)                                                                                                \
    X(TXT, 16)                                                                                               \
    X(AAAA, 28)                                                                                              \
    X(SRV, 33)                                                                                               \
    X(NAPTR, 35)                                                                                             \
    X(DNAME, 39)                                                                                             \
    X(OPT, 41)                                                                                               \
    X(DS, 43)                                                                                                \
    X(SSHFP, 44)                                                                                             \
    X(RRSIG, 46)                                                                                             \
    X(NSEC, 47)                                                                                              \
    X(DNSKEY, 48)                                                                                            \
    X(NSEC3, 50)                                                                                             \
    X(NSEC3PARAM, 51)                                                                                        \
    X(TLSA, 52)                                                                                              \
    X(CDS, 59)                                                                                               \
    X(CDNSKEY, 60)                                                                                           \
    X(SVCB, 64)                                                                                              \
    X(HTTPS, 65)                                                                                             \
    X(NXNAME, 128)                                                                                           \
    X(TSIG, 250)                                                                                             \
    X(IXFR, 251)                                                                                             \
    X(AXFR, 252)                                                                                             \
    X(ANY, 255)                                                                                              \
    X(CAA, 257)
enum dns_type {
#define X(name, number) DNS_TYPE_##name = number,
    DNS_TYPE_TABLE(X)
#undef X
};
/* "AAAA", or "TYPE1234" (RFC 3597) in OUT (at least 10 bytes). */
sk_str dns_type_text(uint16_t type, char out[12]);
/* Any case, also TYPE1234. */
sk_err dns_type_parse(sk_str text, uint16_t *out_type);

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_YXDOMAIN = 6,
    DNS_NOTAUTH = 9,
    DNS_BADVERS = 16,
    DNS_BADCOOKIE = 23,
};
enum dns_flags {
    DNS_FLAG_QR = 0x8000,
    DNS_FLAG_AA = 0x0400,
    DNS_FLAG_TC = 0x0200,
    DNS_FLAG_RD = 0x0100,
    DNS_FLAG_AD = 0x0020,
    DNS_FLAG_CD = 0x0010
};

/* A name in wire form, lower-cased: labels with their length bytes and the root's zero at the end. */
struct dns_name {
    uint8_t length; /* 1 to 255 */
    uint8_t labels; /* without the root */
    uint8_t wire[DNS_NAME_MAX];
};
/* From text with escapes (\. and \DDD); relative names are completed by ORIGIN (NULL: the root). */
sk_err dns_name_parse(sk_str text, const struct dns_name *origin, struct dns_name *out_name);
/* Presentation form with the final dot; at most 1024 bytes with NUL; returns its length. */
size_t dns_name_format(const struct dns_name *name, char out[1024]);
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b);
/* True when NAME is ZONE or below it. */
bool dns_name_in(const struct dns_name *name, const struct dns_name *zone);
/* Canonical order (RFC 4034 6.1): <0, 0, >0. */
int dns_name_compare(const struct dns_name *a, const struct dns_name *b);
/* Without its first COUNT labels. */
void dns_name_parent(const struct dns_name *name, uint8_t count, struct dns_name *out_name);

struct dns_client_subnet { /* RFC 7871 */
    bool present;
    uint8_t family; /* 1 IPv4, 2 IPv6 */
    uint8_t source_bits;
    uint8_t ip[16]; /* IPv4 in the first four bytes, bits beyond the source prefix are zero */
};

struct dns_edns {
    bool present, dnssec_ok, nsid;
    bool compact_ok; /* RFC 9824 section 5: NXDOMAIN may be said of a name denied compactly */
    uint8_t version;
    uint16_t payload; /* at least 512 */
    struct dns_client_subnet subnet;
    uint8_t cookie[40];    /* client 8, server 8 to 32 bytes */
    uint8_t cookie_length; /* 0: none */
    bool cookie_malformed;
    bool padding, keepalive;
};

struct dns_query {
    uint16_t id, flags;
    uint8_t opcode;
    uint16_t type, class_;
    struct dns_name name;
    uint16_t question_bytes; /* of the question as received, at offset 12: echoed with its case */
    struct dns_edns edns;
    uint16_t tsig_at; /* where the TSIG record begins (RFC 8945), the last one; 0: none */
};

/* Reads one query. SK_ERR_MALFORMED with *out_rcode: the answer to give (DNS_FORMERR, DNS_NOTIMP, ...), and
 * *out_query filled as far as was read; SK_ERR_INVALID when nothing may be answered (too short, QR set).
 * Trailing bytes, more than one question, compression in the question, a second OPT, a TSIG that is not the last record of all, more than four records
 * and options over 4 KiB are malformed. */
sk_err dns_query_parse(const uint8_t *message, size_t bytes, struct dns_query *out_query,
                       enum dns_rcode *out_rcode);

/* --- writing ---------------------------------------------------------------------------------------- */

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

/* Builds a response in a caller's buffer. A record that does not fit sets TC (answer, authority) or is
 * left out (additional); whole RRsets only. */
struct dns_writer {
    uint8_t *data;
    size_t used, limit;
    uint16_t counts[3];
    bool truncated;
    uint16_t name_offsets[16]; /* of names written, for compression */
    uint8_t name_count;
};
/* Header and question echoed from MESSAGE; LIMIT includes room kept for OPT (RESERVE bytes). */
void dns_writer_begin(struct dns_writer *writer, uint8_t *buffer, size_t limit, size_t reserve,
                      const uint8_t *message, const struct dns_query *query, uint16_t flags,
                      enum dns_rcode rcode);
/* An RRset of COUNT records with ready rdata (uncompressed wire). SK_ERR_FULL: left out, TC set if due. */
struct dns_rdata {
    const uint8_t *data;
    uint16_t bytes;
};
sk_err dns_writer_rrset(struct dns_writer *writer, enum dns_section section, const struct dns_name *owner,
                        uint16_t type, uint32_t ttl_s, const struct dns_rdata *records, size_t count);
/* One record whose owner stands at OWNER_OFFSET of the message, in the question. SK_ERR_FULL as above. */
sk_err dns_writer_record_at(struct dns_writer *writer, enum dns_section section, size_t owner_offset,
                            uint16_t type, uint32_t ttl_s, const struct dns_rdata *record);
/* Records that were encoded before (answer sets made off the hot path): owner is the question's name, written
 * as a pointer to offset 12; BYTES hold COUNT records of which each begins after the owner. */
sk_err dns_writer_encoded(struct dns_writer *writer, enum dns_section section, const uint8_t *data,
                          size_t bytes, uint16_t count);
struct dns_opt {
    uint16_t payload;
    bool dnssec_ok;
    uint8_t extended_rcode;                 /* upper 8 bits */
    const struct dns_client_subnet *subnet; /* with scope_bits; NULL: none */
    uint8_t scope_bits;
    sk_str nsid;
    const uint8_t *cookie;
    uint8_t cookie_length;
    int ede; /* extended DNS error (RFC 8914) or -1 */
};
/* What it takes: the RESERVE of dns_writer_begin. */
size_t dns_opt_bytes(const struct dns_opt *opt);
/* Last of the additional section; the room was reserved. */
void dns_writer_opt(struct dns_writer *writer, const struct dns_opt *opt);
/* Fixes the counts; returns the message's length. */
size_t dns_writer_finish(struct dns_writer *writer);

/* One resource record's rdata from presentation form (RFC 1035 5.1; also \# of RFC 3597) to wire form in
 * OUT (at most CAPACITY). Names inside are completed by ORIGIN. SK_ERR_MALFORMED, SK_ERR_TOO_LARGE,
 * SK_ERR_UNSUPPORTED for a type without a text form here. */
sk_err dns_rdata_parse(uint16_t type, sk_str text, const struct dns_name *origin, uint8_t *out,
                       size_t capacity, size_t *out_bytes);

#endif
