/* Any bytes as a query; what is accepted is answered, and the answer never passes its limit. */
#include <stdlib.h>

#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void answer(const uint8_t *data, const struct dns_query *query, enum dns_rcode rcode) {
    uint8_t *buffer = malloc(DNS_UDP_PAYLOAD);
    struct dns_opt opt = {.payload = DNS_UDP_PAYLOAD,
                          .subnet = query->edns.subnet.present ? &query->edns.subnet : NULL,
                          .cookie = query->edns.cookie,
                          .cookie_length = query->edns.cookie_length,
                          .ede = -1};
    struct dns_writer writer;
    struct dns_rdata rdata = {data, (uint16_t)SK_MIN(query->question_bytes, 300)};
    if (!buffer) abort();
    dns_writer_begin(&writer, buffer, DNS_UDP_PAYLOAD, dns_opt_bytes(&opt), data, query, DNS_FLAG_AA, rcode);
    struct dns_name name = query->name;
    sk_err err = SK_OK;
    for (int i = 0; i < 8 && !err && query->question_bytes; i++) {
        err = dns_writer_rrset(&writer, DNS_ANSWER, &name, DNS_TYPE_TXT, 60, &rdata, 1);
        if (name.labels) dns_name_parent(&name, 1, &name);
    }
    dns_writer_opt(&writer, &opt);
    if (dns_writer_finish(&writer) > DNS_UDP_PAYLOAD) abort();
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct dns_query query;
    enum dns_rcode rcode;
    char text[1024];
    sk_err err = dns_query_parse(data, bytes, &query, &rcode);
    if (err == SK_ERR_INVALID) return 0;
    answer(data, &query, rcode);
    if (err) return 0;
    struct dns_name again;
    size_t length = dns_name_format(&query.name, text);
    if (dns_name_parse(sk_str_make(text, length), NULL, &again) || !dns_name_eq(&again, &query.name)) abort();
    return 0;
}
