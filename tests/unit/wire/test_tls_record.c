/* RFC 8446 section 5: records after the handshake. Keys and first records are those of RFC 8448 section 3. */
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "unit.h"
#include "wire/tls_record.h"

static const uint8_t client_secret[] = {0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d, 0xc0, 0x5a, 0xf8,
                                        0x88, 0x9b, 0xce, 0x65, 0x52, 0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf,
                                        0x00, 0x87, 0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5};
static const uint8_t client_key[] = {0x17, 0x42, 0x2d, 0xda, 0x59, 0x6e, 0xd5, 0xd9,
                                     0xac, 0xd8, 0x90, 0xe3, 0xc6, 0x3f, 0x50, 0x51};
static const uint8_t client_iv[] = {0x5b, 0x78, 0x92, 0x3d, 0xee, 0x08, 0x57, 0x90, 0x33, 0xe5, 0x23, 0xd9};
static const uint8_t server_secret[] = {0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56, 0xad, 0x47, 0x11,
                                        0x6b, 0x45, 0xa9, 0x50, 0x32, 0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb,
                                        0x6b, 0x3a, 0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43};
/* The client's 50 bytes 00 to 31, and its close_notify. */
static const uint8_t client_data[] = {0x17, 0x03, 0x03, 0x00, 0x43, 0xa2, 0x3f, 0x70, 0x54, 0xb6, 0x2c, 0x94,
                                      0xd0, 0xaf, 0xfa, 0xfe, 0x82, 0x28, 0xba, 0x55, 0xcb, 0xef, 0xac, 0xea,
                                      0x42, 0xf9, 0x14, 0xaa, 0x66, 0xbc, 0xab, 0x3f, 0x2b, 0x98, 0x19, 0xa8,
                                      0xa5, 0xb4, 0x6b, 0x39, 0x5b, 0xd5, 0x4a, 0x9a, 0x20, 0x44, 0x1e, 0x2b,
                                      0x62, 0x97, 0x4e, 0x1f, 0x5a, 0x62, 0x92, 0xa2, 0x97, 0x70, 0x14, 0xbd,
                                      0x1e, 0x3d, 0xea, 0xe6, 0x3a, 0xee, 0xbb, 0x21, 0x69, 0x49, 0x15, 0xe4};
static const uint8_t client_close[] = {0x17, 0x03, 0x03, 0x00, 0x13, 0xc9, 0x87, 0x27,
                                       0x60, 0x65, 0x56, 0x66, 0xb7, 0x4d, 0x7f, 0xf1,
                                       0x15, 0x3e, 0xfd, 0x6d, 0xb6, 0xd0, 0xb0, 0xe3};
/* The server's 50 bytes, its second record. */
static const uint8_t server_data[] = {0x17, 0x03, 0x03, 0x00, 0x43, 0x2e, 0x93, 0x7e, 0x11, 0xef, 0x4a, 0xc7,
                                      0x40, 0xe5, 0x38, 0xad, 0x36, 0x00, 0x5f, 0xc4, 0xa4, 0x69, 0x32, 0xfc,
                                      0x32, 0x25, 0xd0, 0x5f, 0x82, 0xaa, 0x1b, 0x36, 0xe3, 0x0e, 0xfa, 0xf9,
                                      0x7d, 0x90, 0xe6, 0xdf, 0xfc, 0x60, 0x2d, 0xcb, 0x50, 0x1a, 0x59, 0xa8,
                                      0xfc, 0xc4, 0x9c, 0x4b, 0xf2, 0xe5, 0xf0, 0xa2, 0x1c, 0x00, 0x47, 0xc2,
                                      0xab, 0xf3, 0x32, 0x54, 0x0d, 0xd0, 0x32, 0xe1, 0x67, 0xc2, 0x95, 0x5d};

struct side {
    struct wire_tls_record record;
    struct sk_buf input, output;
    uint64_t sequence; /* of what the client has sent */
};

static void side_open(struct side *side) {
    *side = (struct side){0};
    memcpy(side->record.in.secret, client_secret, sizeof client_secret);
    memcpy(side->record.out.secret, server_secret, sizeof server_secret);
    assert_ok(wire_tls_record_start(&side->record, 0x1301));
    sk_buf_init(&side->input, 0);
    sk_buf_init(&side->output, 0);
}

static void side_close(struct side *side) {
    wire_tls_record_free(&side->record);
    sk_buf_free(&side->input);
    sk_buf_free(&side->output);
}

/* The client sends INNER, which has a type and perhaps padding. */
static void send_inner(struct side *side, const uint8_t *inner, size_t bytes) {
    size_t sealed = bytes + 16;
    uint8_t head[] = {23, 3, 3, (uint8_t)(sealed >> 8), (uint8_t)sealed}, nonce[12];
    uint8_t *text = malloc(sealed);
    int n;
    memcpy(nonce, client_iv, sizeof nonce);
    nonce[11] ^= (uint8_t)side->sequence++;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, client_key, nonce), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, head, sizeof head), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, text, &n, inner, (int)bytes), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, text + bytes, &n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, text + bytes), 1);
    EVP_CIPHER_CTX_free(ctx);
    assert_ok(sk_buf_append(&side->input, (sk_str){(const char *)head, sizeof head}));
    assert_ok(sk_buf_append(&side->input, (sk_str){(const char *)text, sealed}));
    free(text);
}

/* All that is there is read, ROOM bytes at a time; the last verdict, and the bytes in DATA. */
static sk_err read_all(struct side *side, size_t room, char *data, size_t *out_bytes) {
    sk_str input = sk_buf_str(&side->input);
    sk_err err;
    size_t n;
    *out_bytes = 0;
    while (!(err = wire_tls_record_read(&side->record, &input, &side->output, data + *out_bytes, room, &n)))
        *out_bytes += n;
    sk_buf_clear(&side->input);
    return err;
}

static void rfc8448_3_the_records_of_the_example(void **state) {
    for (size_t step = 1; step < 100; step += 7) {
        struct side side;
        char data[100];
        size_t bytes = 0, n;
        sk_err err = SK_ERR_AGAIN;
        side_open(&side);
        for (size_t at = 0; at < sizeof client_data; at += step) {
            size_t end = SK_MIN(at + step, sizeof client_data);
            sk_str input = {(const char *)client_data + at, end - at};
            err = wire_tls_record_read(&side.record, &input, &side.output, data + bytes, sizeof data, &n);
            assert_int_equal(input.len, 0);
            if (!err) bytes += n;
        }
        assert_int_equal(bytes, 50);
        for (int i = 0; i < 50; i++) assert_int_equal(data[i], i);
        sk_str input = {(const char *)client_close, sizeof client_close};
        assert_int_equal(wire_tls_record_read(&side.record, &input, &side.output, data, sizeof data, &n),
                         SK_ERR_END);
        assert_int_equal(sk_buf_len(&side.output), 0);
        for (int i = 0; i < 50; i++) data[i] = (char)i;
        side.record.out.sequence = 1;
        assert_ok(wire_tls_record_write(&side.record, data, 50, &side.output));
        assert_int_equal(sk_buf_len(&side.output), sizeof server_data);
        assert_memory_equal(sk_buf_str(&side.output).data, server_data, sizeof server_data);
        side_close(&side);
    }
}

/* One record each, of an inner text; what is read of it, or why not. */
static void rfc8446_5_and_6_what_a_record_may_hold(void **state) {
    static const struct {
        const char *inner;
        size_t bytes;
        sk_err verdict;
        const char *data, *why;
    } cases[] = {
        {"hello\x17", 6, SK_ERR_AGAIN, "hello", ""},
        {"hello\x17\0\0\0", 9, SK_ERR_AGAIN, "hello", ""}, /* 5.4 padding */
        {"\x17\0\0", 3, SK_ERR_AGAIN, "", ""},             /* 5.1: empty application data */
        {"\0\0\0", 3, SK_ERR_TLS, "", "a record without a type"},
        {"\1\x14", 2, SK_ERR_TLS, "", "a record of an unexpected type"},
        {"x\x7f", 2, SK_ERR_TLS, "", "a record of an unexpected type"},
        {"\x16", 1, SK_ERR_TLS, "", "empty handshake record"},
        {"\4\0\0\0\x16", 5, SK_ERR_TLS, "", "unexpected message"},       /* no ticket from a client */
        {"\x18\0\0\1\0\x16", 6, SK_ERR_AGAIN, "", ""},                   /* 4.6.3 */
        {"\x18\0\0\1\2\x16", 6, SK_ERR_TLS, "", "malformed key update"}, /* 4.6.3 */
        {"\x18\0\0\2\0\x16", 6, SK_ERR_TLS, "", "unexpected message"},
        {"\x18\0\0\1\0\x18\x16", 7, SK_ERR_TLS, "", "a message behind a key update"}, /* 5.1 */
        {"\1\0\x15", 3, SK_ERR_END, "", ""},                                          /* 6.1 */
        {"\1\x5a\x15", 3, SK_ERR_AGAIN, "", ""},                                      /* user_canceled */
        {"\2\x28\x15", 3, SK_ERR_TLS, "", "alert from the peer"},                     /* 6.2 */
        {"\1\x15", 2, SK_ERR_TLS, "", "malformed alert"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct side side;
        char data[100];
        size_t bytes;
        side_open(&side);
        send_inner(&side, (const uint8_t *)cases[i].inner, cases[i].bytes);
        assert_int_equal(read_all(&side, sizeof data, data, &bytes), cases[i].verdict);
        assert_int_equal(bytes, strlen(cases[i].data));
        assert_memory_equal(data, cases[i].data, bytes);
        assert_string_equal(side.record.error, cases[i].why);
        side_close(&side);
    }
}

/* What is wrong before anything is decrypted, or by the tag: it ends with an alert, and for good. */
static void rfc8446_5_2_malformed_records(void **state) {
    static const struct {
        const char *text;
        size_t bytes;
        const char *why;
    } cases[] = {
        {"\x14\3\3\0\1\1", 6, "a record without protection"}, /* 5: no change_cipher_spec any more */
        {"\x15\3\3\0\2\2\x28", 7, "a record without protection"},
        {"\x17\3\3\x41\1", 5, "record overflow"},
        {"\x17\3\3\0\x10", 5, "malformed record"},
        {"\x17\3\3\0\x11"
         "0123456789abcdefg",
         22, "bad record mac"},
    };
    for (size_t i = 0; i < SK_COUNT(cases); i++) {
        struct side side;
        char data[100];
        size_t bytes;
        side_open(&side);
        assert_ok(sk_buf_append(&side.input, (sk_str){cases[i].text, cases[i].bytes}));
        assert_int_equal(read_all(&side, sizeof data, data, &bytes), SK_ERR_TLS);
        assert_string_equal(side.record.error, cases[i].why);
        assert_int_equal(sk_buf_len(&side.output), 5 + 2 + 1 + 16);
        send_inner(&side, (const uint8_t *)"x\x17", 2);
        assert_int_equal(read_all(&side, sizeof data, data, &bytes), SK_ERR_TLS);
        side_close(&side);
    }
}

static void rfc8446_5_4_the_longest_record_and_one_more(void **state) {
    static uint8_t inner[WIRE_TLS_RECORD_BYTES + 2];
    static char data[2 * WIRE_TLS_RECORD_BYTES];
    static const size_t rooms[] = {WIRE_TLS_RECORD_BYTES + 100, 999};
    for (int i = 0; i < 4; i++) {
        struct side side;
        size_t bytes, room = rooms[i % 2], longest = WIRE_TLS_RECORD_BYTES + (i > 1);
        side_open(&side);
        memset(inner, 'x', longest);
        inner[longest] = 23;
        send_inner(&side, inner, longest + 1);
        assert_int_equal(read_all(&side, room, data, &bytes), i > 1 ? SK_ERR_TLS : SK_ERR_AGAIN);
        assert_int_equal(bytes, i > 1 ? 0 : WIRE_TLS_RECORD_BYTES);
        if (i < 2) assert_null(side.record.plain.data); /* nothing is kept */
        side_close(&side);
    }
}

static void records_without_content_are_bounded(void **state) {
    struct side side;
    char data[10];
    size_t bytes;
    side_open(&side);
    for (int i = 0; i < 100; i++) send_inner(&side, (const uint8_t *)"\x17", 1);
    assert_int_equal(read_all(&side, sizeof data, data, &bytes), SK_ERR_TLS);
    assert_string_equal(side.record.error, "too many records without content");
    side_close(&side);
}

static void rfc8446_5_1_messages_in_parts(void **state) {
    struct side side;
    char data[10];
    size_t bytes;
    side_open(&side);
    send_inner(&side, (const uint8_t *)"\x18\0\x16", 3);
    send_inner(&side, (const uint8_t *)"\0\1\0\x16", 4);
    assert_int_equal(read_all(&side, sizeof data, data, &bytes), SK_ERR_AGAIN);
    assert_int_equal(side.record.key_updates, 1);
    side_close(&side);
    side_open(&side);
    send_inner(&side, (const uint8_t *)"\x18\0\x16", 3);
    send_inner(&side, (const uint8_t *)"x\x17", 2);
    assert_int_equal(read_all(&side, sizeof data, data, &bytes), SK_ERR_TLS);
    assert_string_equal(side.record.error, "a message was interrupted");
    side_close(&side);
}

/* The two ends against each other, with every suite, over new keys of both. */
static void rfc8446_4_6_3_keys_change(void **state) {
    static const uint16_t suites[] = {0x1301, 0x1302, 0x1303};
    for (size_t i = 0; i < SK_COUNT(suites); i++) {
        struct side a = {0}, b = {0};
        char data[100];
        size_t bytes;
        memset(a.record.in.secret, 1, WIRE_TLS_SECRET_BYTES);
        memset(a.record.out.secret, 2, WIRE_TLS_SECRET_BYTES);
        memset(b.record.in.secret, 2, WIRE_TLS_SECRET_BYTES);
        memset(b.record.out.secret, 1, WIRE_TLS_SECRET_BYTES);
        assert_ok(wire_tls_record_start(&a.record, suites[i]));
        assert_ok(wire_tls_record_start(&b.record, suites[i]));
        a.record.out.sequence = b.record.in.sequence = UINT64_C(1) << 24; /* 5.5: enough of this key */
        for (int turn = 0; turn < 3; turn++) {
            assert_ok(wire_tls_record_write(&a.record, "question", 8, &a.output));
            assert_ok(sk_buf_append(&b.input, sk_buf_str(&a.output)));
            sk_buf_clear(&a.output);
            assert_int_equal(read_all(&b, sizeof data, data, &bytes), SK_ERR_AGAIN);
            assert_int_equal(bytes, 8);
            assert_memory_equal(data, "question", 8);
        }
        assert_int_equal(b.record.key_updates, 1);
        assert_int_equal(b.record.in.sequence, 3);
        side_close(&a);
        side_close(&b);
    }
    assert_false(wire_tls_record_knows(0x1304));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc8448_3_the_records_of_the_example),
        cmocka_unit_test(rfc8446_5_and_6_what_a_record_may_hold),
        cmocka_unit_test(rfc8446_5_2_malformed_records),
        cmocka_unit_test(rfc8446_5_4_the_longest_record_and_one_more),
        cmocka_unit_test(records_without_content_are_bounded),
        cmocka_unit_test(rfc8446_5_1_messages_in_parts),
        cmocka_unit_test(rfc8446_4_6_3_keys_change),
    };
    return SK_RUN_TESTS(tests);
}
