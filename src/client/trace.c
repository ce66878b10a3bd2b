// An id that is made is a number of the client's, made unlike any other by a secret seed: nothing is asked of the kernel for each call.
#include "client/trace.h"

#include "client/client.h"
#include "client/fail.h"
#include "codec/text.h"

enum { ID_SIZE = 32, TRACEPARENT_SIZE = 55 };

// A bijection of 64 bits (splitmix64's), so that different numbers stay different.
static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static void make_id(dx_client *client, char out[ID_SIZE]) {
    uint64_t number = atomic_fetch_add_explicit(&client->id_next, 1, memory_order_relaxed);
    uint64_t words[2] = {mix(client->id_seed[0] + number), mix(client->id_seed[1] ^ number)};
    dx_hex_encode(out, words, sizeof words);
}

static bool is_hex(dx_slice text) {
    bool any = false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        any = any || c != '0';
    }
    return any;
}

// The trace of an id that is a traceparent, or 32 hex digits; empty: it has none.
static dx_slice trace_of(dx_slice id) {
    if (id.size == ID_SIZE && is_hex(id)) return id;
    if (id.size != TRACEPARENT_SIZE || !dx_slice_starts(id, DX_SLICE("00-")) || id.data[35] != '-' || id.data[52] != '-')
        return (dx_slice){0};
    dx_slice trace = dx_slice_of(id.data + 3, ID_SIZE);
    return is_hex(trace) ? trace : (dx_slice){0};
}

static bool can_be_sent(dx_slice id) {
    if (id.size == 0 || id.size > DX_CORRELATION_CAP) return false;
    for (size_t i = 0; i < id.size; i++)
        if (id.data[i] <= ' ' || id.data[i] >= 127) return false;
    return true;
}

dx_error_code dx_trace_begin(dx_call *call, const char *given, dx_error *error) {
    dx_slice id = dx_slice_str(given);
    if (!given) {
        char *made = dx_arena_bytes(call->arena, ID_SIZE + 1);
        if (!made) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the call");
        make_id(call->client, made);
        made[ID_SIZE] = '\0';
        call->correlation_id = dx_slice_of(made, ID_SIZE);
        return DX_ERROR_NONE;
    }
    if (!can_be_sent(id))
        return dx_fail(error, DX_ERROR_ARGUMENT, "a correlation id has 1 to %d characters of ASCII without spaces", DX_CORRELATION_CAP);
    call->correlation_id = dx_arena_copy(call->arena, id);
    if (!call->correlation_id.data) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the call");
    dx_slice trace = trace_of(id);
    if (trace.size)
        memcpy(call->x.trace_id, trace.data, ID_SIZE);
    else
        make_id(call->client, call->x.trace_id);
    return DX_ERROR_NONE;
}

static bool add(dx_call *call, dx_slice name, dx_slice value) {
    dx_fields *fields = &call->bound.fields;
    if (dx_fields_find(fields, name).data) return true;
    return value.data && dx_fields_add(fields, call->arena, name, value) == DX_OK;
}

dx_error_code dx_trace_send(dx_call *call, const char *given, dx_error *error) {
    char span[ID_SIZE];
    if (!given || !call->settings->trace) return DX_ERROR_NONE;
    make_id(call->client, span);
    dx_slice parent = dx_arena_printf(call->arena, "00-%.*s-%.*s-01", ID_SIZE, call->x.trace_id, ID_SIZE / 2, span);
    if (add(call, DX_SLICE("X-Request-Id"), call->correlation_id) && add(call, DX_SLICE("traceparent"), parent)) return DX_ERROR_NONE;
    return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the call");
}
