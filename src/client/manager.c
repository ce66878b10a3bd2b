// Changing the APIs of a client while it runs. What is new is read beside what is there, and swapped in whole; whoever calls holds the
// snapshot that the call began with. An API that comes at run time is a small definition of its own, over the defaults and models of the
// client's, and a snapshot is composed of both.
#include "base/memory.h"
#include "client/client.h"
#include "client/fail.h"
#include "client/health.h"
#include "client/log.h"
#include "client/warming.h"
#include "crypto/digest.h"

#define FINDINGS_ARENA_CAP ((size_t)4 << 20)
#define TEXT_CAP           ((size_t)64 << 20)

struct dx_registered { // an API that came by dx_client_register
    struct dx_registered *next;
    dx_slice name, text; // as given
    dx_apis *part;       // held
};

static void registered_destroy(struct dx_registered *registered) {
    if (!registered) return;
    dx_apis_release(registered->part);
    if (registered->text.data) dx_secret_wipe((void *)(uintptr_t)registered->text.data, registered->text.size);
    dx_memory_free(registered);
}

static struct dx_registered *registered_create(dx_slice name, dx_slice text) {
    struct dx_registered *made = dx_memory_zalloc(1, sizeof *made + name.size + text.size + 1);
    if (!made) return NULL;
    char *at = (char *)(made + 1);
    memcpy(at, name.data, name.size);
    made->name = dx_slice_of(at, name.size);
    if (text.size) memcpy(at + name.size, text.data, text.size);
    made->text = dx_slice_of(at + name.size, text.size);
    return made;
}

void dx_manager_deinit(dx_client *client) {
    while (client->registered) {
        struct dx_registered *first = client->registered;
        client->registered = first->next;
        registered_destroy(first);
    }
    dx_apis_release(client->base);
    client->base = NULL;
}

// --- swapping ----------------------------------------------------------------------------------------------------------------------------

static void log_change(dx_client *client, const char *event, dx_slice name) {
    dx_log_line line;
    if (!dx_log_start(&line, client, NULL, DX_LEVEL_INFO, event)) return;
    if (name.size) dx_log_add_text(&line, "api", name);
    dx_log_send(&line);
}

static void log_refusal(dx_client *client, const char *event, const dx_error *error) {
    dx_log_line line;
    if (!dx_log_start(&line, client, NULL, DX_LEVEL_WARN, event)) return;
    dx_log_add_text(&line, "message", dx_slice_str(error->message));
    dx_log_send(&line);
}

// Takes `next` over. Caches are kept warm as the new APIs want it; that they name an endpoint that is none is only told.
static void swap(dx_client *client, dx_apis *next) {
    dx_error error;
    dx_warming_stop(client);
    pthread_mutex_lock(&client->lock);
    dx_apis *before = client->apis;
    client->apis = next;
    pthread_mutex_unlock(&client->lock);
    dx_apis_release(before); // outside of the lock: it lets go of what is kept
    dx_health_watch(client);
    if (dx_warming_start(client, &error)) log_refusal(client, "warming_refused", &error);
}

// --- reading one API
// -----------------------------------------------------------------------------------------------------------------------

static bool is_name(dx_slice name) {
    if (name.size == 0 || name.size > 63 || dx_slice_equal(name, DX_SLICE("defaults"))) return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i], lower = (char)(c | 0x20);
        bool letter = lower >= 'a' && lower <= 'z';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_' || c == '-'))) return false;
    }
    return true;
}

// A definition of the one API, named as if it lay beside the client's.
static dx_status read_part(dx_apis **out, dx_client *client, dx_apis *base, dx_slice name, dx_slice json, dx_diags *found) {
    dx_buffer text;
    const char *path = client->path, *slash = path ? strrchr(path, '/') : NULL;
    dx_buffer_init(&text, found->arena, TEXT_CAP);
    dx_buffer_printf(&text, "{\"apis\":{\"%.*s\":", DX_SLICE_ARG(name));
    dx_buffer_add(&text, json);
    DX_BUFFER_LIT(&text, "}}");
    dx_slice place = dx_arena_printf(found->arena, "%.*s%.*s", slash ? (int)(slash - path + 1) : 0, slash ? path : "", DX_SLICE_ARG(name));
    if (dx_buffer_status(&text) != DX_OK) return dx_buffer_status(&text);
    if (!place.data) return DX_NO_MEMORY;
    return dx_client_load(out, client, place.data, dx_buffer_slice(&text), base, found);
}

// One JSON value, by itself: so that it can't close what it is put into.
static dx_status check_text(dx_slice json, dx_diags *found) {
    yyjson_doc *document;
    dx_status status = dx_json_read(&document, found->arena, json, NULL, found);
    if (status != DX_OK || yyjson_is_obj(yyjson_doc_get_root(document))) return status;
    (void)dx_diags_add(found, DX_INVALID, (dx_slice){"", 0}, "expected an API, an object");
    return DX_INVALID;
}

static dx_error_code fail_read(dx_error *error, dx_status status, const dx_diags *found) {
    if (status == DX_NO_MEMORY) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to read the definition");
    return dx_fail_diags(error, DX_ERROR_CONFIG, found);
}

static dx_error_code load_part(struct dx_registered *registered, dx_client *client, dx_apis *base, dx_error *error) {
    dx_diags found;
    dx_arena *arena = dx_arena_create(FINDINGS_ARENA_CAP + 16 * registered->text.size);
    if (!arena) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to read the definition");
    dx_diags_init(&found, arena);
    dx_status status = check_text(registered->text, &found);
    if (status == DX_OK) status = read_part(&registered->part, client, base, registered->name, registered->text, &found);
    dx_error_code code = status == DX_OK ? DX_ERROR_NONE : fail_read(error, status, &found);
    dx_arena_destroy(arena);
    return code;
}

// --- registering
// ---------------------------------------------------------------------------------------------------------------------------

static struct dx_registered **place_of(dx_client *client, dx_slice name) {
    struct dx_registered **at = &client->registered;
    while (*at && !dx_slice_equal((*at)->name, name)) at = &(*at)->next;
    return at;
}

// Under `changing`.
static dx_error_code register_api(dx_client *client, struct dx_registered *made, dx_error *error) {
    dx_apis *next = NULL, *now = dx_client_apis(client);
    dx_error_code code = load_part(made, client, client->base, error);
    dx_status status = code ? DX_OK : dx_apis_compose(&next, now, made->name, made->part, client->base);
    if (!code && status != DX_OK) code = dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for another API");
    dx_apis_release(now);
    if (code) return code;
    swap(client, next);
    struct dx_registered **at = place_of(client, made->name), *old = *at;
    made->next = old ? old->next : NULL;
    *at = made;
    registered_destroy(old);
    return DX_ERROR_NONE;
}

dx_error_code dx_client_register(dx_client *client, const char *name, const char *json, size_t size, dx_error *error) {
    dx_error own = DX_ERROR_INIT;
    dx_slice text = dx_slice_str(name);
    if (!error) error = &own;
    *error = (dx_error)DX_ERROR_INIT;
    if (!is_name(text))
        return dx_fail(error, DX_ERROR_ARGUMENT, "\"%s\" can't be an API's name: letters, digits, \"_\" and \"-\", a letter first",
                       name ? name : "");
    struct dx_registered *made = registered_create(text, dx_slice_of(json, size));
    if (!made) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for another API");
    pthread_mutex_lock(&client->changing);
    dx_error_code code = register_api(client, made, error);
    pthread_mutex_unlock(&client->changing);
    if (!code) {
        log_change(client, "register", text);
        return code;
    }
    registered_destroy(made);
    dx_log_clean_message(client, NULL, error);
    log_refusal(client, "register_refused", error);
    return code;
}

static dx_error_code unregister(dx_client *client, const char *name, dx_error *error) {
    dx_apis *next = NULL, *now = dx_client_apis(client);
    dx_slice text = dx_slice_str(name);
    dx_error_code code = DX_ERROR_NONE;
    if (!dx_apis_api(now, text, NULL)) code = dx_client_no_api(error, now, name);
    if (!code && dx_apis_compose(&next, now, text, NULL, client->base) != DX_OK)
        code = dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the other APIs");
    dx_apis_release(now);
    if (code) return code;
    swap(client, next);
    struct dx_registered **at = place_of(client, text), *old = *at;
    if (old) *at = old->next;
    registered_destroy(old);
    return code;
}

dx_error_code dx_client_unregister(dx_client *client, const char *name, dx_error *error) {
    if (error) *error = (dx_error)DX_ERROR_INIT;
    pthread_mutex_lock(&client->changing);
    dx_error_code code = unregister(client, name, error);
    pthread_mutex_unlock(&client->changing);
    if (!code) log_change(client, "unregister", dx_slice_str(name));
    return code;
}

// --- the whole definition
// ------------------------------------------------------------------------------------------------------------------

// All that were registered, read again over another base.
static dx_error_code again_over(struct dx_registered **out, dx_client *client, dx_apis *base, dx_error *error) {
    struct dx_registered **last = out;
    *out = NULL;
    for (const struct dx_registered *old = client->registered; old; old = old->next) {
        struct dx_registered *made = registered_create(old->name, old->text);
        if (!made) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to read the definition");
        *last = made;
        last = &made->next;
        dx_error_code code = load_part(made, client, base, error);
        if (code) return code;
    }
    return DX_ERROR_NONE;
}

static dx_error_code compose_all(dx_apis **out, dx_apis *base, const struct dx_registered *list, dx_error *error) {
    dx_apis *whole = dx_apis_hold(base);
    for (; list; list = list->next) {
        dx_apis *next;
        dx_status status = dx_apis_compose(&next, whole, list->name, list->part, base);
        dx_apis_release(whole);
        if (status != DX_OK) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the APIs");
        whole = next;
    }
    *out = whole;
    return DX_ERROR_NONE;
}

// Takes `base` over.
static dx_error_code take_base(dx_client *client, dx_apis *base, dx_error *error) {
    struct dx_registered *made;
    dx_apis *whole = NULL, *old_base = client->base;
    dx_error_code code = again_over(&made, client, base, error);
    if (!code) code = compose_all(&whole, base, made, error);
    if (code) {
        dx_apis_release(base);
    } else {
        struct dx_registered *before = client->registered;
        client->registered = made;
        client->base = base;
        swap(client, whole);
        dx_apis_release(old_base);
        made = before;
    }
    while (made) {
        struct dx_registered *next = made->next;
        registered_destroy(made);
        made = next;
    }
    return code;
}

static dx_error_code update(dx_client *client, const char *path, dx_slice text, dx_error *error) {
    dx_diags found;
    dx_apis *base;
    dx_arena *arena = dx_arena_create(FINDINGS_ARENA_CAP);
    if (!arena) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to read the definition");
    dx_diags_init(&found, arena);
    dx_status status = dx_client_load(&base, client, path, text, NULL, &found);
    dx_error_code code = status == DX_OK ? DX_ERROR_NONE : fail_read(error, status, &found);
    dx_arena_destroy(arena);
    return code ? code : take_base(client, base, error);
}

static dx_error_code change(dx_client *client, const char *path, dx_slice text, dx_error *error) {
    dx_error own = DX_ERROR_INIT;
    if (!error) error = &own;
    *error = (dx_error)DX_ERROR_INIT;
    pthread_mutex_lock(&client->changing);
    dx_error_code code = update(client, path ? path : client->path, text, error);
    pthread_mutex_unlock(&client->changing);
    if (!code) {
        log_change(client, "reload", (dx_slice){0});
        return code;
    }
    dx_log_clean_message(client, NULL, error);
    log_refusal(client, "reload_refused", error);
    return code;
}

dx_error_code dx_client_update(dx_client *client, const char *path, dx_error *error) {
    return change(client, path, (dx_slice){0}, error);
}

dx_error_code dx_client_update_text(dx_client *client, const char *json, size_t size, dx_error *error) {
    return change(client, NULL, dx_slice_of(json, size), error);
}
