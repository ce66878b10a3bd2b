// What reading and writing a bound struct share: one run's state, the way to the place it stands at, and the rows of a model's table. The
// public contract is duplex/model.h; these are its insides.
#ifndef DX_MODEL_BIND_H
#define DX_MODEL_BIND_H

#include "codec/json.h"
#include "duplex/model.h"

// A chain on the C stack, written out as a pointer only for an error.
typedef struct dx_bind_step {
    const struct dx_bind_step *parent; // NULL: the whole document
    const char *name;                  // in JSON; NULL: an array's index
    size_t number;                     // bytes of `name`, or the index
} dx_bind_step;

enum { DX_BIND_CHECKED = 8 };
typedef struct dx_bind {
    dx_error *error; // may be NULL
    dx_error_code code;
    unsigned flags;
    dx_arena *scratch;                        // reading: the document; writing: made when raw JSON is met
    dx_buffer text;                           // reading: a raw value on its way; writing: what is written. Heap
    size_t taken;                             // reading: bytes allocated for the struct
    size_t depth;                             // writing: containers that are open
    const dx_model *checked[DX_BIND_CHECKED]; // tables that were found usable in this run, the latest ones
    size_t checks;
} dx_bind;

// Sets the error, unless there is one; returns false, so that a check reads `return dx_bind_fail(…)`.
bool dx_bind_fail(dx_bind *bind, const dx_bind_step *step, dx_error_code code, const char *format, ...) DX_PRINTF(4, 5);
bool dx_bind_no_memory(dx_bind *bind, const dx_bind_step *step);
// Zeroes `error` and begins a run.
void dx_bind_start(dx_bind *bind, unsigned flags, dx_error *error);

// Whether a table can be used: version, number of members, names within their cap, nested models of the sizes that they have in the struct.
bool dx_bind_check(dx_bind *bind, const dx_model *model, const dx_bind_step *step);

// The member's name in JSON: `space` has room for 2 * DX_MODEL_NAME_CAP bytes.
dx_slice dx_bind_name(char *space, const dx_model *model, const dx_member *member);
// The member that has this name in JSON, or NULL. `*hint` is where to look first, and then the member after the one that was found:
// mostly, JSON comes in the order of the table.
const dx_member *dx_bind_find(const dx_model *model, dx_slice name, size_t *hint);
// The struct's DX_MEMBER_EXTRA, or NULL.
dx_model_extra *dx_bind_extra(const dx_model *model, const void *in);

static inline void *dx_bind_at(const void *in, size_t offset) {
    return (char *)in + offset;
}
static inline size_t dx_bind_count(const dx_member *member, const void *in) {
    return *(const size_t *)dx_bind_at(in, member->count);
}
static inline unsigned dx_bind_kind(const dx_member *member) { // of an array: of its elements
    return member->kind & ~(unsigned)DX_KIND_ARRAY;
}

#endif
