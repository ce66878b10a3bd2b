// Commands as the wire has them: an array of bulk strings, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".
#include "redis/redis_internal.h"

size_t dx_redis_arg_size(dx_slice arg) {
    return arg.size + DX_REDIS_HEAD_SIZE + 2;
}

static void put_count(dx_buffer *buffer, char kind, size_t count) {
    dx_buffer_byte(buffer, kind);
    dx_buffer_u64(buffer, count);
    DX_BUFFER_LIT(buffer, "\r\n");
}

void dx_redis_put_head(dx_buffer *buffer, size_t count) {
    put_count(buffer, '*', count);
}

void dx_redis_put_arg(dx_buffer *buffer, dx_slice arg) {
    put_count(buffer, '$', arg.size);
    dx_buffer_add(buffer, arg);
    DX_BUFFER_LIT(buffer, "\r\n");
}

dx_status dx_redis_room(dx_buffer *buffer, size_t size) {
    if (size > buffer->cap || buffer->size > buffer->cap - size) return DX_OVERLOADED;
    if (dx_buffer_reserve(buffer, size)) return DX_OK;
    buffer->status = DX_OK; // this command fails, not those behind it
    return DX_NO_MEMORY;
}

dx_status dx_redis_put(dx_buffer *buffer, const dx_slice *args, size_t count) {
    size_t size = DX_REDIS_HEAD_SIZE;
    for (size_t i = 0; i < count; i++) {
        if (args[i].size > buffer->cap) return DX_OVERLOADED;
        size += dx_redis_arg_size(args[i]);
    }
    dx_status status = dx_redis_room(buffer, size);
    if (status != DX_OK) return status;
    dx_redis_put_head(buffer, count);
    for (size_t i = 0; i < count; i++) dx_redis_put_arg(buffer, args[i]);
    return DX_OK;
}
