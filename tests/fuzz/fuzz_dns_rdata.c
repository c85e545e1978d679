/* Any text as record data: the first two bytes choose the type, the third the room. */
#include <stdlib.h>

#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 3) return 0;
    uint16_t type = (uint16_t)(data[0] << 8 | data[1]);
    size_t room = data[2] == 255 ? 65535 : data[2], used;
    uint8_t *out = malloc(room + 1);
    struct dns_name name;
    if (!out) abort();
    sk_str text = sk_str_make((const char *)data + 3, bytes - 3);
    if (dns_rdata_parse(type, text, NULL, out, room, &used) == SK_OK && used > room) abort();
    if (dns_name_parse(text, NULL, &name) == SK_OK) {
        char formatted[1024];
        struct dns_name again;
        size_t length = dns_name_format(&name, formatted);
        if (dns_name_parse(sk_str_make(formatted, length), NULL, &again) || !dns_name_eq(&again, &name))
            abort();
    }
    free(out);
    return 0;
}
