#include "client/path.h"

bool dx_path_next(dx_slice *rest, dx_slice *literal, dx_slice *name) {
    size_t open = dx_slice_find(*rest, '{');
    size_t close = open == SIZE_MAX ? SIZE_MAX : dx_slice_find(dx_slice_from(*rest, open), '}');
    if (literal) *literal = close == SIZE_MAX ? *rest : dx_slice_of(rest->data, open);
    if (close == SIZE_MAX) return false;
    *name = dx_slice_of(rest->data + open + 1, close - 1);
    *rest = dx_slice_from(*rest, open + close + 1);
    return true;
}

bool dx_path_names(dx_slice path, dx_slice name) {
    dx_slice found;
    while (dx_path_next(&path, NULL, &found))
        if (dx_slice_equal(found, name)) return true;
    return false;
}

static bool has_brace(dx_slice text) {
    return dx_slice_find(text, '{') != SIZE_MAX || dx_slice_find(text, '}') != SIZE_MAX;
}

dx_status dx_path_compile(const dx_path_piece **out, uint16_t *count, dx_arena *arena, dx_slice path, const dx_param *params,
                          size_t param_count, dx_slice *problem) {
    size_t room = 1, made = 0;
    for (size_t i = 0; i < path.size; i++) room += path.data[i] == '{';
    dx_path_piece *pieces = DX_ARENA_ARRAY(arena, dx_path_piece, room);
    if (!pieces) return DX_NO_MEMORY;
    dx_slice rest = path, name = {"", 0};
    bool more;
    do {
        dx_path_piece *piece = &pieces[made++];
        more = dx_path_next(&rest, &piece->literal, &name);
        if (has_brace(piece->literal)) *problem = DX_SLICE("a brace of the path has no other that belongs to it");
        for (size_t i = 0; more && i < param_count; i++)
            if (dx_slice_equal(params[i].name, name)) piece->param = &params[i];
        if (piece->param && piece->param->in != DX_IN_PATH)
            *problem = dx_arena_printf(arena, "the parameter {%.*s} is declared to be elsewhere", DX_SLICE_ARG(name));
    } while (more);
    *out = pieces;
    *count = (uint16_t)made;
    return DX_OK;
}
