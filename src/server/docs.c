// /docs: the interactive API reference. Everything it is made of is in the binary; its policy lets it ask nothing but this origin.
#include "server/docs_assets.h"
#include "server/parts.h"

const dx_slice dx_docs_policy = DX_SLICE_INIT("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                                              "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");

struct dx_docs {
    size_t count;
    dx_document documents[];
};

static dx_status add_asset(dx_app *app, const dx_docs_asset *asset) {
    bool page = dx_slice_equal(asset->path, DX_SLICE("/docs"));
    dx_document *document = &app->docs->documents[app->docs->count++];
    dx_operation *operation = DX_ARENA_NEW(app->arena, dx_operation);
    dx_document_init(document, asset->type, page ? DX_SLICE("no-cache") : DX_SLICE("public, max-age=31536000, immutable"), asset->packed);
    if (!operation) return DX_NO_MEMORY;
    *operation = (dx_operation){.id = asset->path,
                                .method = DX_GET,
                                .path = asset->path,
                                .handler = dx_document_answer,
                                .conf = document,
                                .content_policy = dx_docs_policy,
                                .access = {.is_public = true}};
    return dx_app_add_operation(app, operation);
}

// Who opens the server's address in a browser, or types a slash too many, is led to the page.
static dx_verdict lead_to_page(const void *conf, dx_exchange *x) {
    (void)conf;
    dx_exchange_field(x, DX_SLICE("location"), DX_SLICE("/docs"));
    dx_exchange_field(x, DX_SLICE("cache-control"), DX_SLICE("no-cache"));
    return dx_exchange_empty(x, 302);
}

static dx_status add_lead(dx_app *app, dx_slice path) {
    bool front = dx_slice_equal(path, DX_SLICE("/"));
    for (size_t i = 0; front && i < app->operations.count; i++) // a feature may have taken it
        if (dx_slice_equal(((dx_operation **)app->operations.items)[i]->path, DX_SLICE("/{path*}"))) return DX_OK;
    dx_operation *operation = DX_ARENA_NEW(app->arena, dx_operation);
    if (!operation) return DX_NO_MEMORY;
    *operation = (dx_operation){.id = path, .method = DX_GET, .path = path, .handler = lead_to_page, .access = {.is_public = true}};
    return dx_app_add_operation(app, operation);
}

dx_status dx_docs_add(dx_app *app) {
    app->docs = dx_arena_zalloc(app->arena, 1, sizeof *app->docs + dx_docs_asset_count * sizeof(dx_document));
    dx_status status = app->docs ? DX_OK : DX_NO_MEMORY;
    for (size_t i = 0; i < dx_docs_asset_count && status == DX_OK; i++) status = add_asset(app, &dx_docs_assets[i]);
    if (status == DX_OK) status = add_lead(app, DX_SLICE("/"));
    if (status == DX_OK) status = add_lead(app, DX_SLICE("/docs/"));
    return status;
}

void dx_docs_destroy(dx_app *app) {
    for (size_t i = 0; app->docs && i < app->docs->count; i++) dx_document_deinit(&app->docs->documents[i]);
}
