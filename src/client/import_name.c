// Names: of parameters, endpoints, models and variables, made of what a document calls them.
#include "client/import_parts.h"

#define NAME_CAP 54 // leaves room for a number behind, within the 63 of a definition's names

static bool is_upper(char byte) {
    return byte >= 'A' && byte <= 'Z';
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_lower_or_digit(char byte) {
    return (byte >= 'a' && byte <= 'z') || is_digit(byte);
}

// A capital starts a word after a small letter or a digit ("userId"), and before a small letter in a row of capitals ("HTTPServer").
static bool starts_word(dx_slice text, size_t at) {
    if (!at || !is_upper(text.data[at])) return false;
    char before = text.data[at - 1], behind = at + 1 < text.size ? text.data[at + 1] : '\0';
    return is_lower_or_digit(before) || (is_upper(before) && behind >= 'a' && behind <= 'z');
}

dx_slice dx_import_snake(dx_importer *im, dx_slice text, const char *otherwise) {
    char made[NAME_CAP];
    size_t size = 0;
    for (size_t i = 0; i < text.size && size < sizeof made; i++) {
        char byte = text.data[i];
        bool usable = is_upper(byte) || is_lower_or_digit(byte);
        bool apart = !usable || starts_word(text, i);
        if (apart && size && made[size - 1] != '_') made[size++] = '_';
        if (usable && !size && is_digit(byte)) made[size++] = '_'; // a name starts with a letter
        if (usable && size < sizeof made) made[size++] = is_upper(byte) ? (char)(byte | 0x20) : byte;
    }
    while (size && made[size - 1] == '_') size--;
    dx_slice name = dx_arena_copy(im->arena, size ? dx_slice_of(made, size) : dx_slice_str(otherwise));
    if (!name.data) im->status = DX_NO_MEMORY;
    return name;
}

dx_slice dx_import_pascal(dx_importer *im, dx_slice snake, const char *behind) {
    char made[NAME_CAP];
    size_t size = 0;
    bool capital = true;
    for (size_t i = 0; i < snake.size && size < sizeof made - 16; i++) {
        char byte = snake.data[i];
        if (byte != '_') made[size++] = capital && byte >= 'a' && byte <= 'z' ? (char)(byte & ~0x20) : byte;
        capital = byte == '_';
    }
    dx_slice name = dx_arena_printf(im->arena, "%.*s%s", (int)size, made, behind);
    if (!name.data) im->status = DX_NO_MEMORY;
    return name;
}

dx_slice dx_import_upper(dx_importer *im, dx_slice name) {
    char *made = dx_arena_bytes(im->arena, name.size + 1);
    if (!made) {
        im->status = DX_NO_MEMORY;
        return (dx_slice){NULL, 0};
    }
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i];
        made[i] = byte >= 'a' && byte <= 'z' ? (char)(byte & ~0x20) : is_upper(byte) || is_lower_or_digit(byte) ? byte : '_';
    }
    return dx_slice_of(made, name.size);
}

// The first few that collide are numbered from 2 on; then on from how many there are, so that a document full of them costs little.
dx_slice dx_import_unique(dx_importer *im, dx_map *taken, dx_slice name) {
    static char mark;
    dx_slice unique = name;
    for (size_t n = 2; unique.data && dx_map_get(taken, unique); n++) {
        if (n == 8 && taken->count > 8) n = taken->count;
        unique = dx_arena_printf(im->arena, "%.*s_%zu", DX_SLICE_ARG(name), n);
    }
    if (!unique.data || dx_map_put(taken, unique, &mark) != DX_OK) im->status = DX_NO_MEMORY;
    return unique;
}

static bool is_version(dx_slice part) {
    size_t digits = 0;
    if (part.size < 2 || part.size > 8 || part.data[0] != 'v') return false;
    for (size_t i = 1; i < part.size; i++) {
        if (part.data[i] >= '0' && part.data[i] <= '9')
            digits++;
        else if (part.data[i] != '.' || !digits || i + 1 == part.size)
            return false;
    }
    return digits > 0;
}

dx_slice dx_import_path_version(dx_importer *im, dx_slice path) {
    dx_slice rest = path;
    for (int i = 0; i < 4 && rest.data; i++) {
        dx_slice part = dx_slice_cut(&rest, '/');
        if (!is_version(part)) continue;
        char *made = dx_arena_bytes(im->arena, part.size);
        for (size_t j = 0; made && j < part.size; j++) made[j] = part.data[j] == '.' ? '_' : part.data[j];
        if (!made) im->status = DX_NO_MEMORY;
        return dx_slice_of(made, made ? part.size : 0);
    }
    return (dx_slice){NULL, 0};
}
