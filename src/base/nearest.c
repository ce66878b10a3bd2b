// "Did you mean": the nearest of some known words by edits (insert, delete, replace, swap of two neighbours), upper and lower case alike.
// Words over WORD_CAP bytes are not compared.
#include "base/map.h"

#define WORD_CAP 64

static size_t smallest(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

static char lower(char byte) {
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

static size_t edits(dx_slice a, dx_slice b) {
    size_t rows[3][WORD_CAP + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.size; j++) above[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            char x = lower(a.data[i - 1]), y = lower(b.data[j - 1]);
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
            bool swapped = i > 1 && j > 1 && x == lower(b.data[j - 2]) && lower(a.data[i - 2]) == y;
            if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = above, above = row, row = spare;
    }
    return above[b.size];
}

typedef struct contest {
    dx_slice word, best;
    size_t best_edits; // a candidate must stay below it
} contest;

static contest contest_for(dx_slice word) {
    size_t allowed = word.size / 3;
    return (contest){.word = word, .best_edits = (allowed ? allowed : 1) + 1};
}

static void consider(contest *search, dx_slice candidate) {
    if (search->word.size > WORD_CAP || candidate.size > WORD_CAP || candidate.size == 0 || search->word.size < 2) return;
    size_t longer = candidate.size > search->word.size ? candidate.size : search->word.size;
    size_t shorter = candidate.size + search->word.size - longer;
    if (longer - shorter >= search->best_edits) return;
    size_t found = edits(search->word, candidate);
    if (found >= search->best_edits) return;
    search->best = candidate;
    search->best_edits = found;
}

dx_slice dx_nearest_word(dx_slice word, const dx_slice *candidates, size_t count) {
    contest search = contest_for(word);
    for (size_t i = 0; i < count; i++) consider(&search, candidates[i]);
    return search.best;
}

dx_slice dx_map_nearest(const dx_map *map, dx_slice key) {
    contest search = contest_for(key);
    dx_map_entry *entry;
    for (size_t i = 0; (entry = dx_map_next(map, &i));) consider(&search, entry->key);
    return search.best;
}
