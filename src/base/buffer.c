// Growing a buffer. Capacity doubles; near the cap, or when the doubled size is not to be had, it is exactly what is needed.
#include "base/buffer.h"

#include <stdio.h>

#include "base/memory.h"

static const size_t SMALLEST = 256;

void dx_buffer_init(dx_buffer *buffer, dx_arena *arena, size_t cap) {
    *buffer = (dx_buffer){.cap = cap, .arena = arena};
}

void dx_buffer_deinit(dx_buffer *buffer) {
    if (buffer->arena == NULL) dx_memory_free(buffer->data);
    buffer->data = NULL;
    buffer->size = buffer->capacity = 0;
}

void dx_buffer_clear(dx_buffer *buffer) {
    buffer->size = 0;
    buffer->status = DX_OK;
}

void dx_buffer_fit(dx_buffer *buffer) {
    if (!buffer->arena || !buffer->size) return;
    buffer->data = dx_arena_realloc(buffer->arena, buffer->data, buffer->capacity, buffer->size); // shrinking never fails
    buffer->capacity = buffer->size;
}

static bool grow_to(dx_buffer *buffer, size_t capacity) {
    char *data = buffer->arena ? dx_arena_realloc(buffer->arena, buffer->data, buffer->capacity, capacity)
                               : dx_memory_realloc(buffer->data, capacity);
    if (data == NULL) return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

char *dx_buffer_reserve_slow(dx_buffer *buffer, size_t more) {
    if (buffer->status != DX_OK) return NULL;
    if (more > buffer->cap - buffer->size) {
        buffer->status = DX_TOO_LARGE;
        return NULL;
    }
    size_t needed = buffer->size + more;
    if (buffer->data && needed <= buffer->capacity) return buffer->data + buffer->size;
    size_t wanted = buffer->capacity > buffer->cap / 2 ? buffer->cap : buffer->capacity * 2;
    if (wanted < SMALLEST) wanted = SMALLEST < buffer->cap ? SMALLEST : buffer->cap;
    if (wanted < needed) wanted = needed;
    if (!grow_to(buffer, wanted) && !(needed < wanted && grow_to(buffer, needed))) {
        buffer->status = DX_NO_MEMORY;
        return NULL;
    }
    return buffer->data + buffer->size;
}

void dx_buffer_printf(dx_buffer *buffer, const char *format, ...) {
    char small[512], *text = small;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (length >= (int)sizeof small) {
        text = dx_memory_alloc((size_t)length + 1);
        va_start(args, format);
        if (text) length = vsnprintf(text, (size_t)length + 1, format, args);
        va_end(args);
    }
    if (text && length >= 0) {
        dx_buffer_append(buffer, text, (size_t)length);
    } else if (buffer->status == DX_OK) {
        buffer->status = text ? DX_INTERNAL : DX_NO_MEMORY;
    }
    if (text != small) dx_memory_free(text);
}

static const char DIGIT_PAIRS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566"
    "676869707172737475767778798081828384858687888990919293949596979899";

// Writes backwards from `end`; returns where the digits start.
static char *digits(char *end, uint64_t value) {
    while (value >= 100) {
        end -= 2;
        memcpy(end, DIGIT_PAIRS + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, DIGIT_PAIRS + value * 2, 2);
    } else {
        *--end = (char)('0' + value);
    }
    return end;
}

void dx_buffer_u64(dx_buffer *buffer, uint64_t value) {
    char text[20], *end = text + sizeof text;
    char *start = digits(end, value);
    dx_buffer_append(buffer, start, (size_t)(end - start));
}

void dx_buffer_i64(dx_buffer *buffer, int64_t value) {
    char text[21], *end = text + sizeof text;
    char *start = digits(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0) *--start = '-';
    dx_buffer_append(buffer, start, (size_t)(end - start));
}
