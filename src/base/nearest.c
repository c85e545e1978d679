#include "base/nearest.h"

/* Longer words are typing of another kind: they are near to nothing. */
enum { WORD_MAX = 40 };

struct sk_nearest sk_nearest_to(sk_str word) {
    return (struct sk_nearest){.word = word, .distance = SK_MAX(word.len / 3, 1) + 1};
}

static size_t min3(size_t a, size_t b, size_t c) { return SK_MIN(SK_MIN(a, b), c); }

/* Edits between two words where an edit inserts, removes or changes a letter or swaps two neighbours
 * (Damerau's, in its optimal string alignment form). */
static size_t edit_distance(sk_str a, sk_str b) {
    size_t rows[3][WORD_MAX + 1]; /* the last two rows of the table and the one being made */
    for (size_t j = 0; j <= b.len; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.data[i - 1] == b.data[j - 1];
            now[j] = min3(above[j] + 1, now[j - 1] + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                now[j] = SK_MIN(now[j], two_above[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

/* Case, '-' and '_' are not told apart. */
static sk_str fold(sk_str word, char out[WORD_MAX]) {
    sk_ascii_lower(out, word.data, word.len);
    for (size_t i = 0; i < word.len; i++)
        if (out[i] == '-') out[i] = '_';
    return sk_str_make(out, word.len);
}

static size_t distance_of(const struct sk_nearest *nearest, sk_str candidate) {
    char word[WORD_MAX], other[WORD_MAX];
    if (!nearest->word.len || nearest->word.len > WORD_MAX || candidate.len > WORD_MAX) return SIZE_MAX;
    return edit_distance(fold(nearest->word, word), fold(candidate, other));
}

bool sk_nearest_offer(struct sk_nearest *nearest, sk_str candidate) {
    size_t distance = distance_of(nearest, candidate);
    if (distance >= nearest->distance) return false;
    nearest->distance = distance;
    return nearest->found = true;
}

bool sk_nearest_is(const struct sk_nearest *nearest, sk_str candidate) {
    return nearest->found && distance_of(nearest, candidate) == nearest->distance;
}
