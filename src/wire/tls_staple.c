#include "wire/tls_staple.h"

#include <stdlib.h>
#include <string.h>
#include <threads.h>

static int leaf_index = -1; /* of a staple among what the library keeps with a certificate */
static once_flag leaf_once = ONCE_FLAG_INIT;
static void make_index(void) { leaf_index = X509_get_ex_new_index(0, NULL, NULL, NULL, NULL); }

sk_err wire_tls_staple_init(struct wire_tls_staple *staple, X509 *leaf) {
    call_once(&leaf_once, make_index);
    *staple = (struct wire_tls_staple){0};
    pthread_mutex_init(&staple->lock, NULL);
    return leaf_index >= 0 && X509_set_ex_data(leaf, leaf_index, staple) == 1 ? SK_OK : SK_ERR_NO_MEMORY;
}

void wire_tls_staple_free(struct wire_tls_staple *staple) {
    free(staple->response);
    pthread_mutex_destroy(&staple->lock);
}

sk_err wire_tls_staple_set(struct wire_tls_staple *staple, sk_str response, sk_unix_s until) {
    char *copy = response.len ? malloc(response.len) : NULL;
    if (response.len && !copy) return SK_ERR_NO_MEMORY;
    if (copy) memcpy(copy, response.data, response.len);
    pthread_mutex_lock(&staple->lock);
    char *old = staple->response;
    staple->response = copy;
    staple->bytes = response.len;
    staple->until = until;
    pthread_mutex_unlock(&staple->lock);
    free(old);
    return SK_OK;
}

/* A copy of the library's own memory. NULL: there is none to show now, or no memory. */
static unsigned char *copy_staple(struct wire_tls_staple *staple, size_t *out_bytes) {
    sk_unix_s now = sk_wall_now_s();
    unsigned char *copy = NULL;
    pthread_mutex_lock(&staple->lock);
    if (staple->response && now < staple->until) {
        copy = OPENSSL_memdup(staple->response, staple->bytes);
        *out_bytes = staple->bytes;
    }
    pthread_mutex_unlock(&staple->lock);
    return copy;
}

int wire_tls_staple_on_status(SSL *ssl, void *arg) {
    const X509 *leaf = SSL_get_certificate(ssl);
    struct wire_tls_staple *staple = leaf && leaf_index >= 0 ? X509_get_ex_data(leaf, leaf_index) : NULL;
    size_t bytes = 0;
    unsigned char *copy = staple ? copy_staple(staple, &bytes) : NULL;
    if (!copy) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)bytes); /* takes the copy over */
    return SSL_TLSEXT_ERR_OK;
}
