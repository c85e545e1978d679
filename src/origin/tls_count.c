#include "origin/tls_count.h"

static enum observe_counter group_counter(const char *group) {
    static const struct {
        const char *name;
        enum observe_counter counter;
    } groups[] = {
        {"X25519MLKEM768", OBSERVE_ORIGIN_TLS_X25519MLKEM768},
        {"SecP256r1MLKEM768", OBSERVE_ORIGIN_TLS_SECP256R1MLKEM768},
        {"SecP384r1MLKEM1024", OBSERVE_ORIGIN_TLS_SECP384R1MLKEM1024},
        {"x25519", OBSERVE_ORIGIN_TLS_X25519},
        {"secp256r1", OBSERVE_ORIGIN_TLS_SECP256R1},
        {"secp384r1", OBSERVE_ORIGIN_TLS_SECP384R1},
    };
    for (size_t i = 0; i < SK_COUNT(groups); i++)
        if (sk_str_ieq(sk_str_from_c(group), sk_str_from_c(groups[i].name))) return groups[i].counter;
    return OBSERVE_ORIGIN_TLS_NO_GROUP; /* resumed with TLS 1.2: no other is offered */
}

static enum observe_counter cipher_counter(const char *cipher) {
    if (strstr(cipher, "CHACHA20")) return OBSERVE_ORIGIN_TLS_CHACHA20;
    return strstr(cipher, "AES_256") ? OBSERVE_ORIGIN_TLS_AES256 : OBSERVE_ORIGIN_TLS_AES128;
}

void origin_count_handshake(struct observe_thread *metrics, const struct wire_tls *tls, sk_err result) {
    struct wire_tls_facts facts;
    if (result) {
        observe_count(metrics, OBSERVE_ORIGIN_TLS_FAILED);
        return;
    }
    wire_tls_facts(tls, &facts);
    bool v1_3 = !strcmp(facts.version, "TLSv1.3");
    observe_count(metrics, group_counter(facts.group));
    observe_count(metrics, v1_3 ? OBSERVE_ORIGIN_TLS_1_3 : OBSERVE_ORIGIN_TLS_1_2);
    observe_count(metrics, cipher_counter(facts.cipher));
    if (facts.resumed) observe_count(metrics, OBSERVE_ORIGIN_TLS_RESUMED);
}
