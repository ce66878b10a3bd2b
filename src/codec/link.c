// A field value is `<target>; name=value; name="value", <target>…`. White space may stand between all parts (RFC 8288 appendix B.2, which
// this follows in what it forgives). Commas and semicolons inside of <> and quotes are nothing but text.
#include "codec/link.h"

static bool is_space(char byte) {
    return byte == ' ' || byte == '\t';
}

static dx_slice skip_space(dx_slice text) {
    while (text.size && is_space(text.data[0])) text = dx_slice_from(text, 1);
    return text;
}

// Up to the closing quote, without the quotes; behind it goes on. A quote that is never closed ends with the text.
static dx_slice take_quoted(dx_slice *rest) {
    dx_slice text = dx_slice_from(*rest, 1);
    size_t end = 0;
    while (end < text.size && text.data[end] != '"') end += text.data[end] == '\\' && end + 1 < text.size ? 2 : 1;
    *rest = dx_slice_from(text, end + 1);
    return dx_slice_of(text.data, end);
}

// Up to one of the delimiters.
static dx_slice take_until(dx_slice *rest, const char *delimiters) {
    size_t end = 0;
    while (end < rest->size && !memchr(delimiters, rest->data[end], strlen(delimiters))) end++;
    dx_slice taken = dx_slice_of(rest->data, end);
    *rest = dx_slice_from(*rest, end);
    return dx_slice_trim(taken);
}

// One `name=value`, or a name alone.
static void take_parameter(dx_slice *rest, dx_link *link, bool *has_relation) {
    dx_slice name = take_until(rest, "=;,"), value = {0};
    if (rest->size && rest->data[0] == '=') {
        *rest = skip_space(dx_slice_from(*rest, 1));
        value = rest->size && rest->data[0] == '"' ? take_quoted(rest) : take_until(rest, ";,");
        (void)take_until(rest, ";,");
    }
    if (dx_slice_equal_nocase(name, DX_SLICE("anchor"))) link->anchored = true;
    if (*has_relation || !dx_slice_equal_nocase(name, DX_SLICE("rel"))) return;
    *has_relation = true;
    link->relation = value;
}

// Behind what is no link.
static void skip_to_comma(dx_slice *rest) {
    while (rest->size && rest->data[0] != ',') {
        if (rest->data[0] == '"')
            (void)take_quoted(rest);
        else
            *rest = dx_slice_from(*rest, 1);
    }
}

static bool take_target(dx_slice *rest, dx_link *link) {
    if (rest->data[0] != '<') return false;
    size_t end = dx_slice_find(*rest, '>');
    if (end == SIZE_MAX) { // nor is there one in all that follows
        *rest = (dx_slice){0};
        return false;
    }
    link->target = dx_slice_trim(dx_slice_of(rest->data + 1, end - 1));
    *rest = skip_space(dx_slice_from(*rest, end + 1));
    return !rest->size || rest->data[0] == ';' || rest->data[0] == ',';
}

bool dx_link_next(dx_slice *rest, dx_link *out) {
    for (;;) {
        while (rest->size && (is_space(rest->data[0]) || rest->data[0] == ',')) *rest = dx_slice_from(*rest, 1);
        if (!rest->size) return false;
        bool has_relation = false;
        *out = (dx_link){0};
        if (!take_target(rest, out)) {
            skip_to_comma(rest);
            continue;
        }
        while (rest->size && rest->data[0] == ';') {
            *rest = skip_space(dx_slice_from(*rest, 1));
            take_parameter(rest, out, &has_relation);
        }
        return true;
    }
}

bool dx_link_has_relation(const dx_link *link, dx_slice relation) {
    dx_slice rest = link->relation;
    while (rest.size) {
        if (dx_slice_equal_nocase(dx_slice_cut(&rest, ' '), relation)) return true;
    }
    return false;
}

bool dx_link_find(dx_slice *target, dx_slice value, dx_slice relation) {
    dx_link link;
    while (dx_link_next(&value, &link)) {
        if (link.anchored || !dx_link_has_relation(&link, relation)) continue;
        *target = link.target;
        return true;
    }
    return false;
}
