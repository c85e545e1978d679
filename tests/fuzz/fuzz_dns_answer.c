/* Any bytes as a query against a small world: what comes out is no longer than allowed, is a response to this
 * query, and every record of it can be stepped over. */
#include "../unit/route/dns_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct answer_snapshot *snapshot;
static struct answerer *answerer;

static void set_up(void) {
    struct rate_options rate;
    rate_options_default(&rate);
    snapshot = dns_world_make(&rate);
    dns_world_need(!answerer_create(NULL, &answerer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static sk_time_ns now;
    struct io_addr client;
    if (!snapshot) set_up();
    dns_world_need(!io_addr_parse(SK_STR("192.0.2.1:53"), &client));
    now += SK_NS_PER_S;
    uint8_t *out = malloc(DNS_UDP_PAYLOAD);
    dns_world_need(out != NULL);
    size_t used = answer_query(answerer, snapshot, ANSWER_UDP, &client, data, bytes, now, 1700000000, out,
                               DNS_UDP_PAYLOAD, NULL);
    dns_world_need(used <= DNS_UDP_PAYLOAD);
    if (used) dns_world_check(data, out, used);
    free(out);
    out = malloc(UINT16_MAX);
    dns_world_need(out != NULL);
    used = answer_query(answerer, snapshot, ANSWER_TCP, &client, data, bytes, now, 1700000000, out,
                        UINT16_MAX, NULL);
    if (used) dns_world_check(data, out, used);
    free(out);
    return 0;
}
