// What the redact_*.c files share: the known values compiled into an automaton, and the spans of a text that must go.
#ifndef DX_POLICY_REDACT_PARTS_H
#define DX_POLICY_REDACT_PARTS_H

#include <pthread.h>

#include "policy/redact.h"

// --- memory for secrets (redact_memory.c): zeroed, on pages of its own, locked and kept out of core dumps where the system allows it

typedef struct dx_secret_memory {
    void *taken; // what dx_memory_free gets
    void *data;  // whole pages
    size_t size; // of these, bytes
} dx_secret_memory;
dx_status dx_secret_memory_take(dx_secret_memory *out, size_t size) DX_MUST_USE;
void dx_secret_memory_free(dx_secret_memory *memory); // wipes

// --- the automaton (redact_automaton.c): Aho and Corasick, 1975

typedef struct dx_automaton_node {
    uint32_t child, sibling; // 0: none
    uint32_t fail;
    uint32_t longest; // bytes of the longest value that ends here; 0: none does
    uint32_t value;   // bytes of the value whose last byte this is; 0: none
    unsigned char byte;
} dx_automaton_node;

typedef struct dx_automaton {
    size_t users; // guarded by the redactor's lock
    dx_secret_memory memory;
    dx_automaton_node *nodes; // 0: the root
    uint32_t first[256];      // the root's children
    uint32_t count;
    size_t shortest, longest; // values, bytes; 0 without values
} dx_automaton;

// From all values; NULL without memory.
dx_automaton *dx_automaton_create(const dx_slice *values, size_t count);
void dx_automaton_destroy(dx_automaton *automaton);
// The state after one more byte.
uint32_t dx_automaton_step(const dx_automaton *automaton, uint32_t state, unsigned char byte);

// --- spans (redact_span.c)

typedef struct dx_span {
    size_t from, to;
} dx_span;

typedef struct dx_spans {
    dx_span *items;
    size_t count, capacity;
    size_t barrier; // items before this one are of an earlier pass, and not merged with
    dx_status status;
} dx_spans;
void dx_spans_deinit(dx_spans *spans);
void dx_spans_begin_pass(dx_spans *spans);
// Within a pass, `to` never falls from one call to the next.
void dx_spans_add(dx_spans *spans, size_t from, size_t to);
// Appends `text` with DX_REDACTED in place of each run of spans that touch.
dx_status dx_spans_write(dx_spans *spans, dx_buffer *out, dx_slice text) DX_MUST_USE;

// --- finders: each adds spans of `text`

void dx_redact_find_values(const dx_automaton *automaton, dx_spans *spans, dx_slice text);                     // redact_value.c
void dx_redact_find_patterns(dx_spans *spans, dx_slice text);                                                  // redact_pattern.c
void dx_redact_find_cards(dx_spans *spans, dx_slice text);                                                     // redact_pattern.c
void dx_redact_find_named(dx_redactor *redactor, dx_spans *spans, dx_slice text);                              // redact_name.c
void dx_redact_find_parameters(dx_redactor *redactor, dx_spans *spans, dx_slice text, size_t from, size_t to); // redact_name.c

// --- the redactor (redact_known.c)

// The automaton of the present values, kept alive until it is released; NULL when there are none.
dx_status dx_redactor_hold(dx_redactor *redactor, dx_automaton **out) DX_MUST_USE;
void dx_redactor_release(dx_redactor *redactor, dx_automaton *automaton);

// --- names (redact_name.c)

#define DX_REDACT_NAME_CAP 64 // bytes, folded; longer ones are no secret's name
// Folded: in lower case, without separators. False when it is too long.
bool dx_redact_fold(char out[DX_REDACT_NAME_CAP], size_t *size, dx_slice name);
bool dx_redact_is_built_in(dx_slice folded);

typedef struct dx_redact_value {
    size_t at, size; // in the pool
    size_t times;
} dx_redact_value;

struct dx_redactor {
    dx_redact_options options;
    pthread_mutex_t lock; // of all below
    dx_redact_value *values;
    size_t value_count, value_capacity;
    dx_secret_memory pool; // the values' bytes, one behind the other
    size_t pool_used;
    dx_automaton *automaton; // of the present values; NULL: to be made
    dx_slice *names;         // folded, on the heap
    size_t name_count, name_capacity;
};

#endif
