/* Any bytes as a message with a TSIG record somewhere: what is read lies inside, nothing but what was signed is right, and an
 * answer to it can be signed and read. */
#include "fuzz.h"
#include "route/tsig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct dns_tsig_key key = {
        .algorithm = DNS_TSIG_SHA256, .secret = "0123456789abcdef", .secret_bytes = 16};
    struct tsig_keys keys = {&key, 1};
    struct tsig_request request;
    struct dns_query query;
    enum dns_rcode rcode;
    uint8_t answer[600] = {0x12, 0x34, 0x80};
    size_t used = 12;
    if (!key.name.length) MUST(dns_name_parse(SK_STR("k"), NULL, &key.name) == SK_OK);
    if (dns_query_parse(data, bytes, &query, &rcode) != SK_OK || !query.tsig_at) return 0;
    MUST(query.tsig_at < bytes);
    if (tsig_open(&keys, data, bytes, query.tsig_at, 1700000000, &request) != SK_OK) return 0;
    MUST(request.error != DNS_TSIG_FINE || request.key == &key);
    if (tsig_close(&request, answer, &used, sizeof answer, 1700000000) != SK_OK) return 0;
    MUST(used <= sizeof answer && used - 12 <= tsig_room(&request));
    struct dns_tsig tsig;
    MUST(dns_tsig_read(answer, used, 12, &tsig) == SK_OK);
    return 0;
}
