#include "client/pages_place.h"

#include "base/hash.h"
#include "base/memory.h"

void dx_place_clear(dx_place *place) {
    dx_memory_free(place->text);
    *place = (dx_place){0};
}

dx_status dx_place_set(dx_place *out, dx_place_kind kind, dx_slice text) {
    char *copy = dx_memory_alloc(text.size + 1);
    if (copy && text.size) memcpy(copy, text.data, text.size); // before the old text goes: it may be a part of it
    dx_place_clear(out);
    if (!copy) return DX_NO_MEMORY;
    copy[text.size] = '\0';
    *out = (dx_place){.kind = kind, .text = copy, .size = text.size};
    return DX_OK;
}

dx_status dx_place_copy(dx_place *out, const dx_place *from) {
    if (from->text) return dx_place_set(out, from->kind, dx_slice_of(from->text, from->size));
    dx_place_clear(out);
    *out = *from;
    return DX_OK;
}

void dx_place_move(dx_place *out, dx_place *from) {
    dx_place_clear(out);
    *out = *from;
    *from = (dx_place){0};
}

bool dx_place_equal(const dx_place *a, const dx_place *b) {
    return a->kind == b->kind && a->number == b->number && dx_slice_equal(dx_slice_of(a->text, a->size), dx_slice_of(b->text, b->size));
}

uint64_t dx_place_hash(const dx_place *place) {
    uint64_t hash = dx_hash(dx_slice_of(place->text, place->size)) ^ place->number;
    return hash ? hash : 1;
}
