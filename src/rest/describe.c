// What each route says of itself: an Operation Object of OpenAPI 3.1 with its parameters, bodies, answers and the errors of its own. Errors
// that every operation has are added by the server.
#include "rest/parts.h"

// --- pieces ----------------------------------------------------------------------------------------------------------------

static yyjson_mut_val *slice_text(yyjson_mut_doc *doc, dx_slice text) {
    return yyjson_mut_strn(doc, text.size ? text.data : "", text.size);
}

static yyjson_mut_val *typed(yyjson_mut_doc *doc, const char *type) {
    yyjson_mut_val *schema = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, schema, "type", type);
    return schema;
}

static yyjson_mut_val *array_of(yyjson_mut_doc *doc, yyjson_mut_val *items) {
    yyjson_mut_val *schema = typed(doc, "array");
    yyjson_mut_obj_add_val(doc, schema, "items", items);
    return schema;
}

static yyjson_mut_val *add_parameter_in(yyjson_mut_doc *doc, yyjson_mut_val *parameters, yyjson_mut_val *name, const char *in,
                                        const char *about, yyjson_mut_val *schema) {
    yyjson_mut_val *parameter = yyjson_mut_arr_add_obj(doc, parameters);
    yyjson_mut_obj_add_val(doc, parameter, "name", name);
    yyjson_mut_obj_add_str(doc, parameter, "in", in);
    if (about) yyjson_mut_obj_add_str(doc, parameter, "description", about);
    yyjson_mut_obj_add_val(doc, parameter, "schema", schema);
    return parameter;
}

yyjson_mut_val *dx_rest_add_parameter(yyjson_mut_doc *doc, yyjson_mut_val *parameters, yyjson_mut_val *name, const char *about,
                                      yyjson_mut_val *schema) {
    return add_parameter_in(doc, parameters, name, "query", about, schema);
}

static void add_query(yyjson_mut_doc *doc, yyjson_mut_val *parameters, const char *name, const char *about, yyjson_mut_val *schema) {
    dx_rest_add_parameter(doc, parameters, yyjson_mut_str(doc, name), about, schema);
}

// A list in one parameter: fields=a,b
static void add_query_list(yyjson_mut_doc *doc, yyjson_mut_val *parameters, const char *name, const char *about, yyjson_mut_val *words) {
    yyjson_mut_val *schema = typed(doc, "string");
    yyjson_mut_obj_add_val(doc, schema, "enum", words);
    yyjson_mut_val *parameter = dx_rest_add_parameter(doc, parameters, yyjson_mut_str(doc, name), about, array_of(doc, schema));
    yyjson_mut_obj_add_bool(doc, parameter, "explode", false);
}

static void add_request_field(yyjson_mut_doc *doc, yyjson_mut_val *parameters, const char *name, const char *about) {
    add_parameter_in(doc, parameters, yyjson_mut_str(doc, name), "header", about, typed(doc, "string"));
}

static void add_id(const dx_resource *resource, yyjson_mut_doc *doc, yyjson_mut_val *parameters) {
    yyjson_mut_val *schema = typed(doc, resource->text_id ? "string" : "integer");
    yyjson_mut_obj_add_str(doc, schema, "format", resource->text_id ? "uuid" : "int64");
    if (!resource->text_id) yyjson_mut_obj_add_int(doc, schema, "minimum", 1);
    yyjson_mut_val *parameter = add_parameter_in(doc, parameters, yyjson_mut_str(doc, "id"), "path", "The row's id.", schema);
    yyjson_mut_obj_add_bool(doc, parameter, "required", true);
}

static yyjson_mut_val *add_content(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *type, yyjson_mut_val *schema) {
    yyjson_mut_val *content = yyjson_mut_obj_get(object, "content");
    if (!content) content = yyjson_mut_obj_add_obj(doc, object, "content");
    yyjson_mut_val *media = yyjson_mut_obj_add_obj(doc, content, type);
    yyjson_mut_obj_add_val(doc, media, "schema", schema);
    return media;
}

static yyjson_mut_val *add_response(yyjson_mut_doc *doc, yyjson_mut_val *responses, const char *status, const char *about) {
    yyjson_mut_val *response = yyjson_mut_obj_add_obj(doc, responses, status);
    yyjson_mut_obj_add_str(doc, response, "description", about);
    return response;
}

static void add_problem(yyjson_mut_doc *doc, yyjson_mut_val *responses, const char *status, const char *about) {
    add_content(doc, add_response(doc, responses, status, about), "application/problem+json", dx_rest_schema_ref(doc, DX_SLICE("Problem")));
}

enum { ETAG = 1, MODIFIED = 2, LOCATION = 4, CACHE = 8, REPLAYED = 16, PREFERENCE = 32 };

static void add_response_fields(yyjson_mut_doc *doc, yyjson_mut_val *response, int which) {
    static const struct {
        int bit;
        const char *name, *about;
    } known[] = {
        {ETAG, "ETag", "Entity tag of this representation, for If-Match and If-None-Match."},
        {MODIFIED, "Last-Modified", "When the row was last changed."},
        {LOCATION, "Location", "Path of the new row."},
        {CACHE, "Cache-Control", "How the answer may be kept."},
        {REPLAYED, "Idempotency-Replayed", "\"true\" when this is the stored answer to an earlier request with the same Idempotency-Key."},
        {PREFERENCE, "Preference-Applied", "The preference that was followed."},
    };
    yyjson_mut_val *fields = yyjson_mut_obj_add_obj(doc, response, "headers");
    for (size_t i = 0; i < DX_COUNT_OF(known); i++) {
        if (!(which & known[i].bit)) continue;
        yyjson_mut_val *field = yyjson_mut_obj_add_obj(doc, fields, known[i].name);
        yyjson_mut_obj_add_str(doc, field, "description", known[i].about);
        yyjson_mut_obj_add_val(doc, field, "schema", typed(doc, "string"));
    }
}

// The beginning of each: operation id, summary, tag.
typedef struct description {
    const dx_rest_resource *self;
    const dx_resource *resource;
    yyjson_mut_doc *doc;
    yyjson_mut_val *object, *parameters, *responses;
} description;

// `%.*s` in the summary is the resource's name.
static description describe(const void *conf, yyjson_mut_doc *doc, yyjson_mut_val *object, const char *summary, const char *about) {
    const dx_rest_resource *self = conf;
    description d = {.self = self, .resource = self->resource, .doc = doc, .object = object};
    yyjson_mut_obj_add_val(doc, object, "summary", dx_rest_text(doc, summary, DX_SLICE_ARG(d.resource->name)));
    if (about) yyjson_mut_obj_add_str(doc, object, "description", about);
    yyjson_mut_arr_add_val(yyjson_mut_obj_add_arr(doc, object, "tags"), slice_text(doc, d.resource->name));
    d.parameters = yyjson_mut_obj_add_arr(doc, object, "parameters");
    d.responses = yyjson_mut_obj_add_obj(doc, object, "responses");
    return d;
}

static yyjson_mut_val *ref(const description *d, dx_rest_schema which) {
    return dx_rest_schema_ref(d->doc, d->self->schemas[which]);
}

// --- reading ---------------------------------------------------------------------------------------------------------------

static void add_view_parameters(const description *d) {
    const dx_resource *resource = d->resource;
    yyjson_mut_val *fields = yyjson_mut_arr(d->doc), *expand = yyjson_mut_arr(d->doc);
    for (uint16_t f = 0; f < resource->field_count; f++) {
        const dx_resource_field *field = &resource->fields[f];
        if (field->write_only) continue;
        yyjson_mut_arr_add_val(fields, slice_text(d->doc, field->name));
        if (field->target && resource->expand_cap) yyjson_mut_arr_add_val(expand, slice_text(d->doc, field->expand_name));
    }
    add_query_list(d->doc, d->parameters, "fields", "Show only these fields.", fields);
    if (yyjson_mut_arr_size(expand))
        add_query_list(d->doc, d->parameters, "expand", "Show the rows that these references lead to.", expand);
}

static void add_read_fields(const description *d, bool one_row) {
    add_request_field(d->doc, d->parameters, "If-None-Match", "Entity tags the client has: 304 when one of them is still right.");
    if (one_row) add_request_field(d->doc, d->parameters, "If-Modified-Since", "304 when the row was not changed since this date.");
}

static void add_page_parameters(const description *d) {
    yyjson_mut_doc *doc = d->doc;
    yyjson_mut_val *page = typed(doc, "integer"), *size = typed(doc, "integer"), *count = typed(doc, "string");
    yyjson_mut_obj_add_int(doc, page, "minimum", 1);
    yyjson_mut_obj_add_int(doc, page, "maximum", 1000000000);
    yyjson_mut_obj_add_int(doc, page, "default", 1);
    yyjson_mut_obj_add_int(doc, size, "minimum", 1);
    yyjson_mut_obj_add_int(doc, size, "maximum", d->resource->page_size_cap);
    yyjson_mut_obj_add_int(doc, size, "default", d->resource->page_size);
    yyjson_mut_val *ways = yyjson_mut_obj_add_arr(doc, count, "enum");
    yyjson_mut_arr_add_str(doc, ways, "exact");
    yyjson_mut_arr_add_str(doc, ways, "none");
    yyjson_mut_obj_add_str(doc, count, "default", d->resource->count_exact ? "exact" : "none");
    add_query(doc, d->parameters, "page", "Which page, from 1. Not together with cursor.", page);
    add_query(doc, d->parameters, "page_size", "Rows on a page.", size);
    add_query(
        doc, d->parameters, "cursor",
        "Pages by cursor, which neither miss nor repeat rows while others insert: empty for the first, then as next and previous say.",
        typed(doc, "string"));
    add_query(doc, d->parameters, "count", "Whether all rows are counted.", count);
}

static void add_sort(const description *d) {
    yyjson_mut_val *words = yyjson_mut_arr(d->doc);
    for (uint16_t f = 0; f < d->resource->field_count; f++) {
        const dx_resource_field *field = &d->resource->fields[f];
        if (field->write_only || field->type == DX_COLUMN_JSON || field->type == DX_COLUMN_BLOB) continue;
        yyjson_mut_arr_add_val(words, slice_text(d->doc, field->name));
        yyjson_mut_arr_add_val(words, dx_rest_text(d->doc, "-%.*s", DX_SLICE_ARG(field->name)));
    }
    add_query_list(d->doc, d->parameters, "sort", "Order of the rows, up to four fields; - in front: descending.", words);
}

void dx_rest_describe_list(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)operation;
    description d = describe(conf, doc, object, "List %.*s", NULL);
    add_page_parameters(&d);
    add_sort(&d);
    add_view_parameters(&d);
    dx_rest_describe_filters(d.resource, doc, d.parameters);
    add_read_fields(&d, false);
    yyjson_mut_val *response = add_response(doc, d.responses, "200", "A page of rows.");
    add_response_fields(doc, response, ETAG | CACHE);
    add_content(doc, response, "application/json", ref(&d, DX_REST_LISTED));
    add_response_fields(doc, add_response(doc, d.responses, "304", "The client has this page already."), ETAG | CACHE);
    add_problem(doc, d.responses, "422", "A parameter is not known or not valid.");
}

void dx_rest_describe_changes(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)operation;
    description d = describe(
        conf, doc, object, "Follow the changes of %.*s",
        "A stream of server-sent events: `create`, `update` and `delete`, each with the sequence number of the change as its id and "
        "{id, version, at, row} as its data, where row is the row as it is now, or null when it is gone. `reset`: what the client has "
        "seen is not followed by what is kept, so it must list anew. `end`: the stream ends, for the reason in its data. The filters of "
        "the list hold for creates and updates; patterns are not taken.");
    yyjson_mut_val *sequence = typed(doc, "integer");
    yyjson_mut_obj_add_int(doc, sequence, "minimum", 0);
    add_query(doc, d.parameters, "last_event_id", "Go on behind the event with this id; for clients that can't send Last-Event-ID.",
              sequence);
    add_request_field(doc, d.parameters, "Last-Event-ID", "Go on behind the event with this id. Absent: from now on.");
    dx_rest_describe_filters(d.resource, doc, d.parameters);
    yyjson_mut_val *response = add_response(doc, d.responses, "200", "Changes, as they are committed.");
    add_content(doc, response, "text/event-stream", typed(doc, "string"));
    add_problem(doc, d.responses, "406", "The client does not take text/event-stream.");
    add_problem(doc, d.responses, "422", "A parameter is not known or not valid.");
    add_problem(doc, d.responses, "429", "The account has as many streams open as it may.");
}

void dx_rest_describe_read(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)operation;
    description d = describe(conf, doc, object, "Read one row of %.*s", NULL);
    add_id(d.resource, doc, d.parameters);
    add_view_parameters(&d);
    add_read_fields(&d, true);
    yyjson_mut_val *response = add_response(doc, d.responses, "200", "The row.");
    add_response_fields(doc, response, ETAG | MODIFIED | CACHE);
    add_content(doc, response, "application/json", ref(&d, DX_REST_VIEW));
    add_response_fields(doc, add_response(doc, d.responses, "304", "The client has this representation already."), ETAG | MODIFIED | CACHE);
    add_problem(doc, d.responses, "422", "A parameter is not known or not valid.");
}

// --- writing ---------------------------------------------------------------------------------------------------------------

static void add_body(const description *d, yyjson_mut_val *body, const char *type, yyjson_mut_val *schema) {
    yyjson_mut_val *media = add_content(d->doc, body, type, schema);
    yyjson_val *example = yyjson_arr_get_first(yyjson_obj_get(d->resource->model, "examples"));
    bool merge = dx_slice_equal(dx_slice_str(type), DX_SLICE("application/json"));
    if (example && merge) yyjson_mut_obj_add_val(d->doc, media, "example", yyjson_val_mut_copy(d->doc, example));
}

static yyjson_mut_val *begin_body(const description *d, bool required) {
    yyjson_mut_val *body = yyjson_mut_obj_add_obj(d->doc, d->object, "requestBody");
    yyjson_mut_obj_add_bool(d->doc, body, "required", required);
    return body;
}

static void add_prefer(const description *d) {
    add_request_field(d->doc, d->parameters, "Prefer", "return=minimal leaves the representation off the answer (RFC 7240).");
}

static void add_preconditions(const description *d) {
    yyjson_mut_val *parameter =
        add_parameter_in(d->doc, d->parameters, yyjson_mut_str(d->doc, "If-Match"), "header",
                         "Entity tag of the row as the client knows it: 412 when it has changed since.", typed(d->doc, "string"));
    if (d->resource->require_if_match) yyjson_mut_obj_add_bool(d->doc, parameter, "required", true);
    add_request_field(d->doc, d->parameters, "If-Unmodified-Since", "Without If-Match: 412 when the row was changed since this date.");
    add_problem(d->doc, d->responses, "412", "The precondition does not hold: the row has changed.");
    if (d->resource->require_if_match) add_problem(d->doc, d->responses, "428", "If-Match is required.");
}

static void add_body_problems(const description *d) {
    add_problem(d->doc, d->responses, "409",
                "A value that must be unique exists already, or the request conflicts with the present state.");
    add_problem(d->doc, d->responses, "422", "The body is not valid: errors names every wrong field.");
}

static yyjson_mut_val *many_schema(const description *d) {
    yyjson_mut_val *schema = typed(d->doc, "object"), *properties = yyjson_mut_obj_add_obj(d->doc, schema, "properties");
    yyjson_mut_obj_add_val(d->doc, properties, "count", typed(d->doc, "integer"));
    yyjson_mut_obj_add_val(d->doc, properties, "results", array_of(d->doc, ref(d, DX_REST_ROW)));
    yyjson_mut_val *required = yyjson_mut_obj_add_arr(d->doc, schema, "required");
    yyjson_mut_arr_add_str(d->doc, required, "count");
    yyjson_mut_arr_add_str(d->doc, required, "results");
    return schema;
}

static yyjson_mut_val *either(const description *d, yyjson_mut_val *one, yyjson_mut_val *other) {
    yyjson_mut_val *schema = yyjson_mut_obj(d->doc), *branches = yyjson_mut_obj_add_arr(d->doc, schema, "oneOf");
    yyjson_mut_arr_add_val(branches, one);
    yyjson_mut_arr_add_val(branches, other);
    return schema;
}

void dx_rest_describe_create(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)operation;
    description d =
        describe(conf, doc, object, "Create %.*s", "One row, or an array of rows that are created in one transaction, all or none.");
    add_prefer(&d);
    add_request_field(
        doc, d.parameters, "Idempotency-Key",
        "A key of the client's choice for this request: when it is sent again with the same key, it is not done again but gets "
        "the first answer. Kept for 24 hours.");
    yyjson_mut_val *many = array_of(doc, ref(&d, DX_REST_NEW));
    yyjson_mut_obj_add_int(doc, many, "minItems", 1);
    yyjson_mut_obj_add_int(doc, many, "maxItems", d.resource->bulk_cap);
    add_body(&d, begin_body(&d, true), "application/json", either(&d, ref(&d, DX_REST_NEW), many));
    yyjson_mut_val *response = add_response(doc, d.responses, "201", "The row was created, or all rows were.");
    add_response_fields(doc, response, ETAG | MODIFIED | LOCATION | REPLAYED | PREFERENCE);
    add_content(doc, response, "application/json", either(&d, ref(&d, DX_REST_ROW), many_schema(&d)));
    add_body_problems(&d);
}

static void add_changed(const description *d) {
    yyjson_mut_val *response = add_response(d->doc, d->responses, "200", "The row as it is now.");
    add_response_fields(d->doc, response, ETAG | MODIFIED | PREFERENCE);
    add_content(d->doc, response, "application/json", ref(d, DX_REST_ROW));
    add_response_fields(
        d->doc,
        add_response(d->doc, d->responses, "204", "The row was changed; return=minimal was asked for, or the caller may not read it."),
        ETAG | MODIFIED | PREFERENCE);
    add_body_problems(d);
}

void dx_rest_describe_replace(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)operation;
    description d = describe(conf, doc, object, "Replace one row of %.*s",
                             "The whole row; what is left out gets its default or null. Read-only fields may stand as they are.");
    add_id(d.resource, doc, d.parameters);
    add_prefer(&d);
    add_body(&d, begin_body(&d, true), "application/json", ref(&d, DX_REST_WHOLE));
    add_changed(&d);
    add_preconditions(&d);
}

void dx_rest_describe_change(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)operation;
    description d = describe(conf, doc, object, "Change one row of %.*s",
                             "By a merge patch (RFC 7396; application/json is taken for one) or a JSON Patch (RFC 6902).");
    add_id(d.resource, doc, d.parameters);
    add_prefer(&d);
    yyjson_mut_val *body = begin_body(&d, true);
    add_content(doc, body, "application/merge-patch+json", ref(&d, DX_REST_PARTIAL));
    add_content(doc, body, "application/json", ref(&d, DX_REST_PARTIAL));
    add_content(doc, body, "application/json-patch+json", dx_rest_schema_ref(doc, DX_SLICE(DX_REST_JSON_PATCH)));
    add_changed(&d);
    add_preconditions(&d);
}

void dx_rest_describe_delete(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)operation;
    description d = describe(conf, doc, object, "Delete one row of %.*s", NULL);
    add_id(d.resource, doc, d.parameters);
    add_response(doc, d.responses, "204", "The row is gone.");
    add_problem(doc, d.responses, "409", "Other rows refer to this one.");
    add_preconditions(&d);
}

static yyjson_mut_val *ids_schema(const description *d) {
    yyjson_mut_val *item = typed(d->doc, d->resource->text_id ? "string" : "integer");
    yyjson_mut_obj_add_str(d->doc, item, "format", d->resource->text_id ? "uuid" : "int64");
    yyjson_mut_val *ids = array_of(d->doc, item);
    yyjson_mut_obj_add_int(d->doc, ids, "minItems", 1);
    yyjson_mut_obj_add_int(d->doc, ids, "maxItems", d->resource->bulk_cap);
    return ids;
}

void dx_rest_describe_delete_many(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)operation;
    description d =
        describe(conf, doc, object, "Delete several %.*s", "In one transaction, all or none. The ids stand in the query or in the body.");
    yyjson_mut_val *parameter =
        dx_rest_add_parameter(doc, d.parameters, yyjson_mut_str(doc, "id"), "Ids of the rows, as id=1,2,3.", ids_schema(&d));
    yyjson_mut_obj_add_bool(doc, parameter, "explode", false);
    yyjson_mut_val *schema = typed(doc, "object"), *properties = yyjson_mut_obj_add_obj(doc, schema, "properties");
    yyjson_mut_obj_add_val(doc, properties, "ids", ids_schema(&d));
    yyjson_mut_arr_add_str(doc, yyjson_mut_obj_add_arr(doc, schema, "required"), "ids");
    yyjson_mut_obj_add_bool(doc, schema, "additionalProperties", false);
    add_content(doc, begin_body(&d, false), "application/json", schema);
    yyjson_mut_val *answer = typed(doc, "object"), *members = yyjson_mut_obj_add_obj(doc, answer, "properties");
    yyjson_mut_obj_add_val(doc, members, "count", typed(doc, "integer"));
    yyjson_mut_arr_add_str(doc, yyjson_mut_obj_add_arr(doc, answer, "required"), "count");
    add_content(doc, add_response(doc, d.responses, "200", "How many rows were deleted."), "application/json", answer);
    add_response(doc, d.responses, "204", "They were deleted; return=minimal was asked for.");
    add_problem(doc, d.responses, "404", "One of the rows does not exist; none was deleted.");
    add_body_problems(&d);
    add_problem(doc, d.responses, "412", "Many rows have no entity tag in common.");
    if (d.resource->require_if_match) add_problem(doc, d.responses, "428", "Rows of this resource are deleted one by one.");
}
