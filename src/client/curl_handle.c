// Easy handles: made once for settings, used again and again, so that a call sets only its URL, method, headers and body.
#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "client/curl_parts.h"

// --- libcurl's own start -----------------------------------------------------------------------------------------------------------

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started;

static char *duplicate(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = dx_memory_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

// Thread-safe from 7.84 on; never ended, as others in the process may use it, too. If one of them was first, its allocator stays.
static void start_once(void) {
    started = dx_memory_is_own() ? curl_global_init_mem(CURL_GLOBAL_DEFAULT, dx_memory_alloc, dx_memory_free, dx_memory_realloc, duplicate,
                                                        dx_memory_zalloc)
                                 : curl_global_init(CURL_GLOBAL_DEFAULT);
}

dx_status dx_curl_start(void) {
    (void)pthread_once(&once, start_once);
    return started == CURLE_OK ? DX_OK : DX_NO_MEMORY;
}

// --- what stays ----------------------------------------------------------------------------------------------------------------------

#define SET(option, value) ok = ok && curl_easy_setopt(easy, (option), (value)) == CURLE_OK

static const char *ca_file_of(const dx_wire_settings *wire) {
    return wire->ca_file ? wire->ca_file : curl_version_info(CURLVERSION_NOW)->cainfo;
}

static bool set_tls(CURL *easy, const dx_wire_settings *wire) {
    bool ok = true;
    const char *file = ca_file_of(wire);
    SET(CURLOPT_CAPATH, NULL); // a directory would have the certificates read for every connection
    if (file) SET(CURLOPT_CAINFO, file);
    SET(CURLOPT_SSL_VERIFYPEER, wire->verify_tls ? 1L : 0L);
    SET(CURLOPT_SSL_VERIFYHOST, wire->verify_tls ? 2L : 0L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (!wire->certificate) return ok;
    SET(CURLOPT_SSLCERT, wire->certificate);
    SET(CURLOPT_SSLKEY, wire->key);
    if (wire->key_password) SET(CURLOPT_KEYPASSWD, wire->key_password);
    return ok;
}

// libcurl looks through the environment for every request where it is told nothing; once for a handle is enough.
static bool environment_has_proxy(void) {
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < DX_COUNT_OF(names); i++)
        if (getenv(names[i])) return true;
    return false;
}

static bool set_connection(CURL *easy, const dx_wire_settings *wire) {
    bool ok = true;
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L); // redirects are ours
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_PIPEWAIT, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(wire->connect_timeout / DX_MILLISECOND));
    SET(CURLOPT_MAXAGE_CONN, (long)(wire->max_idle / DX_SECOND));
    SET(CURLOPT_MAXLIFETIME_CONN, (long)(wire->max_lifetime / DX_SECOND));
    SET(CURLOPT_HTTP_VERSION, (long)(wire->http1_only ? CURL_HTTP_VERSION_1_1
                                     : wire->http2    ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
                                                      : CURL_HTTP_VERSION_2TLS));
    // A proxy would resolve names past the guard.
    if (wire->proxy || wire->guard || !environment_has_proxy()) SET(CURLOPT_PROXY, wire->proxy ? wire->proxy : "");
    if (wire->idle_timeout) {
        SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(CURLOPT_LOW_SPEED_TIME, (long)((wire->idle_timeout + DX_SECOND - 1) / DX_SECOND));
    }
    return ok;
}

static bool set_callbacks(curl_handle *handle) {
    CURL *easy = handle->easy;
    dx_curl *curl = handle->curl;
    bool ok = true;
    SET(CURLOPT_ERRORBUFFER, handle->error);
    SET(CURLOPT_PRIVATE, handle);
    SET(CURLOPT_HEADERFUNCTION, curl->on_header);
    SET(CURLOPT_HEADERDATA, handle);
    SET(CURLOPT_WRITEFUNCTION, curl->on_body);
    SET(CURLOPT_WRITEDATA, handle);
    SET(CURLOPT_READFUNCTION, curl->on_read);
    SET(CURLOPT_READDATA, handle);
    SET(CURLOPT_SEEKFUNCTION, curl->on_seek);
    SET(CURLOPT_SEEKDATA, handle);
    SET(CURLOPT_OPENSOCKETFUNCTION, dx_curl_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, handle);
    SET(CURLOPT_CLOSESOCKETFUNCTION, dx_curl_close_socket);
    SET(CURLOPT_CLOSESOCKETDATA, curl);
    SET(CURLOPT_PREREQFUNCTION, dx_curl_before_request);
    SET(CURLOPT_PREREQDATA, handle);
    SET(CURLOPT_ACCEPT_ENCODING, ""); // all that libcurl knows; what comes of it is capped by max_body
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    return ok;
}

static curl_handle *make(dx_curl *curl, const dx_wire_settings *wire) {
    curl_handle *handle = dx_memory_zalloc(1, sizeof *handle);
    if (!handle) return NULL;
    handle->curl = curl;
    handle->serial = wire->serial;
    handle->plain = true; // libcurl's own way
    handle->easy = curl_easy_init();
    if (handle->easy && set_tls(handle->easy, wire) && set_connection(handle->easy, wire) && set_callbacks(handle)) return handle;
    curl_easy_cleanup(handle->easy);
    dx_memory_free(handle);
    return NULL;
}

// The one at rest that was used last for these settings, or a new one.
static curl_handle *take(dx_curl *curl, const dx_wire_settings *wire) {
    for (curl_handle **at = &curl->free; *at; at = &(*at)->next) {
        curl_handle *handle = *at;
        if (handle->serial != wire->serial) continue;
        *at = handle->next;
        curl->handles--;
        return handle;
    }
    return make(curl, wire);
}

static void drop_oldest(dx_curl *curl) {
    curl_handle **at = &curl->free;
    while (*at && (*at)->next) at = &(*at)->next;
    curl_handle *oldest = *at;
    if (!oldest) return;
    *at = NULL;
    curl->handles--;
    curl_easy_cleanup(oldest->easy);
    dx_memory_free(oldest);
}

void dx_curl_give_back(curl_transfer *t) {
    curl_handle *handle = t->handle;
    dx_curl *curl = t->curl;
    if (!handle) return;
    t->handle = NULL;
    t->easy = NULL;
    handle->used_by = NULL;
    handle->next = curl->free;
    curl->free = handle;
    if (++curl->handles > curl->handles_cap) drop_oldest(curl);
}

// --- what differs --------------------------------------------------------------------------------------------------------------------

static bool add_line(curl_transfer *t, struct curl_slist ***last, dx_slice name, dx_slice value) {
    dx_arena *arena = t->transfer->x->arena;
    struct curl_slist *node = DX_ARENA_NEW(arena, struct curl_slist);
    size_t size = name.size + value.size + 2;
    char *text = node ? dx_arena_bytes(arena, size + 1) : NULL;
    if (!text) return false;
    memcpy(text, name.data, name.size);
    text[name.size] = value.size ? ':' : ';'; // libcurl's way of sending an empty one
    text[name.size + 1] = ' ';
    if (value.size) memcpy(text + name.size + 2, value.data, value.size);
    text[value.size ? size : name.size + 1] = '\0';
    node->data = text;
    **last = node;
    *last = &node->next;
    return true;
}

// The list lies in the arena: libcurl only reads it.
static bool set_headers(curl_transfer *t) {
    static struct curl_slist no_type = {.data = (char *)(uintptr_t) "Content-Type:"};
    static struct curl_slist no_expect = {.data = (char *)(uintptr_t) "Expect:"};
    const dx_fields *fields = &t->transfer->x->request.fields;
    struct curl_slist **last = &t->headers;
    bool typed = false, has_body = t->transfer->upload || t->transfer->x->request.body.size;
    for (uint32_t i = 0; i < fields->count; i++) {
        typed = typed || fields->items[i].id == DX_FIELD_CONTENT_TYPE;
        if (!add_line(t, &last, fields->items[i].name, fields->items[i].value)) return false;
    }
    if (has_body) {
        struct curl_slist *node = DX_ARENA_NEW(t->transfer->x->arena, struct curl_slist);
        if (!node) return false;
        *node = no_expect;
        *last = node;
        last = &node->next;
    }
    if (has_body && !typed) {
        struct curl_slist *node = DX_ARENA_NEW(t->transfer->x->arena, struct curl_slist);
        if (!node) return false;
        *node = no_type;
        *last = node;
    }
    return curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
}

static bool set_method(curl_transfer *t) {
    CURL *easy = t->easy;
    dx_exchange *x = t->transfer->x;
    bool ok = true, plain = x->request.method == DX_GET && !t->transfer->upload && !x->request.body.size;
    if (plain && t->handle->plain) return true;
    t->handle->plain = plain;
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_CUSTOMREQUEST, x->request.method == DX_GET || x->request.method == DX_HEAD ? NULL : dx_method_name(x->request.method));
    if (x->request.method == DX_HEAD) SET(CURLOPT_NOBODY, 1L);
    if (t->transfer->upload) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_CUSTOMREQUEST, dx_method_name(x->request.method));
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->transfer->upload->size);
        return ok;
    }
    bool wants_body = x->request.body.size || x->request.method == DX_POST || x->request.method == DX_PUT || x->request.method == DX_PATCH;
    if (!wants_body) return ok;
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->request.body.size);
    SET(CURLOPT_POSTFIELDS, x->request.body.size ? x->request.body.data : "");
    SET(CURLOPT_CUSTOMREQUEST, dx_method_name(x->request.method));
    return ok;
}

bool dx_curl_prepare(curl_transfer *t) {
    dx_transfer *transfer = t->transfer;
    curl_handle *handle = take(t->curl, transfer->wire);
    if (!handle) return false;
    CURL *easy = handle->easy;
    bool ok = true;
    t->handle = handle;
    t->easy = easy;
    handle->used_by = t;
    handle->error[0] = '\0';
    if (transfer->upload && !dx_upload_rewind(transfer->upload)) {
        (void)dx_exchange_fail_out(transfer->x, DX_ERROR_FILE, "the request's body can't be read again");
        return false;
    }
    SET(CURLOPT_URL, transfer->url.data);
    return ok && set_method(t) && set_headers(t);
}

// --- times ---------------------------------------------------------------------------------------------------------------------------

static dx_nanos time_of(CURL *easy, CURLINFO what) {
    curl_off_t micros = 0;
    (void)curl_easy_getinfo(easy, what, &micros);
    return (dx_nanos)micros * DX_MICROSECOND;
}

void dx_curl_times(curl_transfer *t) {
    dx_exchange *x = t->transfer->x;
    if (!t->easy) return;
    dx_nanos sent = time_of(t->easy, CURLINFO_PRETRANSFER_TIME_T),
             first = t->code == CURLE_GOT_NOTHING ? 0 : time_of(t->easy, CURLINFO_STARTTRANSFER_TIME_T), now = dx_clock_monotonic(),
             gone = now - x->phase_since;
    // Since the owner entered the phase of connecting; what libcurl has no time for yet is where it stopped.
    dx_nanos connect = sent && sent < gone ? sent : gone;
    dx_nanos wait = sent ? (first ? first : gone) - connect : 0;
    if (wait < 0) wait = 0;
    if (connect + wait > gone) wait = gone - connect;
    x->spent[DX_PHASE_CONNECT] += connect;
    x->spent[DX_PHASE_WAIT] += wait;
    x->phase_since = now - (gone - connect - wait);
    x->phase = first ? DX_PHASE_TRANSFER : sent ? DX_PHASE_WAIT : DX_PHASE_CONNECT;
}
