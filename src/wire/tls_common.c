#include "wire/tls_common.h"

#include <openssl/ssl.h>

void wire_tls_facts_of(const void *connection, struct wire_tls_facts *out_facts) {
    SSL *ssl = (SSL *)(uintptr_t)connection;
    const unsigned char *protocol;
    unsigned bytes;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const char *group = SSL_get0_group_name(ssl);
    SSL_get0_alpn_selected(ssl, &protocol, &bytes);
    *out_facts = (struct wire_tls_facts){
        .version = SSL_get_version(ssl),
        .cipher = cipher ? SSL_CIPHER_standard_name(cipher) : "",
        .resumed = SSL_session_reused(ssl) == 1,
        .post_quantum = group && strstr(group, "MLKEM"),
        .http2 = bytes == 2 && !memcmp(protocol, "h2", 2),
    };
    if (group) memcpy(out_facts->group, group, strnlen(group, sizeof out_facts->group - 1));
}
