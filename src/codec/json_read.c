// Reading JSON: yyjson parses (without recursion) into one flat array of values, and a second pass over that array checks what yyjson
// does not: depth and duplicate names. The array lies in the order of the text, so the pass needs no recursion either.
#include "base/hash.h"
#include "base/memory.h"
#include "codec/json_internal.h"

static void *alc_malloc(void *ctx, size_t size) {
    return dx_arena_alloc(ctx, size);
}

static void *alc_realloc(void *ctx, void *piece, size_t old_size, size_t size) {
    return dx_arena_realloc(ctx, piece, old_size, size);
}

static void alc_free(void *ctx, void *piece) {
    (void)ctx;
    (void)piece;
}

yyjson_alc dx_json_alc(dx_arena *arena) {
    return (yyjson_alc){alc_malloc, alc_realloc, alc_free, arena};
}

yyjson_mut_doc *dx_json_mut_doc(dx_arena *arena) {
    yyjson_alc alc = dx_json_alc(arena);
    return yyjson_mut_doc_new(&alc);
}

struct walk {
    dx_arena *arena;
    dx_slice text;
    dx_diags *diags;
    size_t depth, depth_cap;
    yyjson_val *open[DX_JSON_DEPTH_MAX]; // the containers around the present value, outermost first
};

// Appends what leads from `container` to `child`, a value directly in it.
static void add_step(dx_buffer *pointer, yyjson_val *container, const yyjson_val *child) {
    bool object = yyjson_is_obj(container);
    yyjson_val *at = container + 1;
    for (size_t i = 0, count = unsafe_yyjson_get_len(container); i < count; i++) {
        yyjson_val *name = at;
        if (object) at++;
        if (at == child) {
            dx_buffer_byte(pointer, '/');
            if (object) {
                dx_json_pointer_escape(pointer, dx_json_slice(name));
            } else {
                dx_buffer_u64(pointer, i);
            }
            return;
        }
        at = unsafe_yyjson_get_next(at);
    }
}

static dx_slice pointer_to_innermost(struct walk *walk) {
    dx_buffer pointer;
    dx_buffer_init(&pointer, walk->arena, walk->text.size + 16 * DX_JSON_DEPTH_MAX);
    for (size_t i = 1; i < walk->depth; i++) add_step(&pointer, walk->open[i - 1], walk->open[i]);
    return dx_buffer_slice(&pointer);
}

static void locate(struct walk *walk, dx_diag *diag, dx_json_place place) {
    size_t offset;
    if (diag && dx_json_find(walk->text, diag->pointer, place, &offset)) {
        dx_json_line_column(walk->text, offset, &diag->line, &diag->column);
    }
}

static DX_COLD dx_status too_deep(struct walk *walk) {
    if (walk->diags == NULL) return DX_MALFORMED;
    dx_diag *diag = dx_diags_add(walk->diags, DX_MALFORMED, pointer_to_innermost(walk), "nested deeper than %zu levels", walk->depth_cap);
    locate(walk, diag, DX_JSON_AT_VALUE);
    return DX_MALFORMED;
}

static DX_COLD dx_status name_twice(struct walk *walk, const yyjson_val *name) {
    if (walk->diags == NULL) return DX_MALFORMED;
    dx_slice text = dx_json_slice(name);
    dx_slice pointer = dx_json_pointer_join(walk->arena, pointer_to_innermost(walk), text);
    dx_diag *diag = dx_diags_add(walk->diags, DX_MALFORMED, pointer, "the name \"%.*s\" stands twice in one object",
                                 (int)(text.size < 100 ? text.size : 100), text.data);
    locate(walk, diag, DX_JSON_AT_LAST_NAME);
    return DX_MALFORMED;
}

static inline bool same_name(const yyjson_val *a, const yyjson_val *b) {
    // Lengths first: most pairs differ there. (Tags as a whole do not compare: they also tell whether a name was written with escapes.)
    size_t size = unsafe_yyjson_get_len((void *)a);
    return size == unsafe_yyjson_get_len((void *)b) && memcmp(a->uni.str, b->uni.str, size) == 0;
}

static dx_status check_few_names(struct walk *walk, yyjson_val *object) {
    yyjson_val *names[16];
    size_t count = unsafe_yyjson_get_len(object);
    yyjson_val *name = object + 1;
    for (size_t i = 0; i < count; i++, name = unsafe_yyjson_get_next(name + 1)) {
        for (size_t j = 0; j < i; j++) {
            if (DX_UNLIKELY(same_name(names[j], name))) return name_twice(walk, name);
        }
        names[i] = name;
    }
    return DX_OK;
}

// A table of the names' places in the array, on the heap because it is wanted for a moment only. Its size is bounded by the text's.
static dx_status check_many_names(struct walk *walk, yyjson_val *object) {
    size_t count = unsafe_yyjson_get_len(object), slots = 64;
    while (slots < count * 2) slots *= 2;
    uint32_t *table = dx_memory_zalloc(slots, sizeof *table);
    if (table == NULL) return DX_NO_MEMORY;
    dx_status status = DX_OK;
    yyjson_val *name = object + 1;
    for (size_t i = 0; i < count && status == DX_OK; i++, name = unsafe_yyjson_get_next(name + 1)) {
        size_t at = dx_hash(dx_json_slice(name)) & (slots - 1);
        while (table[at] && !same_name(object + table[at], name)) at = (at + 1) & (slots - 1);
        if (table[at]) {
            status = name_twice(walk, name);
        } else {
            table[at] = (uint32_t)(name - object);
        }
    }
    dx_memory_free(table);
    return status;
}

static dx_status check(struct walk *walk, yyjson_val *root, bool allow_duplicates) {
    const yyjson_val *end = unsafe_yyjson_get_next(root);
    for (yyjson_val *at = root; at < end; at++) {
        while (walk->depth && at >= unsafe_yyjson_get_next(walk->open[walk->depth - 1])) walk->depth--;
        if (!unsafe_yyjson_is_ctn(at)) continue;
        if (walk->depth == walk->depth_cap) return too_deep(walk);
        walk->open[walk->depth++] = at;
        if (allow_duplicates || !yyjson_is_obj(at)) continue;
        dx_status status = unsafe_yyjson_get_len(at) <= 16 ? check_few_names(walk, at) : check_many_names(walk, at);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static DX_COLD dx_status refused(dx_slice text, const yyjson_read_err *error, dx_diags *diags) {
    if (error->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) return DX_NO_MEMORY;
    dx_diag *diag = dx_diags_add(diags, DX_MALFORMED, DX_SLICE(""), "not valid JSON: %s", error->msg);
    if (diag) dx_json_line_column(text, error->pos, &diag->line, &diag->column);
    return DX_MALFORMED;
}

static const size_t TEXT_CAP = (size_t)1 << 31; // keeps places in the array of values within 32 bits

dx_status dx_json_read(yyjson_doc **out, dx_arena *arena, dx_slice text, const dx_json_options *options, dx_diags *diags) {
    *out = NULL;
    if (text.size == 0) {
        dx_diag *diag = dx_diags_add(diags, DX_MALFORMED, DX_SLICE(""), "not valid JSON: the text is empty");
        if (diag) diag->line = diag->column = 1;
        return DX_MALFORMED;
    }
    if (text.size > TEXT_CAP) return DX_NO_MEMORY;
    yyjson_alc alc = dx_json_alc(arena);
    yyjson_read_err error;
    yyjson_read_flag flags = options && options->raw_numbers ? YYJSON_READ_NUMBER_AS_RAW : YYJSON_READ_NOFLAG;
    // Without YYJSON_READ_INSITU the text is only read.
    yyjson_doc *doc = yyjson_read_opts((char *)text.data, text.size, flags, &alc, &error);
    if (doc == NULL) return refused(text, &error, diags);
    struct walk walk;
    walk.arena = arena;
    walk.text = text;
    walk.diags = diags;
    walk.depth = 0;
    walk.depth_cap = options && options->depth_cap ? options->depth_cap : DX_JSON_DEPTH_CAP;
    if (walk.depth_cap > DX_JSON_DEPTH_MAX) walk.depth_cap = DX_JSON_DEPTH_MAX;
    dx_status status = check(&walk, yyjson_doc_get_root(doc), options && options->allow_duplicates);
    if (status == DX_OK) *out = doc;
    return status;
}
