// What the files' operations say of themselves in the OpenAPI document.
#include "files/parts.h"

static void say(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *summary, const char *description) {
    yyjson_mut_obj_add_str(doc, object, "summary", summary);
    yyjson_mut_obj_add_str(doc, object, "description", description);
    yyjson_mut_val *tags = yyjson_mut_obj_add_arr(doc, object, "tags");
    yyjson_mut_arr_add_str(doc, tags, "files");
}

static yyjson_mut_val *answer(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *status, const char *description) {
    yyjson_mut_val *responses = yyjson_mut_obj_get(object, "responses");
    if (!responses) responses = yyjson_mut_obj_add_obj(doc, object, "responses");
    yyjson_mut_val *response = yyjson_mut_obj_add_obj(doc, responses, status);
    yyjson_mut_obj_add_str(doc, response, "description", description);
    return response;
}

static void add_content(yyjson_mut_doc *doc, yyjson_mut_val *owner, const char *type, bool form) {
    yyjson_mut_val *media = yyjson_mut_obj_add_obj(doc, yyjson_mut_obj_add_obj(doc, owner, "content"), type);
    yyjson_mut_val *schema = yyjson_mut_obj_add_obj(doc, media, "schema");
    if (!form) return;
    yyjson_mut_obj_add_str(doc, schema, "type", "object");
    yyjson_mut_val *each = yyjson_mut_obj_add_obj(doc, schema, "additionalProperties");
    yyjson_mut_obj_add_str(doc, each, "type", "string");
    yyjson_mut_obj_add_str(doc, each, "contentMediaType", "application/octet-stream");
}

static void add_body(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *type, bool form) {
    yyjson_mut_val *body = yyjson_mut_obj_add_obj(doc, object, "requestBody");
    yyjson_mut_obj_add_bool(doc, body, "required", true);
    add_content(doc, body, type, form);
}

void dx_files_describe(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)conf;
    switch (operation->method) {
    case DX_GET:
        say(doc, object, "Read a file", "Takes Range, If-Range and the conditional fields; a folder's path answers with its index.");
        add_content(doc, answer(doc, object, "200", "The file."), "*/*", false);
        add_content(doc, answer(doc, object, "206", "The ranges asked for."), "*/*", false);
        (void)answer(doc, object, "304", "The file has not changed.");
        (void)answer(doc, object, "416", "The file has no such range.");
        break;
    case DX_PUT:
        say(doc, object, "Write a file",
            "Streams to a temporary file, which takes the name when it is whole. If-Match and If-None-Match: * guard it.");
        add_body(doc, object, "*/*", false);
        (void)answer(doc, object, "201", "The file is new.");
        (void)answer(doc, object, "204", "The file is replaced.");
        (void)answer(doc, object, "412", "The precondition does not hold.");
        break;
    case DX_POST:
        say(doc, object, "Upload files by a form",
            "Every file of the form is written to the folder under its own name; all are checked before the first is written.");
        add_body(doc, object, "multipart/form-data", true);
        add_content(doc, answer(doc, object, "201", "The paths of the files."), "application/json", false);
        break;
    default:
        say(doc, object, "Delete a file", "If-Match guards it.");
        (void)answer(doc, object, "204", "The file is gone.");
        (void)answer(doc, object, "412", "The precondition does not hold.");
    }
}
