// Where the API is: the first server, its variables replaced by their defaults, resolved against the document's own address. A document
// that does not say gets a variable for it.
#include "client/import_parts.h"
#include "model/uri.h"

static bool is_absolute(dx_slice url) {
    return dx_slice_starts(url, DX_SLICE("https://")) || dx_slice_starts(url, DX_SLICE("http://"));
}

static dx_slice resolve(dx_importer *im, dx_slice base, dx_slice url) {
    dx_slice fragment, made = dx_uri_resolve(im->arena, base, url, &fragment);
    if (!made.data) im->status = DX_NO_MEMORY;
    return made;
}

// Against where the API is, taken for a folder: "token" at "https://x/api" is "https://x/api/token".
yyjson_mut_val *dx_import_url(dx_importer *im, dx_slice url) {
    if (is_absolute(url)) return dx_import_text(im, url);
    if (im->base.size) {
        dx_slice folder = dx_arena_printf(im->arena, "%.*s/", DX_SLICE_ARG(im->base));
        return dx_import_text(im, resolve(im, folder, url));
    }
    const char *rest = yyjson_mut_get_str(dx_import_text(im, url));
    dx_slice text = dx_arena_printf(im->arena, "${%.*s_BASE_URL}%s%s", DX_SLICE_ARG(im->variables), rest && rest[0] == '/' ? "" : "/",
                                    rest ? rest : "");
    yyjson_mut_val *made = text.data ? yyjson_mut_strn(im->doc, text.data, text.size) : NULL;
    if (!made) im->status = DX_NO_MEMORY;
    return made;
}

static dx_slice replace_variables(dx_importer *im, dx_slice url, yyjson_val *server) {
    dx_buffer made;
    yyjson_val *variables = yyjson_obj_get(server, "variables");
    dx_slice rest = url, at = DX_SLICE("/servers/0/variables");
    dx_buffer_init(&made, im->arena, 16384);
    while (rest.data) {
        dx_buffer_add(&made, dx_slice_cut(&rest, '{'));
        if (!rest.data) break;
        dx_slice name = dx_slice_cut(&rest, '}');
        dx_slice value = dx_json_member_slice(name.size ? yyjson_obj_getn(variables, name.data, name.size) : NULL, "default");
        dx_slice place = dx_json_pointer_join(im->arena, at, name);
        if (value.size)
            dx_import_tell(im, place, "is set to its default, \"%.*s\", in the base URL", DX_SLICE_ARG(value));
        else
            dx_import_tell(im, place, "has no default; the base URL lacks it");
        dx_buffer_add(&made, value);
    }
    if (made.status == DX_NO_MEMORY) im->status = DX_NO_MEMORY;
    return dx_buffer_slice(&made);
}

static dx_slice without_slash(dx_slice url) {
    while (url.size && url.data[url.size - 1] == '/') url.size--;
    return url;
}

void dx_import_server(dx_importer *im) {
    yyjson_val *servers = yyjson_obj_get(im->document, "servers"), *first = yyjson_arr_get_first(servers);
    dx_slice url = im->options.base_url, version;
    if (!url.size) {
        url = dx_json_member_slice(first, "url");
        if (dx_slice_find(url, '{') != SIZE_MAX) url = replace_variables(im, url, first);
        if (yyjson_arr_size(servers) > 1)
            dx_import_tell(im, DX_SLICE("/servers"), "there are %zu servers; the first is taken", yyjson_arr_size(servers));
        if (!url.size) url = DX_SLICE("/");
        if (!is_absolute(url) && is_absolute(im->options.source)) url = resolve(im, im->options.source, url);
    }
    version = dx_import_path_version(im, is_absolute(url) ? dx_slice_from(url, 8) : url);
    if (version.size) im->version = version;
    if (is_absolute(url)) {
        im->base = without_slash(url);
        dx_import_put(im, im->api, DX_SLICE("base_url"), dx_import_text(im, im->base));
        return;
    }
    dx_import_tell(im, DX_SLICE("/servers"), "names no absolute URL; set %.*s_BASE_URL, or give --base-url", DX_SLICE_ARG(im->variables));
    dx_import_put(im, im->api, DX_SLICE("base_url"), dx_import_variable(im, "BASE_URL"));
}
