// The query string of a read or a list: reserved parameters here, everything else as a condition (filter.c). Nothing is ignored: a
// parameter that is not known, stands twice or makes no sense is told, all of them at once.
#include "codec/text.h"
#include "resource/list.h"

typedef struct view_parser {
    dx_view *view;
    dx_resource_call *call;
    bool list;
    unsigned seen;                       // bits: reserved parameters so far
    dx_slice fields, expand, sort, page; // values, read at the end
    bool no_memory;
} view_parser;

// --- reserved parameters -------------------------------------------------------------------------------------------------------

static void set_fields(view_parser *p, dx_slice value) {
    p->fields = value;
}

static void set_expand(view_parser *p, dx_slice value) {
    p->expand = value;
}

static void set_sort(view_parser *p, dx_slice value) {
    p->sort = value;
}

static void set_page(view_parser *p, dx_slice value) {
    uint64_t page;
    p->page = value;
    if (!dx_slice_to_u64(value, &page) || page < 1 || page > DX_QUERY_PAGE_CAP)
        dx_resource_complain(p->call, DX_SLICE("page"), "expected a number from 1 to %d", DX_QUERY_PAGE_CAP);
    else
        p->view->page = (uint32_t)page;
}

static void set_page_size(view_parser *p, dx_slice value) {
    uint64_t size;
    uint32_t cap = p->call->resource->page_size_cap;
    if (!dx_slice_to_u64(value, &size) || size < 1 || size > cap)
        dx_resource_complain(p->call, DX_SLICE("page_size"), "expected a number from 1 to %u", cap);
    else
        p->view->page_size = (uint32_t)size;
}

static void set_cursor(view_parser *p, dx_slice value) {
    p->view->by_cursor = true;
    p->view->cursor = value;
}

static void set_count(view_parser *p, dx_slice value) {
    p->view->count_exact = dx_slice_equal(value, DX_SLICE("exact"));
    if (!p->view->count_exact && !dx_slice_equal(value, DX_SLICE("none")))
        dx_resource_complain(p->call, DX_SLICE("count"), "expected exact or none");
}

enum { COUNT_BIT = 1 << 6 };
static const struct {
    dx_slice name;
    void (*set)(view_parser *, dx_slice);
    bool of_reads;
} reserved[] = {
    {DX_SLICE_INIT("fields"), set_fields, true},        {DX_SLICE_INIT("expand"), set_expand, true},
    {DX_SLICE_INIT("sort"), set_sort, false},           {DX_SLICE_INIT("page"), set_page, false},
    {DX_SLICE_INIT("page_size"), set_page_size, false}, {DX_SLICE_INIT("cursor"), set_cursor, false},
    {DX_SLICE_INIT("count"), set_count, false},
};

static bool reserved_read(view_parser *p, dx_slice name, dx_slice value) {
    for (size_t i = 0; i < DX_COUNT_OF(reserved); i++) {
        if (!dx_slice_equal(reserved[i].name, name) || (!p->list && !reserved[i].of_reads)) continue;
        if (p->seen & (1u << i)) dx_resource_complain(p->call, name, "stands twice");
        p->seen |= 1u << i;
        reserved[i].set(p, value);
        return true;
    }
    return false;
}

// --- fields= and expand= -----------------------------------------------------------------------------------------------------------

static dx_slice expand_names(dx_arena *arena, const dx_resource *resource) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 16);
    dx_map_entry *entry;
    for (size_t at = 0, told = 0; (entry = dx_map_next(&resource->expand_names, &at)); told++) {
        if (told) DX_BUFFER_LIT(&text, ", ");
        dx_buffer_add(&text, entry->key);
    }
    return text.size ? dx_buffer_slice(&text) : DX_SLICE("no reference");
}

static void expand_add(view_parser *p, const dx_resource_field **list, dx_slice name) {
    const dx_resource *resource = p->call->resource;
    const dx_resource_field *field = dx_map_get(&resource->expand_names, name);
    if (!field || field->write_only) {
        dx_slice hint = dx_filter_hint(p->call->arena, &resource->expand_names, name);
        dx_slice names = expand_names(p->call->arena, resource);
        bool nested = dx_slice_find(name, '.') != SIZE_MAX;
        dx_resource_complain(p->call, DX_SLICE("expand"), "can't expand \"%.*s\"%.*s%s; this resource expands: %.*s", DX_SLICE_ARG(name),
                             DX_SLICE_ARG(hint), nested ? " (references of references are not expanded)" : "", DX_SLICE_ARG(names));
        return;
    }
    for (uint16_t i = 0; i < p->view->expand_count; i++)
        if (list[i] == field) return;
    if (p->view->expand_count == resource->expand_cap)
        dx_resource_complain(p->call, DX_SLICE("expand"), "expected at most %u references", resource->expand_cap);
    else
        list[p->view->expand_count++] = field;
}

static void expand_read(view_parser *p) {
    const dx_resource_field **list = DX_ARENA_ARRAY(p->call->arena, const dx_resource_field *, p->call->resource->expand_cap + 1);
    if (!list) {
        p->no_memory = true;
        return;
    }
    p->view->expand = list;
    size_t cap = DX_QUERY_VALUES_CAP;
    dx_slice rest = p->expand;
    while (rest.data && p->call->findings.count < DX_DIAGS_CAP && cap--) expand_add(p, list, dx_slice_cut(&rest, ','));
    if (rest.data) dx_resource_complain(p->call, DX_SLICE("expand"), "expected at most %d names", DX_QUERY_VALUES_CAP);
}

// `chosen`: one flag a field.
static void fields_choose(view_parser *p, bool *chosen) {
    const dx_resource *resource = p->call->resource;
    dx_slice rest = p->fields;
    for (size_t told = 0; rest.data && told < DX_DIAGS_CAP;) {
        dx_slice name = dx_slice_cut(&rest, ',');
        const dx_resource_field *field = dx_map_get(&resource->field_names, name), *expanded = dx_map_get(&resource->expand_names, name);
        bool asked = false; // fields=category&expand=category names what the row gets
        for (uint16_t i = 0; i < p->view->expand_count; i++) asked |= p->view->expand[i] == expanded;
        if (field && !field->write_only) {
            chosen[field - resource->fields] = true;
        } else if (!asked) {
            dx_slice hint = dx_filter_hint(p->call->arena, &resource->field_names, name);
            dx_resource_complain(p->call, DX_SLICE("fields"), "there is no field \"%.*s\"%.*s", DX_SLICE_ARG(name), DX_SLICE_ARG(hint));
            told++;
        }
    }
}

static void projection_read(view_parser *p) {
    const dx_resource *resource = p->call->resource;
    dx_view *view = p->view;
    if (p->expand.data) expand_read(p);
    view->projection.open = view->expand_count > 0;
    view->whole = !p->fields.data && !view->expand_count;
    if (view->whole || p->no_memory) return;
    bool *chosen = DX_ARENA_ARRAY(p->call->arena, bool, resource->field_count);
    uint16_t *list = DX_ARENA_ARRAY(p->call->arena, uint16_t, resource->field_count);
    if (!chosen || !list) {
        p->no_memory = true;
        return;
    }
    if (p->fields.data)
        fields_choose(p, chosen);
    else
        memset(chosen, true, resource->field_count);
    for (uint16_t i = 0; i < view->expand_count; i++)
        if (dx_slice_equal(view->expand[i]->name, view->expand[i]->expand_name)) chosen[view->expand[i] - resource->fields] = false;
    for (uint16_t i = 0; i < resource->field_count; i++)
        if (chosen[i]) list[view->projection.field_count++] = i;
    view->projection.fields = list;
}

// --- sort= ---------------------------------------------------------------------------------------------------------------------------

static void key_add(dx_view *view, const dx_resource *resource, const dx_resource_field *field, bool descending) {
    view->keys[view->key_count++] = (dx_sort_key){.column = field->column,
                                                  .descending = descending,
                                                  .nullable = !resource->table.columns[field->column].required && field->column != 0,
                                                  .type = field->type};
}

static bool has_key(const dx_view *view, uint16_t column) {
    for (uint16_t i = 0; i < view->key_count; i++)
        if (view->keys[i].column == column) return true;
    return false;
}

static void sort_add(view_parser *p, dx_slice name) {
    const dx_resource *resource = p->call->resource;
    bool descending = name.size && name.data[0] == '-';
    if (name.size && (name.data[0] == '-' || name.data[0] == '+' || name.data[0] == ' ')) name = dx_slice_from(name, 1);
    const dx_resource_field *field = dx_map_get(&resource->field_names, name);
    if (!field || !dx_field_is_sortable(field)) {
        dx_slice hint = field ? (dx_slice){0} : dx_filter_hint(p->call->arena, &resource->field_names, name);
        dx_slice names = dx_filter_names(p->call->arena, resource);
        dx_resource_complain(p->call, DX_SLICE("sort"), "can't sort by \"%.*s\"%.*s; fields to sort by: %.*s", DX_SLICE_ARG(name),
                             DX_SLICE_ARG(hint), DX_SLICE_ARG(names));
    } else if (has_key(p->view, field->column)) {
        dx_resource_complain(p->call, DX_SLICE("sort"), "\"%.*s\" stands twice", DX_SLICE_ARG(name));
    } else if (!has_key(p->view, 0)) { // behind id nothing can matter
        key_add(p->view, resource, field, descending);
    }
}

// Id makes every order total. It goes the way of the key before it, so that an index over that key gives the whole order.
static void sort_read(view_parser *p) {
    dx_slice rest = p->sort;
    size_t count = 0;
    for (; rest.data && count < DX_QUERY_SORT_CAP; count++) sort_add(p, dx_slice_cut(&rest, ','));
    if (rest.data) dx_resource_complain(p->call, DX_SLICE("sort"), "expected at most %d fields", DX_QUERY_SORT_CAP);
    dx_view *view = p->view;
    if (!has_key(view, 0))
        key_add(view, p->call->resource, &p->call->resource->fields[0], view->key_count && view->keys[view->key_count - 1].descending);
}

// --- all of it -----------------------------------------------------------------------------------------------------------------------

static bool param_read(view_parser *p, dx_slice name, dx_slice value) {
    if (reserved_read(p, name, value.data ? value : DX_SLICE(""))) return true;
    if (p->list) return dx_filter_read(p->view, p->call, name, value.data ? value : DX_SLICE(""));
    dx_resource_complain(p->call, name, "there is no such parameter; reading one row takes fields and expand");
    return true;
}

static dx_status params_read(view_parser *p) {
    dx_slice rest = p->call->query, name, value;
    dx_status status = DX_OK;
    for (size_t count = 0; dx_form_next(&rest, p->call->arena, &name, &value, &status); count++) {
        if (count == DX_QUERY_PARAMS_CAP) {
            dx_resource_complain(p->call, name, "expected at most %d parameters", DX_QUERY_PARAMS_CAP);
            return DX_INVALID;
        }
        if (name.size == 0 && value.size == 0) continue; // "a=1&&b=2"
        if (!param_read(p, name, value)) return DX_NO_MEMORY;
    }
    return status;
}

bool dx_view_read(dx_view *view, dx_resource_call *call, bool list, dx_status *status) {
    view_parser p = {.view = view, .call = call, .list = list};
    view->page = 1;
    view->page_size = call->resource->page_size;
    view->count_exact = call->resource->count_exact;
    if (call->query.size > DX_QUERY_BYTES_CAP) {
        *status = DX_URI_TOO_LONG;
        return false;
    }
    *status = params_read(&p);
    if (*status) return false;
    projection_read(&p);
    if (list) sort_read(&p);
    if (view->by_cursor && p.page.data)
        dx_resource_complain(call, DX_SLICE("page"), "a cursor says where the page starts: give one of the two");
    // By cursors a list can be of any length, so counting it for each page is only done when asked for.
    if (view->by_cursor && !(p.seen & COUNT_BIT)) view->count_exact = false;
    *status = p.no_memory ? DX_NO_MEMORY : call->findings.count ? DX_INVALID : DX_OK;
    return *status == DX_OK;
}

// --- links -----------------------------------------------------------------------------------------------------------------------------

// The raw text is kept as the client wrote it, so links look like the request.
dx_slice dx_view_link(dx_resource_call *call, dx_slice name, dx_slice value) {
    dx_buffer link;
    dx_buffer_init(&link, call->arena, DX_QUERY_BYTES_CAP + 2 * DX_CURSOR_SIZE_CAP + 4096);
    dx_buffer_add(&link, call->resource->base_path);
    char between = '?';
    dx_slice rest = call->query.size ? call->query : (dx_slice){0};
    while (rest.data) {
        dx_slice pair = dx_slice_cut(&rest, '&'), key = pair;
        size_t equals = dx_slice_find(pair, '=');
        if (equals != SIZE_MAX) key.size = equals;
        if (pair.size == 0 || dx_slice_equal(key, name)) continue;
        dx_buffer_byte(&link, between);
        dx_buffer_add(&link, pair);
        between = '&';
    }
    dx_buffer_byte(&link, between);
    dx_buffer_add(&link, name);
    dx_buffer_byte(&link, '=');
    dx_buffer_add(&link, value);
    return dx_buffer_status(&link) ? (dx_slice){0} : dx_buffer_slice(&link);
}
