// Sealed values: a string `encrypted:<Fernet token>` is replaced by what the token seals, which is then final: no variable in it is put in,
// and it is not opened again. Keys are looked up as variables are, when the first sealed value is met; what is wrong with them is told
// there, once. Neither a token, nor what it seals, nor a key is ever part of a finding.
#include "codec/text.h"
#include "config/parts.h"
#include "config/seal_keys.h"
#include "crypto/digest.h"

static void wipe_ring(void *ring) {
    dx_fernet_ring_deinit(ring);
}

// A path in `.env` is relative to that file, one in the environment to the working folder.
static dx_slice path_of(const dx_definition *definition, dx_slice value, bool from_dotenv) {
    bool beside = from_dotenv && value.data[0] != '/';
    return dx_arena_printf(definition->work, "%.*s%.*s", beside ? (int)definition->folder.size : 0,
                           definition->folder.size ? definition->folder.data : "", DX_SLICE_ARG(value));
}

static dx_status fill_ring(dx_definition *definition, dx_fernet_ring *ring, dx_seal_fault *fault) {
    bool from_dotenv;
    dx_slice list = dx_variable_look_up(definition, DX_SLICE(DX_SEAL_KEYS_VARIABLE), &from_dotenv);
    dx_status status = list.size ? dx_seal_keys_from_list(ring, list, DX_SEAL_KEYS_VARIABLE, definition->work, fault) : DX_OK;
    dx_slice file = dx_variable_look_up(definition, DX_SLICE(DX_SEAL_KEY_FILE_VARIABLE), &from_dotenv);
    if (status != DX_OK || !file.size) return status;
    dx_slice path = path_of(definition, file, from_dotenv);
    return path.data ? dx_seal_keys_from_file(ring, path.data, definition->work, fault) : DX_NO_MEMORY;
}

static void tell(dx_definition *definition, dx_slice pointer, const char *what, dx_slice remedy) {
    dx_diag *diag = dx_definition_refuse(definition, pointer, false, "%s", what);
    dx_diag_suggest(definition->diags, diag, remedy);
}

// The keys; without any, that is told at `pointer`, and `definition->ring` is left empty for all that come later.
static dx_status make_ring(dx_definition *definition, dx_slice pointer) {
    dx_seal_fault fault = dx_seal_keys_missing();
    dx_fernet_ring *ring = DX_ARENA_NEW(definition->work, dx_fernet_ring);
    if (!ring || dx_arena_defer(definition->work, wipe_ring, ring) != DX_OK) return DX_NO_MEMORY;
    dx_fernet_ring_init(ring);
    dx_status status = fill_ring(definition, ring, &fault);
    if (status == DX_NO_MEMORY) return status;
    definition->ring = ring;
    if (status == DX_OK && ring->count) return DX_OK;
    dx_fernet_ring_init(ring);
    dx_slice what = dx_arena_printf(definition->work, "is sealed, and cannot be opened: %.*s", DX_SLICE_ARG(fault.what));
    if (!what.data) return DX_NO_MEMORY;
    tell(definition, pointer, what.data, fault.remedy);
    return DX_INVALID;
}

// Whoever asks for the same place is told already.
static dx_status stay_silent(dx_definition *definition, dx_slice pointer) {
    dx_slice key = dx_arena_copy(definition->arena, pointer);
    if (!key.data || dx_map_put(&definition->broken, key, definition) != DX_OK) return DX_NO_MEMORY;
    return DX_INVALID;
}

static dx_status refuse(dx_definition *definition, dx_slice pointer, dx_status status) {
    if (status == DX_MALFORMED)
        tell(definition, pointer, "\"" DX_SEAL_PREFIX "\" is not followed by a Fernet token", DX_SLICE("`duplex secrets seal` makes one"));
    else if (status == DX_BAD_TOKEN)
        tell(definition, pointer, "no key that is given opens this sealed value: it was sealed with another one, or is damaged",
             DX_SLICE("put the key it was sealed with behind the newest, or seal it anew with `duplex secrets seal`"));
    else
        tell(definition, pointer, "this sealed value is too large", DX_SLICE("16 MiB is the most"));
    return DX_INVALID;
}

// What was opened goes with the work arena; the definition has a copy by then.
static void wipe_text(void *ctx) {
    dx_buffer *text = ctx;
    if (text->data) dx_secret_wipe(text->data, text->capacity);
}

dx_status dx_sealed_open(dx_definition *definition, dx_slice text, dx_slice pointer, dx_slice *out, dx_taint *taint) {
    static const dx_slice prefix = DX_SLICE_INIT(DX_SEAL_PREFIX);
    *out = text;
    if (!dx_slice_starts(text, prefix)) return DX_OK;
    dx_status status = definition->ring ? DX_OK : make_ring(definition, pointer);
    if (status != DX_OK) return status;
    if (!definition->ring->count) return stay_silent(definition, pointer);
    dx_buffer *opened = DX_ARENA_NEW(definition->work, dx_buffer);
    if (!opened) return DX_NO_MEMORY;
    dx_buffer_init(opened, definition->work, DX_DEFINITION_BYTES_CAP);
    if (dx_arena_defer(definition->work, wipe_text, opened) != DX_OK) return DX_NO_MEMORY;
    status = dx_fernet_open(opened, definition->ring, dx_slice_from(text, prefix.size), NULL, NULL);
    if (status == DX_NO_MEMORY) return status;
    if (status != DX_OK) return refuse(definition, pointer, status);
    if (!dx_utf8_valid(dx_buffer_slice(opened))) {
        tell(definition, pointer, "what is sealed here is not UTF-8", DX_SLICE("seal it anew, as text"));
        return DX_INVALID;
    }
    *out = opened->size ? dx_buffer_slice(opened) : (dx_slice){"", 0};
    *taint = DX_TAINT_WHOLE;
    return DX_OK;
}
