// What can be completed, read from the help of commands and from definitions.
#include "cli/completion.h"

#include "codec/json.h"

static bool is_word_byte(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

static dx_slice next_token(dx_slice *rest) {
    while (rest->size && rest->data[0] == ' ') *rest = dx_slice_from(*rest, 1);
    size_t size = 0;
    while (size < rest->size && rest->data[size] != ' ') size++;
    dx_slice token = dx_slice_of(rest->data, size);
    *rest = dx_slice_from(*rest, size);
    return token;
}

static bool is_upper_word(dx_slice text) {
    for (size_t i = 0; i < text.size; i++)
        if (!((text.data[i] >= 'A' && text.data[i] <= 'Z') || text.data[i] == '_' || text.data[i] == '.' || text.data[i] == '-'))
            return false;
    return text.size > 0 && text.data[0] >= 'A';
}

bool dx_completion_is_choice(dx_slice takes) {
    return dx_slice_find(takes, '|') != SIZE_MAX;
}

bool dx_completion_is_path(dx_slice takes) {
    return dx_slice_equal(takes, DX_SLICE("FILE")) || dx_slice_equal(takes, DX_SLICE("DIR")) || dx_slice_equal(takes, DX_SLICE("PATH"));
}

// "--out FILE   the file": the option, what it takes, and behind two spaces what it is.
static void read_option(dx_slice line, dx_completion_word *out) {
    size_t end = 0;
    while (end + 1 < line.size && !(line.data[end] == ' ' && line.data[end + 1] == ' ')) end++;
    dx_slice head = dx_slice_of(line.data, end + 1 < line.size ? end : line.size);
    *out = (dx_completion_word){.about = dx_slice_trim(dx_slice_from(line, head.size))};
    out->text = next_token(&head);
    while (out->text.size && out->text.data[out->text.size - 1] == ',') out->text.size--;
    dx_slice takes = next_token(&head);
    while (takes.size && takes.data[0] == '-') takes = next_token(&head); // "-o, --output FORMAT"
    if (is_upper_word(takes) || dx_completion_is_choice(takes)) out->takes = takes;
    size_t equals = dx_slice_find(out->text, '=');
    if (equals != SIZE_MAX) {
        out->takes = dx_slice_from(out->text, equals + 1);
        out->text.size = equals;
    }
}

// `*rest` starts with a line, or with the second form of an option whose line has begun.
bool dx_completion_option(dx_slice *rest, dx_completion_word *out) {
    while (rest->size) {
        dx_slice from = *rest, line = dx_slice_cut(rest, '\n');
        bool begun = line.size && line.data[0] == '-';
        if (!begun && !dx_slice_starts(line, DX_SLICE("  -"))) continue;
        line = dx_slice_from(line, begun ? 0 : 2);
        if (line.size < 2 || line.data[1] == ' ') continue; // "-": standard input
        read_option(line, out);
        if (out->text.size > 1 && line.data[out->text.size] == ',') // what follows the comma comes next
            *rest = dx_slice_from(from, (size_t)(line.data - from.data) + out->text.size + 2);
        return true;
    }
    return false;
}

// The words of a usage line behind "duplex NAME"; empty for another line.
static dx_slice usage_words(dx_slice line, const dx_command *command) {
    dx_slice words = dx_slice_starts(line, DX_SLICE("Usage: ")) ? dx_slice_from(line, 7) : line;
    bool indented = words.data != line.data || dx_slice_starts(line, DX_SLICE("       duplex "));
    if (!indented || !dx_slice_equal(next_token(&words), DX_SLICE("duplex"))) return (dx_slice){NULL, 0};
    return dx_slice_equal(next_token(&words), dx_slice_str(command->name)) ? words : (dx_slice){NULL, 0};
}

// `*rest` starts with a line, or with "|" and further actions of a line that has begun.
bool dx_completion_action(dx_slice *rest, const dx_command *command, dx_slice *out) {
    while (rest->size) {
        if (rest->data[0] == '|') {
            *rest = dx_slice_from(*rest, 1);
        } else {
            dx_slice words = usage_words(*rest, command), line = dx_slice_cut(rest, '\n');
            words.size = words.size ? (size_t)(line.data + line.size - words.data) : 0;
            while (words.size && words.data[0] == ' ') words = dx_slice_from(words, 1);
            if (!words.size || words.data[0] < 'a' || words.data[0] > 'z') continue;
            *rest = dx_slice_of(words.data, words.size + (rest->data ? rest->size + 1 : 0)); // on from within the line
        }
        size_t size = 0;
        while (size < rest->size && is_word_byte(rest->data[size])) size++;
        *out = dx_slice_of(rest->data, size);
        *rest = dx_slice_from(*rest, size);
        if (!rest->size || rest->data[0] != '|') (void)dx_slice_cut(rest, '\n');
        if (size) return true;
    }
    return false;
}

bool dx_completion_takes_names(const dx_command *command) {
    dx_slice rest = dx_slice_str(command->usage), line = dx_slice_cut(&rest, '\n'), words = usage_words(line, command), before = {NULL, 0};
    bool file = false, option = false;
    while (words.size) {
        dx_slice word = next_token(&words);
        while (word.size && (word.data[0] == '[' || word.data[0] == '(')) word = dx_slice_from(word, 1);
        bool is_option = word.size && word.data[0] == '-', ends = word.size && word.data[word.size - 1] == ']';
        while (word.size && memchr("].)", word.data[word.size - 1], 3)) word.size--;
        if (!option && !is_option && file && dx_slice_equal(before, DX_SLICE("FILE")) && dx_slice_equal(word, DX_SLICE("NAME")))
            return true;
        if (!option && !is_option) before = word;
        file = file || (!option && dx_slice_equal(word, DX_SLICE("FILE")));
        option = is_option && !ends; // "[--fast]" takes no value
    }
    return false;
}

void dx_completion_actions(dx_buffer *out, const dx_command *command) {
    size_t start = out->size;
    dx_slice rest = dx_slice_str(command->usage), action;
    while (dx_completion_action(&rest, command, &action)) {
        dx_slice known = dx_slice_of(out->data ? out->data + start : NULL, out->size - start);
        bool seen = false;
        while (known.data && !seen) seen = dx_slice_equal(dx_slice_cut(&known, ' '), action);
        if (seen) continue;
        if (out->size > start) dx_buffer_byte(out, ' ');
        dx_buffer_add(out, action);
    }
}

void dx_completion_quote(dx_buffer *out, dx_slice text, bool fish, bool colons) {
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '\'')
            dx_buffer_add(out, fish ? DX_SLICE("\\'") : DX_SLICE("'\\''"));
        else if (fish && byte == '\\')
            DX_BUFFER_LIT(out, "\\\\");
        else if (colons && byte == ':')
            DX_BUFFER_LIT(out, "\\:");
        else
            dx_buffer_byte(out, byte);
    }
}

// --- names in a definition ----------------------------------------------------------------------------------------------------

// Names that a shell takes as they are; others are not offered, so that nothing in a file is ever read as a command.
static bool is_plain_name(dx_slice text) {
    for (size_t i = 0; i < text.size; i++) {
        char lower = (char)(text.data[i] | 0x20);
        if (!is_word_byte(text.data[i]) && !(lower >= 'a' && lower <= 'z')) return false;
    }
    return text.size > 0;
}

static void add_name(dx_buffer *out, dx_slice api, dx_slice version, dx_slice name) {
    dx_buffer_add(out, api);
    dx_buffer_byte(out, '.');
    dx_buffer_add(out, version);
    if (version.size) dx_buffer_byte(out, '.');
    dx_buffer_add(out, name);
    dx_buffer_byte(out, '\n');
}

static void add_names(dx_buffer *out, dx_slice name, yyjson_val *api) {
    size_t i, j, count, endpoints;
    yyjson_val *version, *group, *endpoint, *settings;
    dx_slice standard = dx_json_member_slice(api, "default_version");
    if (!is_plain_name(name)) return;
    yyjson_obj_foreach(yyjson_obj_get(api, "endpoints"), i, count, version, group) {
        dx_slice in = dx_json_slice(version);
        bool usual = standard.size ? dx_slice_equal(in, standard) : i == 0;
        yyjson_obj_foreach(group, j, endpoints, endpoint, settings) {
            if (!is_plain_name(in) || !is_plain_name(dx_json_slice(endpoint))) continue;
            if (usual) add_name(out, name, (dx_slice){NULL, 0}, dx_json_slice(endpoint));
            if (!usual || count > 1) add_name(out, name, in, dx_json_slice(endpoint));
        }
    }
}

void dx_completion_names(dx_buffer *out, dx_arena *arena, dx_slice definition) {
    const dx_json_options loose = {.allow_duplicates = true, .depth_cap = DX_JSON_DEPTH_MAX};
    size_t i, count;
    yyjson_doc *doc;
    yyjson_val *name, *api;
    if (dx_json_read(&doc, arena, definition, &loose, NULL) != DX_OK) return;
    yyjson_val *root = yyjson_doc_get_root(doc), *apis = yyjson_obj_get(root, "apis");
    yyjson_obj_foreach(apis ? apis : root, i, count, name, api) { // or a file that is this section alone
        add_names(out, dx_json_slice(name), api);
    }
}
