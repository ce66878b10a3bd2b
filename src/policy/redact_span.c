// The spans of a text that must go. Within one pass they come by their ends, so that those which touch become one at once; in the end all
// passes are put in order.
#include <stdlib.h>

#include "base/memory.h"
#include "policy/redact_parts.h"

void dx_spans_deinit(dx_spans *spans) {
    dx_memory_free(spans->items);
    *spans = (dx_spans){.items = NULL};
}

void dx_spans_begin_pass(dx_spans *spans) {
    spans->barrier = spans->count;
}

static bool grow(dx_spans *spans) {
    if (spans->count < spans->capacity) return true;
    size_t capacity = spans->capacity ? spans->capacity * 2 : 16;
    dx_span *items = dx_memory_realloc(spans->items, capacity * sizeof *items);
    if (!items) {
        spans->status = DX_NO_MEMORY;
        return false;
    }
    spans->items = items;
    spans->capacity = capacity;
    return true;
}

void dx_spans_add(dx_spans *spans, size_t from, size_t to) {
    if (from >= to || spans->status != DX_OK) return;
    while (spans->count > spans->barrier && spans->items[spans->count - 1].to >= from) {
        dx_span last = spans->items[--spans->count];
        if (last.from < from) from = last.from;
        if (last.to > to) to = last.to;
    }
    if (grow(spans)) spans->items[spans->count++] = (dx_span){from, to};
}

static int compare(const void *a, const void *b) {
    const dx_span *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

dx_status dx_spans_write(dx_spans *spans, dx_buffer *out, dx_slice text) {
    if (spans->status != DX_OK) return spans->status;
    if (spans->count) qsort(spans->items, spans->count, sizeof *spans->items, compare);
    size_t done = 0;
    for (size_t i = 0; i < spans->count;) {
        dx_span span = spans->items[i];
        while (++i < spans->count && spans->items[i].from <= span.to)
            if (spans->items[i].to > span.to) span.to = spans->items[i].to;
        dx_buffer_append(out, text.data + done, span.from - done);
        DX_BUFFER_LIT(out, DX_REDACTED);
        done = span.to;
    }
    dx_buffer_add(out, dx_slice_from(text, done));
    return dx_buffer_status(out);
}
