// Scripts by digest. What a script is called with is kept in the wire's form until the answer is there: both commands end with it, so the
// second one needs no arguments of the caller's any more.
#include "base/memory.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "redis/redis_internal.h"

void dx_redis_script_init(dx_redis_script *script, dx_slice source) {
    uint8_t digest[DX_SHA1_SIZE];
    dx_sha1(digest, source);
    script->source = source;
    dx_hex_encode(script->digest, digest, sizeof digest);
}

// The number of keys, the keys and the arguments.
static dx_status make_tail(dx_redis_call *call, size_t cap, const dx_slice *keys, size_t key_count, const dx_slice *args,
                           size_t arg_count) {
    size_t size = 2 * DX_REDIS_HEAD_SIZE;
    for (size_t i = 0; i < key_count + arg_count; i++) {
        dx_slice part = i < key_count ? keys[i] : args[i - key_count];
        if (part.size > cap) return DX_OVERLOADED;
        size += dx_redis_arg_size(part);
    }
    char number[24];
    dx_buffer text;
    dx_buffer_init(&text, NULL, size);
    dx_status status = dx_redis_room(&text, size);
    if (status != DX_OK) return status;
    size_t digits = 0, left = key_count;
    do {
        number[sizeof number - ++digits] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    dx_redis_put_arg(&text, dx_slice_of(number + sizeof number - digits, digits));
    for (size_t i = 0; i < key_count; i++) dx_redis_put_arg(&text, keys[i]);
    for (size_t i = 0; i < arg_count; i++) dx_redis_put_arg(&text, args[i]);
    call->tail = text.data; // freed with the call
    call->tail_size = text.size;
    call->tail_parts = 1 + key_count + arg_count;
    return DX_OK;
}

static dx_status put(dx_redis *redis, const dx_redis_call *call, dx_slice command, dx_slice script) {
    dx_buffer *out = &redis->out;
    if (script.size > out->cap) return DX_OVERLOADED;
    size_t size = DX_REDIS_HEAD_SIZE + dx_redis_arg_size(command) + dx_redis_arg_size(script) + call->tail_size;
    dx_status status = dx_redis_room(out, size);
    if (status != DX_OK) return status;
    dx_redis_put_head(out, 2 + call->tail_parts);
    dx_redis_put_arg(out, command);
    dx_redis_put_arg(out, script);
    dx_buffer_append(out, call->tail, call->tail_size);
    return DX_OK;
}

dx_status dx_redis_eval(dx_redis *redis, dx_redis_call *call, const dx_redis_script *script, const dx_slice *keys, size_t key_count,
                        const dx_slice *args, size_t arg_count, dx_nanos timeout) {
    call->redis = NULL;
    call->timer = (dx_timer){0};
    call->script = NULL;
    call->tail = NULL;
    bool fits = key_count <= DX_REDIS_ARGS_CAP && arg_count <= DX_REDIS_ARGS_CAP && key_count + arg_count + 3 <= DX_REDIS_ARGS_CAP;
    dx_status status = fits ? dx_redis_admit(redis) : DX_INVALID;
    if (status == DX_OK) status = make_tail(call, redis->settings.unsent_cap, keys, key_count, args, arg_count);
    if (status == DX_OK) status = put(redis, call, DX_SLICE("EVALSHA"), dx_slice_of(script->digest, sizeof script->digest));
    if (status != DX_OK) {
        dx_memory_free(call->tail);
        call->tail = NULL;
        dx_redis_bump(&redis->counters.refused, 1);
        return status;
    }
    call->script = script;
    dx_redis_track(redis, call, timeout > 0 ? timeout : redis->settings.command_timeout);
    return DX_OK;
}

bool dx_redis_script_resend(dx_redis *redis, dx_redis_call *call, const dx_redis_reply *reply, dx_status *failed) {
    if (reply->kind != DX_REDIS_ERROR || !dx_slice_starts(reply->text, DX_SLICE("NOSCRIPT"))) return false;
    const dx_redis_script *script = call->script;
    call->script = NULL; // once
    dx_status status = dx_redis_admit(redis);
    if (status == DX_OK) status = put(redis, call, DX_SLICE("EVAL"), script->source);
    if (status != DX_OK) {
        *failed = status;
        return false;
    }
    dx_redis_track(redis, call, 0); // its time runs on
    return true;
}
