/* Skerry-Peer of requests and responses: what is taken is written again and read as the same. */
#include "fuzz.h"
#include "grid/peer_field.h"

static void look_at_ask(sk_str value) {
    struct grid_ask ask, again;
    char text[GRID_ASK_BYTES];
    if (grid_ask_parse(value, &ask)) return;
    MUST(ask.hop_count > 0 && ask.hop_count <= GRID_HOPS_MAX);
    sk_str made = {text, grid_ask_format(&ask, text)};
    MUST(grid_ask_parse(made, &again) == SK_OK && again.hop_count == ask.hop_count);
    MUST(again.fresh == ask.fresh && again.only_stored == ask.only_stored);
}

static void look_at_word(sk_str value) {
    struct grid_word word, again;
    char text[GRID_WORD_BYTES];
    if (grid_word_parse(value, &word)) return;
    MUST(word.tag_count <= GRID_TAGS_MAX);
    sk_str made = {text, grid_word_format(&word, text)};
    MUST(grid_word_parse(made, &again) == SK_OK && again.held_us == word.held_us);
    MUST(again.tag_count == word.tag_count && again.tags_untold == word.tags_untold);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *copy = exact_copy(data, bytes);
    look_at_ask((sk_str){copy, bytes});
    look_at_word((sk_str){copy, bytes});
    free(copy);
    return 0;
}
