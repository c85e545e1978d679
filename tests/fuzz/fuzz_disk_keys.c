/* A slot of the file of sites' keys: with its sum as it came, and made right. What is read is written the same. */
#include "cache/disk_keys.h"
#include "fuzz.h"

static void read_slot(const uint8_t *data) {
    struct disk_keys_slot slot, again;
    uint8_t out[DISK_KEYS_SLOT_BYTES];
    if (disk_keys_slot_decode(data, &slot)) return;
    MUST(slot.number > 0 && slot.number <= DISK_SITE_MAX);
    disk_keys_slot_encode(&slot, out);
    MUST(disk_keys_slot_decode(out, &again) == SK_OK);
    MUST(again.number == slot.number && again.erased == slot.erased);
    MUST(slot.erased || memcmp(again.wrapped, slot.wrapped, sizeof slot.wrapped) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    uint8_t slot[DISK_KEYS_SLOT_BYTES] = {0};
    if (bytes) memcpy(slot, data, SK_MIN(bytes, sizeof slot));
    read_slot(slot);
    memcpy(slot, "SKEY", 4);
    uint64_t sum = disk_checksum(slot, 120, 0x59454b53u);
    memcpy(slot + 120, &sum, sizeof sum);
    read_slot(slot);
    return 0;
}
