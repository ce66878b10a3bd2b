// Which rows a caller may see, as conditions for the store, and what an id in a path means. Every statement on rows of a resource is built
// with these, so that ownership and soft deletion can't be forgotten.
#include <ctype.h>

#include "codec/text.h"
#include "resource/row.h"

bool dx_resource_allowed(const dx_resource *resource, dx_resource_action action, const dx_principal *principal) {
    const dx_access *access = &resource->access[action];
    if (access->is_public) return true;
    if (!principal) return false;
    if (access->role_count == 0) return true;
    for (size_t i = 0; i < access->role_count; i++)
        if (dx_principal_has_role(principal, access->roles[i])) return true;
    return false;
}

bool dx_resource_scoped(const dx_resource *resource, dx_resource_action action, const dx_principal *principal) {
    if (!resource->owned || resource->access[action].is_public) return false;
    return !resource->owner_bypass_role.size || !dx_principal_has_role(principal, resource->owner_bypass_role);
}

dx_value dx_resource_owner_value(const dx_principal *principal) {
    return principal ? DX_INT_VALUE(principal->number) : DX_NULL_VALUE;
}

static dx_expr *compare(dx_arena *arena, int16_t column, dx_compare how, uint16_t param) {
    dx_expr *expr = DX_ARENA_NEW(arena, dx_expr);
    if (expr) *expr = (dx_expr){.kind = DX_EXPR_COMPARE, .column = (uint16_t)column, .compare = how, .param = param, .param_count = 1};
    return expr;
}

const dx_expr *dx_resource_where(dx_arena *arena, const dx_resource *resource, const dx_expr *also, bool scoped, uint16_t owner_param) {
    dx_expr *all = DX_ARENA_NEW(arena, dx_expr);
    const dx_expr **items = DX_ARENA_ARRAY(arena, const dx_expr *, 3);
    if (!all || !items) return NULL;
    uint16_t count = 0;
    if (also) items[count++] = also;
    if (scoped && !(items[count++] = compare(arena, resource->owner_column, DX_EQUAL, owner_param))) return NULL;
    if (resource->deleted_column >= 0 && !(items[count++] = compare(arena, resource->deleted_column, DX_IS_NULL, 0))) return NULL;
    *all = (dx_expr){.kind = DX_EXPR_AND, .items = items, .item_count = count};
    return all;
}

const dx_expr *dx_resource_where_id(dx_arena *arena, const dx_resource *resource, bool scoped, uint16_t first_param) {
    const dx_expr *id = compare(arena, 0, DX_EQUAL, first_param);
    return id ? dx_resource_where(arena, resource, id, scoped, (uint16_t)(first_param + 1)) : NULL;
}

const dx_statement *dx_resource_select_by_id(const dx_resource *resource, bool scoped) {
    return dx_resource_plans_of(resource)->by_id[scoped];
}

// --- ids -------------------------------------------------------------------------------------------------------------------

static bool uuid_read(dx_arena *arena, dx_slice text, dx_value *out) {
    if (!dx_uuid_valid(text)) return false;
    bool upper = false;
    for (size_t i = 0; i < text.size; i++) upper |= isupper((unsigned char)text.data[i]) != 0;
    if (upper) {
        char *lower = dx_arena_bytes(arena, text.size);
        if (!lower) return false;
        for (size_t i = 0; i < text.size; i++) lower[i] = (char)tolower((unsigned char)text.data[i]);
        text.data = lower;
    }
    *out = DX_TEXT_VALUE(text);
    return true;
}

bool dx_resource_id_read(const dx_resource *resource, dx_arena *arena, dx_slice text, dx_value *out) {
    if (resource->text_id) return uuid_read(arena, text, out);
    int64_t number;
    if (text.size == 0 || text.data[0] < '1' || text.data[0] > '9' || !dx_slice_to_i64(text, &number)) return false;
    *out = DX_INT_VALUE(number);
    return true;
}
