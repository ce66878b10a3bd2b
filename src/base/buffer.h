// A buffer: bytes that grow by appending, up to a cap. Its memory comes from the heap, or from an arena when one is given (then
// nothing needs freeing). Appending never fails halfway: a failure marks the buffer, later appends do nothing, and the caller
// asks once at the end (`dx_buffer_status`), so that writing code reads as a straight line.
#ifndef DX_BASE_BUFFER_H
#define DX_BASE_BUFFER_H

#include "base/arena.h"

typedef struct dx_buffer {
    char *data;
    size_t size;
    size_t capacity;
    size_t cap;       // `size` never passes this
    dx_arena *arena;  // NULL: heap
    dx_status status; // DX_OK, DX_TOO_LARGE (over the cap) or DX_NO_MEMORY
} dx_buffer;

void dx_buffer_init(dx_buffer *buffer, dx_arena *arena, size_t cap);
void dx_buffer_deinit(dx_buffer *buffer); // frees heap memory; wipes nothing
void dx_buffer_clear(dx_buffer *buffer);  // size 0, status OK, memory kept
void dx_buffer_fit(dx_buffer *buffer);    // gives the room behind the end back to the arena, if it is the last piece taken there

// Room for `more` bytes behind the end, or NULL with the status set; the caller writes there and adds to `size` itself.
char *dx_buffer_reserve_slow(dx_buffer *buffer, size_t more);
static inline char *dx_buffer_reserve(dx_buffer *buffer, size_t more) {
    // ">" keeps the empty buffer, whose data is NULL, off this path.
    if (DX_LIKELY(buffer->status == DX_OK && buffer->capacity - buffer->size > more)) return buffer->data + buffer->size;
    return dx_buffer_reserve_slow(buffer, more);
}

static inline void dx_buffer_append(dx_buffer *buffer, const void *data, size_t size) {
    char *to = dx_buffer_reserve(buffer, size);
    if (DX_LIKELY(to != NULL) && size) {
        memcpy(to, data, size);
        buffer->size += size;
    }
}
static inline void dx_buffer_add(dx_buffer *buffer, dx_slice text) {
    dx_buffer_append(buffer, text.data, text.size);
}
static inline void dx_buffer_byte(dx_buffer *buffer, char byte) {
    dx_buffer_append(buffer, &byte, 1);
}
#define DX_BUFFER_LIT(buffer, literal) dx_buffer_append((buffer), "" literal, sizeof(literal) - 1)

void dx_buffer_printf(dx_buffer *buffer, const char *format, ...) DX_PRINTF(2, 3);
// Decimal digits, without printf.
void dx_buffer_i64(dx_buffer *buffer, int64_t value);
void dx_buffer_u64(dx_buffer *buffer, uint64_t value);

static inline dx_slice dx_buffer_slice(const dx_buffer *buffer) {
    return (dx_slice){buffer->data, buffer->size};
}
static inline dx_status dx_buffer_status(const dx_buffer *buffer) {
    return buffer->status;
}

#endif
