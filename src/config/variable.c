// Variables in strings: `${NAME}`, `${NAME:default}`, and `$${` for a literal `${`. Values come from the environment, then from `.env`
// beside the definition. What is put in is not looked at again, so a value cannot name other variables.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/text.h"
#include "config/parts.h"

enum { DOTENV_CAP = 1 << 20, NAME_CAP = 255 };

static bool is_name(dx_slice text) {
    if (!text.size || text.size > NAME_CAP) return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i], lower = (char)(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && c != '_' && !(i && c >= '0' && c <= '9')) return false;
    }
    return true;
}

// --- .env: NAME=value a line, "export " before it allowed; '…' as it stands, "…" with \n \r \t \" \\ \$; # comments.

static bool unquote(dx_arena *arena, dx_slice text, dx_slice *out) {
    char quote = text.data[0], *data = dx_arena_bytes(arena, text.size);
    size_t size = 0, i = 1;
    if (!data) return false;
    for (; i < text.size && text.data[i] != quote; i++) {
        char c = text.data[i];
        if (quote == '"' && c == '\\' && i + 1 < text.size) {
            c = text.data[++i];
            c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
        }
        data[size++] = c;
    }
    *out = dx_slice_of(data, size);
    dx_slice rest = dx_slice_trim(dx_slice_from(text, i + 1));
    return i < text.size && (!rest.size || rest.data[0] == '#');
}

static dx_slice without_comment(dx_slice text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '#' && (i == 0 || text.data[i - 1] == ' ' || text.data[i - 1] == '\t')) text.size = i;
    return dx_slice_trim(text);
}

static dx_status dotenv_line(dx_definition *definition, dx_slice line, uint32_t number) {
    line = dx_slice_trim(line);
    if (line.size && line.data[line.size - 1] == '\r') line.size--;
    if (!line.size || line.data[0] == '#') return DX_OK;
    if (dx_slice_starts(line, DX_SLICE("export "))) line = dx_slice_trim(dx_slice_from(line, 7));
    dx_slice value = line, name = dx_slice_trim(dx_slice_cut(&value, '='));
    if (!value.data || !is_name(name)) {
        dx_definition_refuse_line(definition, definition->dotenv_name, number, 1, "expected NAME=value");
        return DX_OK;
    }
    value = dx_slice_trim(value);
    bool quoted = value.size && (value.data[0] == '"' || value.data[0] == '\'');
    if (quoted && !unquote(definition->arena, value, &value)) {
        dx_definition_refuse_line(definition, definition->dotenv_name, number, 1, "the quotes around the value of %.*s are not closed",
                                  DX_SLICE_ARG(name));
        return DX_OK;
    }
    dx_slice kept = dx_arena_copy(definition->arena, quoted ? value : without_comment(value));
    return kept.data ? dx_map_put(&definition->dotenv, name, (void *)kept.data) : DX_NO_MEMORY;
}

dx_status dx_dotenv_read(dx_definition *definition) {
    struct stat info;
    definition->dotenv_name = dx_arena_printf(definition->arena, "%.*s.env", DX_SLICE_ARG(definition->folder));
    if (!definition->dotenv_name.data) return DX_NO_MEMORY;
    int fd = open(definition->dotenv_name.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return DX_OK;
    bool fits = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= DOTENV_CAP;
    size_t room = fits ? (size_t)info.st_size : 0, size = 0;
    char *data = dx_arena_bytes(definition->arena, room + 1);
    dx_status status = data ? DX_OK : DX_NO_MEMORY;
    while (data && size < room) {
        ssize_t got = read(fd, data + size, room - size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        size += (size_t)got;
    }
    if (fd >= 0) close(fd);
    if (!fits) dx_definition_refuse_line(definition, definition->dotenv_name, 0, 0, "it cannot be read, or is larger than 1 MiB");
    dx_slice rest = dx_slice_of(data, size);
    for (uint32_t number = 1; rest.data && status == DX_OK; number++) status = dotenv_line(definition, dx_slice_cut(&rest, '\n'), number);
    return status;
}

// --- substitution

dx_slice dx_variable_look_up(const dx_definition *definition, dx_slice name, bool *from_dotenv) {
    char text[NAME_CAP + 1];
    const dx_definition_options *options = definition->options;
    memcpy(text, name.data, name.size);
    text[name.size] = 0;
    const char *value = options && options->variable ? options->variable(options->ctx, text) : getenv(text);
    *from_dotenv = !value;
    if (!value) value = dx_map_get(&definition->dotenv, name);
    return dx_slice_str(value);
}

// A variable that is not set: what its place should hold is not known, so nothing is said of that either.
static bool pass_over(dx_definition *definition, dx_slice name, dx_slice pointer) {
    dx_slice key = dx_arena_copy(definition->arena, pointer);
    definition->options->missing(definition->options->ctx, pointer, name);
    return key.data && dx_map_put(&definition->broken, key, definition) == DX_OK;
}

static bool refuse_missing(dx_definition *definition, dx_slice name, dx_slice pointer) {
    if (definition->options && definition->options->missing) return pass_over(definition, name, pointer);
    dx_diag *diag = dx_definition_refuse(definition, pointer, false, "the variable %.*s is not set", DX_SLICE_ARG(name));
    if (diag)
        diag->suggestion = dx_arena_printf(definition->diags->arena, "set it in the environment or in %.*s, or give a default: ${%.*s:…}",
                                           DX_SLICE_ARG(definition->dotenv_name), DX_SLICE_ARG(name));
    return false;
}

// At "${" in `rest`: appends the value and moves behind "}". False when it was refused.
static bool put_variable(dx_definition *definition, dx_buffer *out, dx_slice *rest, dx_slice pointer) {
    dx_slice body = dx_slice_from(*rest, 2);
    size_t close = dx_slice_find(body, '}');
    if (close == SIZE_MAX) {
        dx_diag *diag = dx_definition_refuse(definition, pointer, false, "a \"${\" is not closed");
        if (diag) diag->suggestion = DX_SLICE("write \"$${\" for a literal \"${\"");
        return false;
    }
    dx_slice fallback = dx_slice_of(body.data, close), name = dx_slice_cut(&fallback, ':');
    *rest = dx_slice_from(body, close + 1);
    if (!is_name(name)) {
        dx_diag *diag = dx_definition_refuse(definition, pointer, false, "\"%.*s\" is no name of a variable", DX_SLICE_ARG(name));
        if (diag) diag->suggestion = DX_SLICE("names are letters, digits and \"_\"; write \"$${\" for a literal \"${\"");
        return false;
    }
    bool from_dotenv;
    dx_slice value = dx_variable_look_up(definition, name, &from_dotenv);
    if (!value.data) value = fallback;
    if (!value.data) return refuse_missing(definition, name, pointer);
    if (!dx_utf8_valid(value)) {
        dx_definition_refuse(definition, pointer, false, "the value of the variable %.*s is not UTF-8", DX_SLICE_ARG(name));
        return false;
    }
    dx_buffer_add(out, value);
    return true;
}

static bool is_whole(dx_slice text) {
    return dx_slice_starts(text, DX_SLICE("${")) && dx_slice_find(text, '}') == text.size - 1;
}

dx_status dx_variable_substitute(dx_definition *definition, dx_slice text, dx_slice pointer, dx_slice *out, dx_taint *taint) {
    *out = text;
    *taint = DX_TAINT_NONE;
    if (!text.size || !memmem(text.data, text.size, "${", 2)) return DX_OK;
    dx_buffer buffer;
    bool complete = true;
    dx_buffer_init(&buffer, definition->work, DX_DEFINITION_BYTES_CAP);
    for (dx_slice rest = text; rest.size;) {
        if (dx_slice_starts(rest, DX_SLICE("$${"))) {
            DX_BUFFER_LIT(&buffer, "${");
            rest = dx_slice_from(rest, 3);
        } else if (dx_slice_starts(rest, DX_SLICE("${"))) {
            *taint = is_whole(text) ? DX_TAINT_WHOLE : DX_TAINT_PART;
            complete = put_variable(definition, &buffer, &rest, pointer);
            if (!complete) break;
        } else {
            dx_buffer_byte(&buffer, rest.data[0]);
            rest = dx_slice_from(rest, 1);
        }
    }
    if (dx_buffer_status(&buffer) != DX_OK) return DX_NO_MEMORY;
    if (!complete) return DX_INVALID;
    *out = buffer.size ? dx_buffer_slice(&buffer) : (dx_slice){"", 0};
    return DX_OK;
}

dx_slice dx_variable_name(dx_slice text, bool *whole) {
    *whole = is_whole(text);
    for (; text.size; text = dx_slice_from(text, 1)) {
        if (dx_slice_starts(text, DX_SLICE("$${"))) {
            text = dx_slice_from(text, 2);
        } else if (dx_slice_starts(text, DX_SLICE("${"))) {
            dx_slice body = dx_slice_from(text, 2), inside = dx_slice_cut(&body, '}');
            dx_slice name = dx_slice_cut(&inside, ':');
            return is_name(name) ? name : (dx_slice){0};
        }
    }
    return (dx_slice){0};
}
