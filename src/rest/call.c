// Between an exchange and a call of a resource: fields of the request into the call's inputs, the call's outcome into fields of the answer.
// The call lives in the exchange's arena; it may end before the handler returns (reads) or later on the loop (writes, long lists).
#include "rest/parts.h"

typedef enum preference { NO_PREFERENCE, MINIMAL, REPRESENTATION } preference;

typedef struct bridge {
    dx_resource_call call;
    dx_exchange *x;
    const dx_rest_resource *resource;
    preference preference;
    dx_slice content_type;
} bridge;

// --- the request -----------------------------------------------------------------------------------------------------------

// A list field may come in several lines: they are one list (RFC 9110 section 5.3).
static dx_slice joined(dx_exchange *x, dx_slice before, dx_slice value) {
    if (!before.data) return value.data ? value : DX_SLICE("");
    dx_slice both = dx_arena_printf(x->arena, "%.*s, %.*s", DX_SLICE_ARG(before), DX_SLICE_ARG(value));
    return both.data ? both : value;
}

// RFC 7240 section 4.2; the first of the two that is there counts.
static preference read_preference(dx_slice value) {
    dx_slice rest = value;
    while (rest.data) {
        dx_slice item = dx_slice_cut(&rest, ',');
        dx_slice word = dx_slice_trim(dx_slice_cut(&item, ';'));
        if (dx_slice_equal_nocase(word, DX_SLICE("return=minimal"))) return MINIMAL;
        if (dx_slice_equal_nocase(word, DX_SLICE("return=representation"))) return REPRESENTATION;
    }
    return NO_PREFERENCE;
}

static void read_fields(bridge *self) {
    dx_exchange *x = self->x;
    dx_resource_call *call = &self->call;
    for (uint32_t i = 0; i < x->request.fields.count; i++) {
        const dx_field *field = &x->request.fields.items[i];
        switch (field->id) {
        case DX_FIELD_IF_MATCH:
            call->if_match = joined(x, call->if_match, field->value);
            break;
        case DX_FIELD_IF_NONE_MATCH:
            call->if_none_match = joined(x, call->if_none_match, field->value);
            break;
        case DX_FIELD_IF_MODIFIED_SINCE:
            if (!dx_http_date_read(field->value, &call->if_modified_since)) call->if_modified_since = 0;
            break;
        case DX_FIELD_IF_UNMODIFIED_SINCE:
            if (!dx_http_date_read(field->value, &call->if_unmodified_since)) call->if_unmodified_since = 0;
            break;
        case DX_FIELD_IDEMPOTENCY_KEY:
            call->idempotency_key = joined(x, call->idempotency_key, field->value);
            break;
        case DX_FIELD_PREFER:
            if (self->preference == NO_PREFERENCE) self->preference = read_preference(field->value);
            break;
        case DX_FIELD_CONTENT_TYPE:
            self->content_type = field->value;
            break;
        default:
            break;
        }
    }
}

// --- the answer ------------------------------------------------------------------------------------------------------------

static void add_date(dx_exchange *x, dx_micros_utc time) {
    char *text = dx_arena_bytes(x->arena, DX_HTTP_DATE_SIZE);
    if (!text) return; // a validator less; the entity tag stands
    dx_http_date_write(text, time);
    dx_exchange_field(x, DX_SLICE("Last-Modified"), dx_slice_of(text, DX_HTTP_DATE_SIZE));
}

static bool is_read(const dx_exchange *x) {
    return x->request.method == DX_GET || x->request.method == DX_HEAD;
}

// Rows that everybody may read, with others woven in that not everybody may, are the caller's: whatever the resource says of its own.
static void add_caching(const bridge *self) {
    const dx_rest_caching *caching = &self->resource->caching[self->x->param_count == 0];
    bool personal = self->call.personal && !caching->varies;
    dx_exchange_field(self->x, DX_SLICE("Cache-Control"), personal ? DX_SLICE("private, no-cache") : caching->control);
    if (caching->varies || personal) dx_exchange_field(self->x, DX_SLICE("Vary"), DX_SLICE("Authorization"));
}

static void add_fields(const bridge *self) {
    const dx_resource_call *call = &self->call;
    dx_exchange *x = self->x;
    if (call->etag.data) dx_exchange_field(x, DX_SLICE("ETag"), call->etag);
    if (call->modified) add_date(x, call->modified);
    if (call->location.size) dx_exchange_field(x, DX_SLICE("Location"), call->location);
    if (call->replayed) dx_exchange_field(x, DX_SLICE("Idempotency-Replayed"), DX_SLICE("true"));
    if (is_read(x)) {
        add_caching(self);
    } else if (self->preference != NO_PREFERENCE && call->http != 204) {
        dx_exchange_field(x, DX_SLICE("Preference-Applied"),
                          self->preference == MINIMAL ? DX_SLICE("return=minimal") : DX_SLICE("return=representation"));
    }
}

static dx_verdict answer(const bridge *self) {
    const dx_resource_call *call = &self->call;
    dx_exchange *x = self->x;
    if (call->status != DX_OK) {
        const dx_diags *findings = call->findings.count ? &call->findings : NULL;
        if (call->detail.size) return dx_exchange_fail_with(x, call->status, findings, "%.*s", DX_SLICE_ARG(call->detail));
        return dx_exchange_fail_with(x, call->status, findings, NULL);
    }
    bool minimal = self->preference == MINIMAL && !is_read(x);
    if (call->http == 204 || call->http == 304) {
        dx_exchange_empty(x, call->http);
    } else if (minimal || !call->out.size) {
        dx_exchange_empty(x, call->http == 201 ? 201 : 204);
    } else {
        dx_exchange_json(x, call->http, call->out);
    }
    add_fields(self);
    return DX_ANSWER;
}

static void done(dx_resource_call *call) {
    bridge *self = call->owner;
    dx_exchange_resume(self->x, self->x->aborted ? DX_ANSWER : answer(self));
}

static bridge *begin(const void *conf, dx_exchange *x) {
    const dx_rest_resource *resource = conf;
    bridge *self = DX_ARENA_NEW(x->arena, bridge);
    if (!self) return NULL;
    self->x = x;
    self->resource = resource;
    self->call.set = resource->rest->set;
    self->call.resource = resource->resource;
    self->call.session = dx_app_session(resource->rest->app, x->worker);
    self->call.arena = x->arena;
    self->call.principal = x->principal;
    self->call.query = x->request.query;
    self->call.body = x->request.body;
    if (x->param_count) self->call.id = x->params[0];
    self->call.done = done;
    self->call.owner = self;
    read_fields(self);
    return self;
}

// `done` resumes, perhaps before this returns.
static dx_verdict run(bridge *self, void (*action)(dx_resource_call *)) {
    action(&self->call);
    return DX_WAIT;
}

static dx_verdict starve(dx_exchange *x) {
    return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
}

// --- bodies ----------------------------------------------------------------------------------------------------------------

static bool has_suffix_json(dx_slice content_type) {
    static const dx_slice suffix = DX_SLICE_INIT("+json");
    dx_slice rest = content_type, type = dx_slice_trim(dx_slice_cut(&rest, ';'));
    return type.size > suffix.size && dx_slice_equal_nocase(dx_slice_from(type, type.size - suffix.size), suffix);
}

static bool is_merge_patch(dx_slice content_type) {
    return dx_http_media_is(content_type, "application/merge-patch+json");
}

static bool is_json_patch(dx_slice content_type) {
    return dx_http_media_is(content_type, "application/json-patch+json");
}

static bool is_json(dx_slice content_type) {
    if (dx_http_media_is(content_type, "application/json")) return true;
    return has_suffix_json(content_type) && !is_merge_patch(content_type) && !is_json_patch(content_type);
}

static dx_verdict refuse_type(dx_exchange *x, dx_slice content_type) {
    bool patch = x->request.method == DX_PATCH;
    const char *wanted = patch ? DX_REST_PATCH_TYPES : "application/json";
    if (content_type.size && content_type.size <= 100) {
        dx_exchange_fail(x, DX_UNSUPPORTED_MEDIA_TYPE, "expected a Content-Type of %s, found %.*s", wanted, DX_SLICE_ARG(content_type));
    } else {
        dx_exchange_fail(x, DX_UNSUPPORTED_MEDIA_TYPE, "expected a Content-Type of %s", wanted);
    }
    // RFC 5789 section 3.1, RFC 9110 section 12.5.1
    dx_exchange_field(x, patch ? DX_SLICE("Accept-Patch") : DX_SLICE("Accept"), dx_slice_str(wanted));
    return DX_ANSWER;
}

static dx_verdict refuse_empty(dx_exchange *x) {
    return dx_exchange_fail(x, DX_BAD_REQUEST, "expected a body of JSON");
}

// --- handlers --------------------------------------------------------------------------------------------------------------

dx_verdict dx_rest_list(const void *conf, dx_exchange *x) {
    bridge *self = begin(conf, x);
    return self ? run(self, dx_resource_list) : starve(x);
}

dx_verdict dx_rest_read(const void *conf, dx_exchange *x) {
    bridge *self = begin(conf, x);
    return self ? run(self, dx_resource_read) : starve(x);
}

static dx_verdict run_with_json(const void *conf, dx_exchange *x, void (*action)(dx_resource_call *)) {
    bridge *self = begin(conf, x);
    if (!self) return starve(x);
    if (!is_json(self->content_type)) return refuse_type(x, self->content_type);
    return x->request.body.size ? run(self, action) : refuse_empty(x);
}

dx_verdict dx_rest_create(const void *conf, dx_exchange *x) {
    return run_with_json(conf, x, dx_resource_create);
}

dx_verdict dx_rest_replace(const void *conf, dx_exchange *x) {
    return run_with_json(conf, x, dx_resource_replace);
}

// application/json is read as a merge patch, which is what those who send it mean.
dx_verdict dx_rest_change(const void *conf, dx_exchange *x) {
    bridge *self = begin(conf, x);
    if (!self) return starve(x);
    bool patch = is_json_patch(self->content_type);
    if (!patch && !is_merge_patch(self->content_type) && !dx_http_media_is(self->content_type, "application/json"))
        return refuse_type(x, self->content_type);
    if (!x->request.body.size) return refuse_empty(x);
    return run(self, patch ? dx_resource_patch : dx_resource_merge);
}

dx_verdict dx_rest_delete(const void *conf, dx_exchange *x) {
    bridge *self = begin(conf, x);
    return self ? run(self, dx_resource_delete) : starve(x);
}

dx_verdict dx_rest_delete_many(const void *conf, dx_exchange *x) {
    bridge *self = begin(conf, x);
    if (!self) return starve(x);
    if (x->request.body.size && !is_json(self->content_type)) return refuse_type(x, self->content_type);
    return run(self, dx_resource_delete_many);
}

dx_verdict dx_rest_changes_options(const void *conf, dx_exchange *x) {
    (void)conf;
    dx_exchange_empty(x, 204);
    dx_exchange_field(x, DX_SLICE("Allow"), x->allow);
    return DX_ANSWER;
}

dx_verdict dx_rest_options(const void *conf, dx_exchange *x) {
    (void)conf;
    dx_exchange_empty(x, 204);
    dx_exchange_field(x, DX_SLICE("Allow"), x->allow);
    dx_exchange_field(x, DX_SLICE("Accept-Patch"), DX_SLICE(DX_REST_PATCH_TYPES));
    return DX_ANSWER;
}
