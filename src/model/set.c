// Reading documents into a set: a walk over every place where a schema can stand (not into `enum`, `const` or unknown keywords) that notes
// each "$id", "$anchor" and "$dynamicAnchor"; and finding what a reference means.
#include "model/set.h"

#include "codec/text.h"
#include "model/keyword.h"
#include "model/uri.h"

const dx_place *dx_place_create(dx_arena *arena, const dx_place *parent, dx_slice token) {
    dx_place *place = DX_ARENA_NEW(arena, dx_place);
    if (place) *place = (dx_place){parent, token};
    return place;
}

dx_slice dx_place_pointer(dx_arena *arena, const dx_place *place) {
    const dx_place *chain[DX_SCHEMA_DEPTH_CAP * 4];
    size_t depth = 0;
    for (; place && place->parent && depth < DX_COUNT_OF(chain); place = place->parent) chain[depth++] = place;
    dx_slice pointer = {"", 0};
    while (depth && pointer.data) pointer = dx_json_pointer_join(arena, pointer, chain[--depth]->token);
    return pointer.data ? pointer : (dx_slice){"", 0};
}

dx_schema_set *dx_schema_set_create(dx_arena *arena, bool assert_formats) {
    dx_schema_set *set = DX_ARENA_NEW(arena, dx_schema_set);
    if (!set) return NULL;
    set->arena = arena;
    set->assert_formats = assert_formats;
    dx_map_init(&set->roots, arena);
    dx_map_init(&set->roots_by_value, arena);
    dx_map_init(&set->nodes, arena);
    dx_map_init(&set->dynamics, arena);
    dx_map_init(&set->patterns, arena);
    return dx_keywords_build(&set->keywords, arena) == DX_OK ? set : NULL;
}

dx_resource_root *dx_set_root_at(const dx_schema_set *set, yyjson_val *value) {
    return dx_map_get(&set->roots_by_value, dx_address_key(&value));
}

static dx_status add_uri(dx_schema_set *set, dx_slice uri, dx_resource_root *root) {
    dx_resource_root *other = dx_map_get(&set->roots, uri);
    if (!other) return dx_map_put(&set->roots, uri, root);
    if (other != root) other->ambiguous = true;
    return DX_OK;
}

// The resource's own URI: its "$id" against the base around it.
static dx_slice own_uri(dx_schema_set *set, dx_slice base, yyjson_val *value) {
    dx_slice id = dx_json_member_slice(value, "$id"), fragment;
    return id.data ? dx_uri_resolve(set->arena, base, id, &fragment) : base;
}

static dx_status add_root(dx_schema_set *set, dx_resource_root **out, dx_slice base, dx_slice document, yyjson_val *value,
                          const dx_place *place) {
    dx_resource_root *root = DX_ARENA_NEW(set->arena, dx_resource_root);
    if (!root) return DX_NO_MEMORY;
    *root = (dx_resource_root){.uri = own_uri(set, base, value), .value = value, .place = place, .document = document};
    if (!root->uri.data && base.data) return DX_NO_MEMORY;
    dx_map_init(&root->anchors, set->arena);
    dx_status status = dx_map_put(&set->roots_by_value, dx_address_key(&root->value), root);
    if (status == DX_OK) status = add_uri(set, root->uri, root);
    *out = root;
    return status;
}

static dx_status add_dynamic(dx_schema_set *set, const dx_resource_root *root, dx_slice name, const dx_anchor *anchor) {
    dx_dynamic_name *known = dx_map_get(&set->dynamics, name);
    if (!known) {
        known = DX_ARENA_NEW(set->arena, dx_dynamic_name);
        if (!known || dx_map_put(&set->dynamics, name, known) != DX_OK) return DX_NO_MEMORY;
        known->name = name;
    }
    dx_dynamic_target *target = DX_ARENA_NEW(set->arena, dx_dynamic_target);
    if (!target) return DX_NO_MEMORY;
    *target = (dx_dynamic_target){.root = root, .value = anchor->value, .place = anchor->place, .next = known->targets};
    known->targets = target;
    return DX_OK;
}

static dx_status add_anchor(dx_schema_set *set, dx_resource_root *root, yyjson_val *value, const dx_place *place, bool dynamic) {
    dx_slice name = dx_json_member_slice(value, dynamic ? "$dynamicAnchor" : "$anchor");
    const dx_anchor *known = name.size ? dx_map_get(&root->anchors, name) : NULL;
    if (!name.size || (known && (!dynamic || (known->dynamic && known->value == value)))) return DX_OK;
    dx_anchor *anchor = DX_ARENA_NEW(set->arena, dx_anchor);
    if (!anchor) return DX_NO_MEMORY;
    *anchor = (dx_anchor){value, place, dynamic};
    if (dx_map_put(&root->anchors, name, anchor) != DX_OK) return DX_NO_MEMORY;
    return dynamic ? add_dynamic(set, root, name, anchor) : DX_OK;
}

typedef struct walk {
    dx_schema_set *set;
    dx_slice document;
    unsigned depth;
} walk;

static dx_status walk_schema(walk *w, dx_resource_root *root, yyjson_val *value, const dx_place *place);

static dx_status walk_child(walk *w, dx_resource_root *root, yyjson_val *value, const dx_place *parent, dx_slice token) {
    if (!yyjson_is_obj(value)) return DX_OK;
    const dx_place *place = dx_place_create(w->set->arena, parent, token);
    return place ? walk_schema(w, root, value, place) : DX_NO_MEMORY;
}

// The schemas below one keyword.
static dx_status walk_keyword(walk *w, dx_resource_root *root, const dx_keyword *keyword, yyjson_val *value, const dx_place *parent) {
    if (keyword->children == DX_CHILD_NONE) return DX_OK;
    if (keyword->children == DX_CHILD_SCHEMA) return walk_child(w, root, value, parent, keyword->name);
    const dx_place *place = dx_place_create(w->set->arena, parent, keyword->name);
    dx_status status = place ? DX_OK : DX_NO_MEMORY;
    size_t index, count;
    yyjson_val *key, *item;
    if (keyword->children == DX_CHILD_ARRAY) {
        yyjson_arr_foreach(value, index, count, item) {
            if (status != DX_OK) break;
            dx_slice token = dx_arena_printf(w->set->arena, "%zu", index);
            status = token.data ? walk_child(w, root, item, place, token) : DX_NO_MEMORY;
        }
    } else {
        yyjson_obj_foreach(value, index, count, key, item) {
            if (status == DX_OK) status = walk_child(w, root, item, place, dx_json_slice(key));
        }
    }
    return status;
}

// `root` is the resource around it, or its own when that is known already.
static dx_status walk_schema(walk *w, dx_resource_root *root, yyjson_val *value, const dx_place *place) {
    if (w->depth >= DX_SCHEMA_DEPTH_CAP) return DX_TOO_LARGE;
    dx_status status = DX_OK;
    dx_resource_root *own = dx_set_root_at(w->set, value);
    if (own)
        root = own;
    else if (dx_json_member_slice(value, "$id").size)
        status = add_root(w->set, &root, root->uri, w->document, value, place);
    if (status == DX_OK) status = add_anchor(w->set, root, value, place, false);
    if (status == DX_OK) status = add_anchor(w->set, root, value, place, true);
    w->depth++;
    size_t index, count;
    yyjson_val *key, *member;
    yyjson_obj_foreach(value, index, count, key, member) {
        if (status != DX_OK) break;
        const dx_keyword *keyword = dx_keyword_find(&w->set->keywords, dx_json_slice(key));
        if (keyword) status = walk_keyword(w, root, keyword, member, place);
    }
    w->depth--;
    return status;
}

dx_status dx_schema_set_add(dx_schema_set *set, dx_slice uri, yyjson_val *document) {
    dx_slice fragment;
    if (!document) return DX_INVALID;
    dx_slice base = dx_uri_resolve(set->arena, (dx_slice){"", 0}, uri, &fragment);
    const dx_place *place = dx_place_create(set->arena, NULL, (dx_slice){"", 0});
    if (!base.data || !place) return DX_NO_MEMORY;
    dx_resource_root *root;
    dx_status status = add_root(set, &root, base, base, document, place);
    if (status == DX_OK) status = add_uri(set, base, root);
    set->documents++;
    walk w = {.set = set, .document = base};
    if (status == DX_OK && yyjson_is_obj(document)) status = walk_schema(&w, root, document, place);
    return status;
}

dx_status dx_set_index(dx_schema_set *set, const dx_target *target) {
    walk w = {.set = set, .document = target->root->document};
    if (!yyjson_is_obj(target->value) || target->value == target->root->value) return DX_OK;
    return walk_schema(&w, target->root, target->value, target->place);
}

dx_status dx_set_add_metaschemas(dx_schema_set *set) {
    if (set->has_metaschemas) return DX_OK;
    set->has_metaschemas = true;
    for (size_t i = 0; i < dx_metaschema_count; i++) {
        yyjson_doc *document;
        dx_status status = dx_json_read(&document, set->arena, dx_slice_str(dx_metaschemas[i].text), NULL, NULL);
        if (status == DX_OK) status = dx_schema_set_add(set, dx_slice_str(dx_metaschemas[i].uri), yyjson_doc_get_root(document));
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status find_root(dx_schema_set *set, dx_slice uri, dx_resource_root **out) {
    static const dx_slice metaschemas = DX_SLICE_INIT("https://json-schema.org/draft/2020-12/");
    *out = dx_map_get(&set->roots, uri);
    if (!*out && dx_slice_starts(uri, metaschemas)) {
        dx_status status = dx_set_add_metaschemas(set);
        if (status != DX_OK) return status;
        *out = dx_map_get(&set->roots, uri);
    }
    return *out ? DX_OK : DX_NOT_FOUND;
}

// "~1" and "~0" undone, in the arena.
static dx_slice unescape(dx_arena *arena, dx_slice token) {
    if (dx_slice_find(token, '~') == SIZE_MAX) return token;
    char *data = dx_arena_bytes(arena, token.size), *to = data;
    for (size_t i = 0; data && i < token.size; i++) {
        char c = token.data[i];
        if (c == '~' && i + 1 < token.size) c = token.data[++i] == '1' ? '/' : '~';
        *to++ = c;
    }
    return dx_slice_of(data, data ? (size_t)(to - data) : 0);
}

static yyjson_val *step_into(yyjson_val *value, dx_slice token) {
    if (yyjson_is_obj(value)) return yyjson_obj_getn(value, token.data ? token.data : "", token.size);
    uint64_t index;
    if (!yyjson_is_arr(value) || !dx_slice_to_u64(token, &index) || (token.size > 1 && token.data[0] == '0')) return NULL;
    return yyjson_arr_get(value, index);
}

// Follows a JSON pointer; passing an "$id" changes the resource.
static dx_status follow_pointer(dx_schema_set *set, dx_slice pointer, dx_target *out) {
    dx_slice rest = dx_slice_of(pointer.data + 1, pointer.size - 1);
    if (!pointer.size) return DX_OK;
    while (rest.data) {
        dx_slice raw = dx_slice_cut(&rest, '/'), token = unescape(set->arena, raw);
        if (!token.data && raw.size) return DX_NO_MEMORY;
        out->value = step_into(out->value, token);
        if (!out->value) return DX_NOT_FOUND;
        out->place = dx_place_create(set->arena, out->place, token);
        if (!out->place) return DX_NO_MEMORY;
        dx_resource_root *inner = dx_set_root_at(set, out->value);
        if (inner) out->root = inner;
    }
    return DX_OK;
}

static dx_status follow_fragment(dx_schema_set *set, dx_slice encoded, dx_target *out) {
    dx_slice fragment = {0};
    if (!encoded.size) return DX_OK;
    dx_status status = dx_percent_decode(&fragment, set->arena, encoded, false);
    if (status != DX_OK) return status == DX_NO_MEMORY ? status : DX_NOT_FOUND;
    if (fragment.data[0] == '/') return follow_pointer(set, fragment, out);
    out->anchor = dx_map_get(&out->root->anchors, fragment);
    if (!out->anchor) return DX_NOT_FOUND;
    out->anchor_name = fragment;
    out->value = out->anchor->value;
    out->place = out->anchor->place;
    return DX_OK;
}

dx_status dx_set_resolve(dx_schema_set *set, dx_resource_root *base, dx_slice reference, dx_target *out) {
    dx_slice fragment = {0};
    dx_resource_root *root = base;
    dx_status status = DX_OK;
    if (base && reference.size && reference.data[0] == '#') {
        fragment = dx_slice_from(reference, 1);
    } else {
        dx_slice uri = dx_uri_resolve(set->arena, base ? base->uri : (dx_slice){"", 0}, reference, &fragment);
        if (!uri.data) return DX_NO_MEMORY;
        status = find_root(set, uri, &root);
    }
    if (status != DX_OK) return status;
    *out = (dx_target){.value = root->value, .root = root, .place = root->place};
    return follow_fragment(set, fragment, out);
}
