/* Transaction signatures of DNS messages (TSIG, RFC 8945), sans-I/O: the record at a message's end, what it signs, and
 * a chain of several messages (transfers). HMAC-SHA-256 and HMAC-SHA-512, whole: truncated MACs are refused. No
 * allocation but OpenSSL's; any thread. */
#ifndef SK_WIRE_DNS_TSIG_H
#define SK_WIRE_DNS_TSIG_H

#include "base/time.h"
#include "wire/dns.h"

#define DNS_TSIG_MAC_MAX 64
#define DNS_TSIG_SECRET_MAX 256
#define DNS_TSIG_FUDGE_S 300
/* What a record of ours takes at most: two names, the fixed part, a MAC and the time of a BADTIME. */
#define DNS_TSIG_BYTES_MAX (DNS_NAME_MAX + 10 + 13 + 16 + DNS_TSIG_MAC_MAX + 6)

enum dns_tsig_algorithm { DNS_TSIG_SHA256, DNS_TSIG_SHA512, DNS_TSIG_ALGORITHMS };

struct dns_tsig_key {
    struct dns_name name;
    enum dns_tsig_algorithm algorithm;
    uint8_t secret[DNS_TSIG_SECRET_MAX];
    uint16_t secret_bytes;
};

/* Extended codes (section 3). */
enum dns_tsig_error {
    DNS_TSIG_FINE = 0,
    DNS_TSIG_BADSIG = 16,
    DNS_TSIG_BADKEY = 17,
    DNS_TSIG_BADTIME = 18,
    DNS_TSIG_BADTRUNC = 22
};

/* A TSIG record as it was read; what points into the message lives as long as that. */
struct dns_tsig {
    size_t at; /* where the record begins: the message ends there without it */
    struct dns_name name, algorithm;
    uint64_t time_s; /* 48 bits */
    uint16_t fudge_s;
    const uint8_t *mac;
    uint16_t mac_bytes;
    uint16_t original_id, error;
    const uint8_t *other;
    uint16_t other_bytes;
};
/* The record that begins at AT and ends MESSAGE. SK_ERR_MALFORMED (the answer is FORMERR): not so, or not of class ANY and TTL 0,
 * or its data does not fill its length. */
sk_err dns_tsig_read(const uint8_t *message, size_t bytes, size_t at, struct dns_tsig *out_tsig);

/* The MAC that the next message of a chain begins with: the request's for the first answer, then each answer's. */
struct dns_tsig_chain {
    uint8_t mac[DNS_TSIG_MAC_MAX];
    uint16_t mac_bytes; /* 0: none, as for a request */
    bool timers_only;   /* not the first answer: names and error are not signed again (section 5.3.1) */
};

/* Whether MESSAGE, as it came with its record TSIG, is KEY's (NULL: no key of that name and algorithm is known) at NOW; CHAIN is empty for a
 * request. On FINE and BADTIME the MAC itself is right.
 * SK_ERR_MALFORMED: a MAC that no policy may take (section 5.2.2.1); SK_ERR_NO_MEMORY. */
sk_err dns_tsig_check(const uint8_t *message, const struct dns_tsig *tsig, const struct dns_tsig_key *key,
                      const struct dns_tsig_chain *chain, sk_unix_s now, enum dns_tsig_error *out_error);

/* Signs the message of *bytes in MESSAGE (CAPACITY) as an answer: the record is put behind it, and the MAC into CHAIN for the
 * next message. ERROR is FINE or BADTIME (then TIME_S is the client's, and NOW goes along). SK_ERR_FULL, SK_ERR_NO_MEMORY. */
sk_err dns_tsig_sign(uint8_t *message, size_t *bytes, size_t capacity, const struct dns_tsig_key *key,
                     struct dns_tsig_chain *chain, uint64_t time_s, enum dns_tsig_error error, sk_unix_s now);
/* The record of a refusal that is not signed (BADKEY, BADSIG, BADTRUNC): that of the request without a MAC. SK_ERR_FULL. */
sk_err dns_tsig_refuse(uint8_t *message, size_t *bytes, size_t capacity, const struct dns_tsig *request,
                       enum dns_tsig_error error);

/* "hmac-sha256" or "hmac-sha512". */
sk_err dns_tsig_algorithm_parse(sk_str text, enum dns_tsig_algorithm *out_algorithm);
/* How many bytes a MAC has. */
size_t dns_tsig_mac_bytes(enum dns_tsig_algorithm algorithm);
/* Whether a record's algorithm is KEY's. */
bool dns_tsig_is_of(const struct dns_tsig *tsig, const struct dns_tsig_key *key);

#endif
