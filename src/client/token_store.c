// The setting "store" of an auth object: {"type": "memory" | "file" | "redis", …}.
#include "client/token_store.h"

#include "base/memory.h"
#include "config/seal_keys.h"

static dx_status add_keys(dx_auth_reader *store, dx_fernet_ring *ring, const dx_token_store_plan *plan) {
    dx_seal_fault fault = dx_seal_keys_missing();
    const char *list = plan->variable(plan->ctx, DX_SEAL_KEYS_VARIABLE), *file = plan->variable(plan->ctx, DX_SEAL_KEY_FILE_VARIABLE);
    dx_status status = DX_OK;
    if (list && *list) status = dx_seal_keys_from_list(ring, dx_slice_str(list), DX_SEAL_KEYS_VARIABLE, store->arena, &fault);
    if (status == DX_OK && file && *file) status = dx_seal_keys_from_file(ring, file, store->arena, &fault);
    if (status == DX_NO_MEMORY) return status;
    if (status == DX_OK && ring->count) return DX_OK;
    dx_auth_refuse(store, "seal", "%.*s; %.*s", DX_SLICE_ARG(fault.what), DX_SLICE_ARG(fault.remedy));
    return DX_INVALID;
}

static dx_status make_ring(dx_fernet_ring **out, dx_auth_reader *store, const dx_token_store_plan *plan) {
    *out = NULL;
    if (!dx_auth_flag(store, "seal", false)) return DX_OK;
    dx_fernet_ring *ring = dx_memory_zalloc(1, sizeof *ring);
    if (!ring) return DX_NO_MEMORY;
    dx_fernet_ring_init(ring);
    dx_status status = add_keys(store, ring, plan);
    if (status == DX_OK) {
        *out = ring;
        return DX_OK;
    }
    dx_fernet_ring_deinit(ring);
    dx_memory_free(ring);
    return status;
}

enum { IN_MEMORY, IN_FILE, IN_REDIS };

static dx_status create(dx_token_store **out, dx_auth_reader *store, const dx_token_store_plan *plan) {
    static const char *const types[] = {"memory", "file", "redis", NULL};
    static const char *const names[][5] = {{NULL}, {"path", "seal", NULL}, {"url", "prefix", "seal", NULL}};
    unsigned type = dx_auth_word(store, "type", types, plan->keep ? IN_FILE : IN_MEMORY);
    dx_fernet_ring *ring = NULL;
    dx_auth_know(store, names[type]);
    dx_status status = type == IN_MEMORY ? DX_OK : make_ring(&ring, store, plan);
    if (status == DX_OK && type != IN_MEMORY)
        status = type == IN_FILE ? dx_token_file_create(out, store, plan) : dx_token_redis_create(out, store, plan);
    if (*out) {
        (*out)->ring = ring;
        return status;
    }
    if (ring) dx_fernet_ring_deinit(ring);
    dx_memory_free(ring);
    return status;
}

dx_status dx_token_store_create(dx_token_store **out, dx_auth_reader *reader, const dx_token_store_plan *plan) {
    *out = NULL;
    dx_auth_reader store = dx_auth_reader_within(reader, "store");
    dx_status status = create(out, &store, plan);
    if (status == DX_OK) status = store.status;
    if (status != DX_OK) {
        dx_token_store_destroy(*out);
        *out = NULL;
        if (store.status == DX_OK) store.status = status;
    }
    dx_auth_reader_join(reader, &store);
    return status;
}

void dx_token_store_destroy(dx_token_store *store) {
    if (!store) return;
    if (store->ring) dx_fernet_ring_deinit(store->ring);
    dx_memory_free(store->ring);
    store->ops->destroy(store);
}
