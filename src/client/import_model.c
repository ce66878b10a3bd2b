// Which schemas become models, and under which names. Every component is one; so is what a reference leads to elsewhere in the document,
// and what a body holds. A model is made once, however many refer to it, so circles are no trouble.
#include "client/import_parts.h"
#include "model/schema.h"

#define NAME_CAP   54   // leaves room for a number behind, within the 63 that a model's name may have
#define WALK_CAP   4096 // schemas that are looked at to say that one is not recursive
#define WALK_DEPTH 64
#define COMPONENTS "/components/schemas/"
#define CHECK_CAP  ((size_t)1 << 30)
#define CHECK_TOLD 20 // models that are told to be of no use

// Without the escapes of JSON pointers.
static dx_slice last_token(dx_importer *im, dx_slice pointer) {
    dx_buffer token;
    size_t at = pointer.size;
    while (at && pointer.data[at - 1] != '/') at--;
    dx_buffer_init(&token, im->arena, pointer.size + 1);
    for (; at < pointer.size; at++) {
        bool escape = pointer.data[at] == '~' && at + 1 < pointer.size;
        dx_buffer_byte(&token, !escape ? pointer.data[at] : pointer.data[at + 1] == '1' ? '/' : '~');
        at += escape;
    }
    if (dx_buffer_status(&token) != DX_OK) im->status = DX_NO_MEMORY;
    return dx_buffer_slice(&token);
}

// A name as a definition takes it: a letter or "_", then letters, digits, "_", "." and "-".
static dx_slice model_name(dx_importer *im, dx_slice text) {
    char made[NAME_CAP];
    size_t size = 0;
    for (size_t i = 0; i < text.size && size < sizeof made; i++) {
        char byte = text.data[i], lower = (char)(byte | 0x20);
        bool letter = (lower >= 'a' && lower <= 'z') || byte == '_', digit = byte >= '0' && byte <= '9';
        if (!size && !letter) made[size++] = '_';
        if (letter || digit || ((byte == '.' || byte == '-') && size))
            made[size++] = byte;
        else if (size && made[size - 1] != '_')
            made[size++] = '_';
    }
    dx_slice name = dx_arena_copy(im->arena, size ? dx_slice_of(made, size) : DX_SLICE("Model"));
    if (!name.data) im->status = DX_NO_MEMORY;
    return name;
}

dx_slice dx_import_model(dx_importer *im, yyjson_val *schema, dx_slice pointer, dx_slice wish) {
    dx_import_pending *known = dx_map_get(&im->model_of, pointer);
    if (known) return known->name;
    if (im->model_names.count >= DX_IMPORT_MODELS_CAP) {
        if (im->status == DX_OK) dx_import_tell(im, pointer, "the document makes more than %u models", DX_IMPORT_MODELS_CAP);
        im->status = im->status == DX_OK ? DX_TOO_LARGE : im->status;
        return (dx_slice){NULL, 0};
    }
    dx_slice own = wish.size ? wish : last_token(im, pointer), name = dx_import_unique(im, &im->model_names, model_name(im, own));
    dx_import_pending *made = DX_ARENA_NEW(im->arena, dx_import_pending);
    if (!made || !name.data) {
        im->status = DX_NO_MEMORY;
        return (dx_slice){NULL, 0};
    }
    *made = (dx_import_pending){.name = name, .pointer = pointer, .schema = schema};
    if (dx_map_put(&im->model_of, pointer, made) != DX_OK) im->status = DX_NO_MEMORY;
    *im->todo_end = made;
    im->todo_end = &made->next;
    bool component = dx_slice_starts(pointer, DX_SLICE(COMPONENTS));
    if (component && !wish.size && !dx_slice_equal(name, own)) dx_import_tell(im, pointer, "is the model \"%.*s\" now", DX_SLICE_ARG(name));
    return name;
}

void dx_import_components(dx_importer *im) {
    size_t i, count;
    yyjson_val *name, *schema, *all = yyjson_obj_get(yyjson_obj_get(im->document, "components"), "schemas");
    yyjson_obj_foreach(all, i, count, name, schema) {
        if (im->status != DX_OK) return;
        dx_slice pointer = dx_json_pointer_join(im->arena, DX_SLICE("/components/schemas"), dx_json_slice(name));
        (void)dx_import_model(im, schema, pointer, (dx_slice){NULL, 0});
    }
}

void dx_import_models(dx_importer *im) {
    for (; im->todo && im->status == DX_OK; im->todo = im->todo->next) {
        yyjson_val *schema = im->todo->schema;
        dx_slice end = im->todo->pointer;
        bool circle = yyjson_is_obj(schema) && yyjson_is_str(yyjson_obj_get(schema, "$ref")) && !dx_import_resolve(im, schema, &end);
        yyjson_mut_val *made = circle ? dx_import_object(im) : dx_import_schema(im, schema, im->todo->pointer);
        if (made && dx_import_is_deep(made)) {
            dx_import_tell(im, im->todo->pointer, "is nested too deeply for a definition; whatever comes is taken");
            made = dx_import_object(im);
        }
        dx_import_add(im, im->models, im->todo->name, made);
    }
    im->todo_end = &im->todo;
}

// --- recursion ------------------------------------------------------------------------------------------------------------------

typedef struct walk {
    dx_importer *im;
    size_t seen;
} walk;

// Follows references and looks into all that a schema holds. What is too large to be sure of counts as recursive.
static bool leads_back(walk *w, yyjson_val *value, int depth) {
    size_t i, count;
    yyjson_val *name, *item;
    if (!yyjson_is_ctn(value)) return false;
    if (depth > WALK_DEPTH || ++w->seen > WALK_CAP) return true;
    yyjson_val *ref = yyjson_is_obj(value) ? yyjson_obj_get(value, "$ref") : NULL;
    if (yyjson_is_str(ref) && dx_slice_starts(dx_json_slice(ref), DX_SLICE("#/"))) {
        yyjson_val *target = dx_json_at(w->im->document, dx_slice_from(dx_json_slice(ref), 1));
        if (target && leads_back(w, target, depth + 1)) return true;
    }
    yyjson_arr_foreach(value, i, count, item) {
        if (leads_back(w, item, depth + 1)) return true;
    }
    yyjson_obj_foreach(value, i, count, name, item) {
        if (leads_back(w, item, depth + 1)) return true;
    }
    return false;
}

bool dx_import_is_recursive(dx_importer *im, yyjson_val *schema) {
    walk w = {.im = im};
    return leads_back(&w, schema, 0);
}

// --- the models together ---------------------------------------------------------------------------------------------------------

// Compiles every model as a server or a client will, and tells those that can't be.
void dx_import_check_models(dx_importer *im, yyjson_mut_val *root) {
    size_t i, count, told = 0;
    yyjson_mut_val *name, *model;
    dx_arena *scratch = dx_arena_create(CHECK_CAP);
    yyjson_alc alc = scratch ? dx_json_alc(scratch) : (yyjson_alc){0};
    yyjson_doc *frozen = scratch ? yyjson_mut_val_imut_copy(root, &alc) : NULL;
    dx_schema_set *set = frozen ? dx_schema_set_create(scratch, false) : NULL;
    if (!set || dx_schema_set_add(set, DX_SLICE(""), yyjson_doc_get_root(frozen)) == DX_NO_MEMORY) im->status = DX_NO_MEMORY;
    yyjson_mut_obj_foreach(im->models, i, count, name, model) {
        if (im->status != DX_OK || told == CHECK_TOLD) break;
        const dx_schema *compiled;
        dx_diags found;
        dx_diags_init(&found, scratch);
        dx_slice uri = dx_arena_printf(scratch, "#/models/%s", yyjson_mut_get_str(name));
        dx_status status = dx_schema_compile(&compiled, set, uri, &found);
        if (status == DX_NO_MEMORY) im->status = status;
        if (status == DX_OK || !found.first || im->status != DX_OK) continue;
        dx_slice text = dx_diag_text(found.first, scratch);
        dx_import_tell(im, (dx_slice){NULL, 0}, "the model \"%s\" can't be used before it is mended: %.*s", yyjson_mut_get_str(name),
                       DX_SLICE_ARG(text));
        told++;
    }
    dx_arena_destroy(scratch);
}
