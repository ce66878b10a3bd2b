// Relations between models: reading them from the schemas, and finding what an object relates to. See registry.h.
#include "model/registry_parts.h"

static dx_status complain(dx_models *models, dx_diags *diags, dx_slice at, const char *member, const char *message) {
    dx_slice pointer = dx_json_pointer_join(models->arena, at, dx_slice_str(member));
    dx_diags_add(diags, DX_INVALID, pointer.data ? pointer : at, "%s", message);
    return DX_INVALID;
}

static dx_status read_relation(dx_models *models, dx_named_model *model, dx_slice property, yyjson_val *json, dx_slice at,
                               dx_diags *diags) {
    if (!yyjson_is_obj(json)) {
        dx_diags_add(diags, DX_INVALID, at, "must be an object with \"model\" and \"kind\"");
        return DX_INVALID;
    }
    dx_slice kind = dx_json_member_slice(json, "kind"), target = dx_json_member_slice(json, "model");
    yyjson_val *key = yyjson_obj_get(json, "key");
    bool many = dx_slice_equal(kind, DX_SLICE("many"));
    if (!many && !dx_slice_equal(kind, DX_SLICE("one"))) return complain(models, diags, at, "kind", "must be \"one\" or \"many\"");
    if (key && !yyjson_is_str(key)) return complain(models, diags, at, "key", "must be the name of a member");
    const dx_named_model *other = dx_models_find(models, target);
    if (!other) {
        (void)complain(models, diags, at, "model", "must be the name of a model");
        if (diags && diags->last && target.size) dx_diag_suggest(diags, diags->last, dx_models_nearest(models, target));
        return DX_INVALID;
    }
    dx_relation *relation = DX_ARENA_NEW(models->arena, dx_relation);
    if (!relation) return DX_NO_MEMORY;
    *relation = (dx_relation){.property = property, .key = dx_json_slice(key), .many = many, .target = other, .next = model->relations};
    model->relations = relation;
    return DX_OK;
}

dx_status dx_relations_read(dx_models *models, dx_named_model *model, dx_slice pointer, dx_diags *diags) {
    size_t i, max;
    yyjson_val *key, *property, *properties = yyjson_obj_get(model->json, "properties");
    dx_status result = DX_OK;
    model->relations = NULL; // building may be tried again
    yyjson_obj_foreach(properties, i, max, key, property) {
        yyjson_val *json = yyjson_obj_get(property, DX_RELATION_KEYWORD);
        if (!json) continue;
        dx_slice at = dx_json_pointer_join(models->arena, pointer, DX_SLICE("properties"));
        if (at.data) at = dx_json_pointer_join(models->arena, at, dx_json_slice(key));
        if (at.data) at = dx_json_pointer_join(models->arena, at, DX_SLICE(DX_RELATION_KEYWORD));
        dx_status status = at.data ? read_relation(models, model, dx_json_slice(key), json, at, diags) : DX_NO_MEMORY;
        if (status == DX_NO_MEMORY) return status;
        if (status != DX_OK) result = status;
    }
    return result;
}

// --- what an object relates to ---------------------------------------------------------------------------------------------

typedef struct search {
    dx_related *out;
    size_t room;
    yyjson_val *pool;
    dx_map by_id; // id as text → object of the pool; filled when first needed
    bool indexed;
    dx_arena *arena;
} search;

static bool is_id(yyjson_val *value) {
    return yyjson_is_str(value) || yyjson_is_num(value);
}

static dx_slice id_text(dx_arena *arena, yyjson_val *id) {
    dx_buffer text;
    dx_buffer_init(&text, arena, DX_MODEL_TEXT_CAP);
    dx_json_write_value(&text, id); // a text is quoted: 7 and "7" are two
    return dx_buffer_status(&text) == DX_OK ? dx_buffer_slice(&text) : (dx_slice){NULL, 0};
}

static dx_status give(search *s, yyjson_val *item) {
    if (s->out->count == s->room) {
        size_t room = s->room ? s->room * 2 : 4;
        yyjson_val **items = dx_arena_realloc(s->arena, s->out->items, s->room * sizeof *items, room * sizeof *items);
        if (!items) return DX_NO_MEMORY;
        s->out->items = items;
        s->room = room;
    }
    s->out->items[s->out->count++] = item;
    return DX_OK;
}

static dx_status index_pool(search *s) {
    size_t i, max;
    yyjson_val *item;
    s->indexed = true;
    dx_map_init(&s->by_id, s->arena);
    yyjson_arr_foreach(s->pool, i, max, item) {
        yyjson_val *id = yyjson_obj_get(item, "id");
        if (!is_id(id)) continue;
        dx_slice text = id_text(s->arena, id);
        if (!text.data) return DX_NO_MEMORY;
        if (!dx_map_get(&s->by_id, text) && dx_map_put(&s->by_id, text, item) != DX_OK) return DX_NO_MEMORY;
    }
    return DX_OK;
}

static dx_status give_by_id(search *s, yyjson_val *id) {
    if (!is_id(id) || !s->pool) return DX_OK;
    dx_status status = s->indexed ? DX_OK : index_pool(s);
    dx_slice text = status == DX_OK ? id_text(s->arena, id) : (dx_slice){NULL, 0};
    if (!text.data) return DX_NO_MEMORY;
    yyjson_val *item = dx_map_get(&s->by_id, text);
    return item ? give(s, item) : DX_OK;
}

static dx_status give_one(search *s, yyjson_val *value) {
    return yyjson_is_obj(value) ? give(s, value) : give_by_id(s, value);
}

static dx_status give_all(search *s, yyjson_val *values) {
    size_t i, max;
    yyjson_val *value;
    dx_status status = DX_OK;
    yyjson_arr_foreach(values, i, max, value) {
        if (status == DX_OK) status = give_one(s, value);
    }
    return status;
}

// Those of the pool whose `key` is the id.
static dx_status give_by_key(search *s, dx_slice key, yyjson_val *id) {
    size_t i, max;
    yyjson_val *item;
    dx_status status = DX_OK;
    if (!is_id(id)) return DX_OK;
    yyjson_arr_foreach(s->pool, i, max, item) {
        yyjson_val *theirs = yyjson_obj_getn(item, key.data, key.size);
        if (status == DX_OK && theirs && dx_json_equal(theirs, id)) status = give(s, item);
    }
    return status;
}

dx_status dx_models_related(dx_related *out, const dx_models *models, dx_slice name, yyjson_val *value, dx_slice relation, yyjson_val *pool,
                            dx_arena *arena) {
    *out = (dx_related){0};
    const dx_named_model *model = dx_models_find(models, name);
    const dx_relation *r = model ? model->relations : NULL;
    while (r && !dx_slice_equal(r->property, relation)) r = r->next;
    if (!r) return DX_NOT_FOUND;
    out->model = r->target->name;
    out->many = r->many;
    search s = {.out = out, .pool = pool, .arena = arena};
    yyjson_val *there = relation.size ? yyjson_obj_getn(value, relation.data, relation.size) : yyjson_obj_get(value, "");
    if (there && !yyjson_is_null(there)) return r->many ? give_all(&s, there) : give_one(&s, there);
    if (!r->key.size) return DX_OK;
    if (r->many) return give_by_key(&s, r->key, yyjson_obj_get(value, "id"));
    return give_by_id(&s, yyjson_obj_getn(value, r->key.data, r->key.size));
}
