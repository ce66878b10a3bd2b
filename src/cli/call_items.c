// The items of `duplex call`. What stands first in a word decides: "=" is text, ":=" JSON, ":" a header. What a text becomes is said by the
// parameter's type, which the library knows.
#include "cli/cli_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/json.h"

// --- words ---------------------------------------------------------------------------------------------------------------------

static int refuse_word(const char *word) {
    fprintf(stderr,
            "duplex call: \"%s\" is none of NAME=VALUE, NAME:=JSON, NAME=@FILE, HEADER:VALUE, @FILE and -\n"
            "Try `duplex call --help`.\n",
            word);
    return DX_EXIT_USAGE;
}

static dx_item item_of(dx_cli_call *call, const char *word) {
    dx_item item = {DX_ITEM_TEXT, NULL, NULL};
    if (strcmp(word, "-") == 0) return (dx_item){DX_ITEM_BODY, NULL, word};
    if (word[0] == '@') return (dx_item){DX_ITEM_BODY, NULL, word + 1};
    size_t at = strcspn(word, "=:");
    const char *value = word + at + 1;
    item.name = at ? dx_arena_copy(call->arena, dx_slice_of(word, at)).data : NULL;
    if (word[at] == '=') {
        item.kind = value[0] == '@' ? DX_ITEM_FILE : DX_ITEM_TEXT;
        item.value = value[0] == '@' ? value + 1 : value;
    } else if (word[at] == ':' && value[0] == '=') {
        item.kind = DX_ITEM_JSON;
        item.value = value + 1;
    } else if (word[at] == ':') {
        item.kind = DX_ITEM_HEADER;
        item.value = value + strspn(value, " ");
    }
    return item;
}

int dx_cli_items_read(dx_cli_call *call, char **words, size_t count) {
    bool body = false;
    if (count > DX_CLI_ITEMS_CAP) return dx_usage_error(&dx_cmd_call, "more than %d items", DX_CLI_ITEMS_CAP);
    for (size_t i = 0; i < count; i++) {
        dx_item item = item_of(call, words[i]);
        if (item.kind != DX_ITEM_BODY && !item.name) return refuse_word(words[i]);
        bool of_file = item.kind == DX_ITEM_BODY || item.kind == DX_ITEM_FILE;
        if (!item.value || (of_file && !*item.value)) return refuse_word(words[i]);
        if (item.kind == DX_ITEM_BODY && body)
            return dx_usage_error(&dx_cmd_call, "there can be one body, and \"%s\" is a second", words[i]);
        body = body || item.kind == DX_ITEM_BODY;
        call->items[call->item_count++] = item;
    }
    return DX_EXIT_OK;
}

// --- files ---------------------------------------------------------------------------------------------------------------------

static int can_not_read(const char *path, const char *why) {
    fprintf(stderr, "duplex call: %s: %s\n", strcmp(path, "-") == 0 ? "standard input" : path, why);
    return DX_EXIT_FAILED;
}

int dx_cli_read_file(dx_slice *out, dx_arena *arena, const char *path) {
    dx_buffer text;
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), error = errno;
    ssize_t got = -1;
    if (fd < 0) return can_not_read(path, strerror(error));
    dx_buffer_init(&text, arena, DX_CLI_BODY_CAP);
    for (char *to; (to = dx_buffer_reserve(&text, 65536));) {
        got = read(fd, to, 65536);
        error = errno;
        if (got < 0 && error == EINTR) continue;
        if (got <= 0) break;
        text.size += (size_t)got;
    }
    if (fd != STDIN_FILENO) (void)close(fd);
    dx_buffer_byte(&text, '\0');
    if (dx_buffer_status(&text) == DX_TOO_LARGE) return can_not_read(path, "more than 256 MiB");
    if (got < 0 || dx_buffer_status(&text) != DX_OK) return can_not_read(path, got < 0 ? strerror(error) : "out of memory");
    *out = dx_slice_of(text.data, text.size - 1);
    return DX_EXIT_OK;
}

// --- what the library is given --------------------------------------------------------------------------------------------------------

static const dx_param *param_of(const dx_endpoint *endpoint, const char *name) {
    for (size_t i = 0; i < endpoint->param_count; i++)
        if (dx_slice_equal(endpoint->params[i].name, dx_slice_str(name))) return &endpoint->params[i];
    return NULL;
}

static int file_arg(const dx_cli_call *call, dx_arg *arg, const dx_item *item) {
    const dx_param *param = param_of(call->target, item->name);
    dx_slice text;
    if (param && param->type == DX_TYPE_FILE) {
        *arg = DX_FILE(item->name, item->value);
        return DX_EXIT_OK;
    }
    int result = dx_cli_read_file(&text, call->arena, item->value);
    if (result != DX_EXIT_OK) return result;
    *arg = DX_STR(item->name, text.data);
    arg->size = text.size;
    return DX_EXIT_OK;
}

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text), tail = strlen(end);
    return size >= tail && strcmp(text + size - tail, end) == 0;
}

// A body that is JSON is read, so that it can be held against its model; any other file is sent as it is.
static int body(dx_cli_call *call, const char *path) {
    const dx_endpoint *target = call->target;
    dx_slice text = {0};
    bool json = target->open ? ends_with(path, ".json") || strcmp(path, "-") == 0 : target->body_form == DX_BODY_FORM_JSON;
    call->body_path = path;
    call->options.content_type = !target->open ? dx_arena_copy(call->arena, target->content_type).data
                                 : json        ? "application/json"
                                               : "application/octet-stream";
    if (!json && strcmp(path, "-") != 0) {
        call->options.body_file = path;
        return DX_EXIT_OK;
    }
    int result = dx_cli_read_file(&text, call->arena, path);
    call->options.body = text.data;
    call->options.body_size = text.size;
    return result;
}

static int add_headers(dx_cli_call *call, size_t *count) {
    for (size_t i = 0; i < call->more_header_count; i++) {
        const char *word = call->more_headers[i], *colon = strchr(word, ':');
        if (!colon || colon == word) return dx_usage_error(&dx_cmd_call, "--header takes NAME:VALUE, not \"%s\"", word);
        const char *name = dx_arena_copy(call->arena, dx_slice_of(word, (size_t)(colon - word))).data;
        call->headers[(*count)++] = (dx_header){name, colon + 1 + strspn(colon + 1, " ")};
    }
    for (size_t i = 0; i < call->item_count; i++)
        if (call->items[i].kind == DX_ITEM_HEADER) call->headers[(*count)++] = (dx_header){call->items[i].name, call->items[i].value};
    for (size_t i = 0; i < *count; i++)
        if (strcasecmp(call->headers[i].name, "content-type") == 0) call->options.content_type = call->headers[i].value;
    return DX_EXIT_OK;
}

static int resolve_item(dx_cli_call *call, const dx_item *item, dx_arg *arg) {
    switch (item->kind) {
    case DX_ITEM_TEXT:
        *arg = DX_STR(item->name, item->value);
        return DX_EXIT_OK;
    case DX_ITEM_JSON:
        *arg = DX_JSON(item->name, item->value);
        return DX_EXIT_OK;
    default:
        return file_arg(call, arg, item);
    }
}

int dx_cli_items_resolve(dx_cli_call *call) {
    static const dx_call_options standard = DX_CALL_OPTIONS_INIT;
    size_t args = 0, headers = 0, room = call->item_count + call->more_header_count + 1;
    call->args = DX_ARENA_ARRAY(call->arena, dx_arg, room); // zeroed: the one behind the last is the end
    call->headers = DX_ARENA_ARRAY(call->arena, dx_header, room);
    if (!call->args || !call->headers) return can_not_read(call->file, "out of memory");
    call->options = standard;
    call->options.raise_on_error = DX_RAISE_ALWAYS; // the exit status tells
    int result = dx_cli_settings_read(call);
    for (size_t i = 0; i < call->item_count && result == DX_EXIT_OK; i++) {
        const dx_item *item = &call->items[i];
        if (item->kind == DX_ITEM_BODY)
            result = body(call, item->value);
        else if (item->kind != DX_ITEM_HEADER)
            result = resolve_item(call, item, &call->args[args++]);
    }
    if (result == DX_EXIT_OK) result = add_headers(call, &headers);
    call->options.headers = headers ? call->headers : NULL;
    return result;
}
