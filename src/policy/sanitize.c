// Cleaning strings: each rule is a pass over one string into a new one, taken only when it finds something to do.
#include "policy/sanitize.h"

#include "codec/text.h"

static size_t control_size(dx_slice text, size_t at) {
    unsigned char byte = (unsigned char)text.data[at];
    if (byte == '\t' || byte == '\n' || byte == '\r') return 0;
    if (byte < 0x20 || byte == 0x7f) return 1;
    if (byte != 0xc2 || at + 1 == text.size) return 0; // U+0080 to U+009F
    unsigned char next = (unsigned char)text.data[at + 1];
    return next >= 0x80 && next <= 0x9f ? 2 : 0;
}

static void strip_nul(dx_buffer *out, dx_slice text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i]) dx_buffer_byte(out, text.data[i]);
}

static void normalize_newlines(dx_buffer *out, dx_slice text) {
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\r') {
            dx_buffer_byte(out, text.data[i]);
        } else if (i + 1 == text.size || text.data[i + 1] != '\n') {
            dx_buffer_byte(out, '\n');
        }
    }
}

static void collapse_controls(dx_buffer *out, dx_slice text) {
    for (size_t i = 0, size; i < text.size;) {
        size_t from = i;
        while (i < text.size && (size = control_size(text, i))) i += size;
        dx_buffer_byte(out, i > from ? ' ' : text.data[i++]);
    }
}

static void escape_html(dx_buffer *out, dx_slice text) {
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '&')
            DX_BUFFER_LIT(out, "&amp;");
        else if (byte == '<')
            DX_BUFFER_LIT(out, "&lt;");
        else if (byte == '>')
            DX_BUFFER_LIT(out, "&gt;");
        else if (byte == '"')
            DX_BUFFER_LIT(out, "&quot;");
        else if (byte == '\'')
            DX_BUFFER_LIT(out, "&#39;");
        else
            dx_buffer_byte(out, byte);
    }
}

static bool has_nul(dx_slice text) {
    return dx_slice_find(text, '\0') != SIZE_MAX;
}

static bool has_return(dx_slice text) {
    return dx_slice_find(text, '\r') != SIZE_MAX;
}

static bool has_control(dx_slice text) {
    for (size_t i = 0; i < text.size; i++)
        if (control_size(text, i)) return true;
    return false;
}

static bool has_html(dx_slice text) {
    for (size_t i = 0; i < text.size; i++)
        if (memchr("&<>\"'", text.data[i], 5)) return true;
    return false;
}

static dx_status rewrite(dx_slice *text, dx_arena *arena, bool (*is_needed)(dx_slice), void (*write)(dx_buffer *, dx_slice)) {
    if (!is_needed(*text)) return DX_OK;
    dx_buffer out;
    dx_buffer_init(&out, arena, text->size * 6 + 16);
    (void)dx_buffer_reserve(&out, text->size);
    write(&out, *text);
    *text = out.size ? dx_buffer_slice(&out) : DX_SLICE("");
    return dx_buffer_status(&out);
}

// --- white space -------------------------------------------------------------------------------------------------------------

static bool is_white(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool is_hard_space(dx_slice text, size_t at) { // U+00A0
    return text.size - at >= 2 && text.data[at] == '\xc2' && text.data[at + 1] == '\xa0';
}

static dx_slice trim(dx_slice text) {
    for (;;) {
        if (text.size && is_white(text.data[0]))
            text = dx_slice_of(text.data + 1, text.size - 1);
        else if (text.size >= 2 && is_hard_space(text, 0))
            text = dx_slice_of(text.data + 2, text.size - 2);
        else
            break;
    }
    for (;;) {
        if (text.size && is_white(text.data[text.size - 1]))
            text.size--;
        else if (text.size >= 2 && is_hard_space(text, text.size - 2))
            text.size -= 2;
        else
            return text;
    }
}

// --- signatures --------------------------------------------------------------------------------------------------------------

// Looked for in lower case, with runs of white space and comments as one space.
static const char *const SQL[] = {
    "union select ",      "union all select ", "' or '",        "' or 1=1",  "\" or \"", "or 1=1", "'; drop ",
    "; drop table",       "; delete from",     "; insert into", "; update ", "'--",      "' --",   "xp_cmdshell",
    "information_schema", "waitfor delay",     "benchmark(",    "pg_sleep(",
};
static const char *const SCRIPT[] = {
    "<script",        "</script", "<iframe", "<object",  "<embed",       "<svg",     "javascript:", "vbscript:",
    "data:text/html", "onerror=", "onload=", "onclick=", "onmouseover=", "onfocus=", "srcdoc=",
};

static dx_status fold(dx_slice *out, dx_arena *arena, dx_slice text) {
    char *to = dx_arena_bytes(arena, text.size + 1);
    size_t size = 0;
    if (!to) return DX_NO_MEMORY;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '/' && text.size - i >= 4 && text.data[i + 1] == '*') {
            size_t end = i + 2;
            while (end + 1 < text.size && !(text.data[end] == '*' && text.data[end + 1] == '/')) end++;
            i = end + 1 < text.size ? end + 1 : text.size; // an open comment runs to the end
            byte = ' ';
        }
        bool white = is_white(byte) || byte == '\v' || byte == '\f';
        if (white && size && to[size - 1] == ' ') continue;
        to[size++] = white ? ' ' : byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
    }
    *out = dx_slice_of(to, size);
    return DX_OK;
}

static const char *find_signature(dx_slice folded, const char *const *signatures, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (folded.size && memmem(folded.data, folded.size, signatures[i], strlen(signatures[i]))) return signatures[i];
    return NULL;
}

static dx_status judge(dx_slice folded, dx_signature_action action, const char *kind, const char *const *signatures, size_t count,
                       dx_slice pointer, dx_diags *diags) {
    const char *found = action == DX_SIGNATURE_IGNORE ? NULL : find_signature(folded, signatures, count);
    if (!found) return DX_OK;
    dx_status status = action == DX_SIGNATURE_REJECT ? DX_INVALID : DX_OK;
    dx_diags_add(diags, status, pointer, "it looks like %s injection: it has %s", kind, found);
    return status;
}

static dx_status judge_all(dx_arena *arena, const dx_sanitize *settings, dx_slice text, dx_slice pointer, dx_diags *diags) {
    dx_slice folded;
    if (settings->sql == DX_SIGNATURE_IGNORE && settings->script == DX_SIGNATURE_IGNORE) return DX_OK;
    dx_status status = fold(&folded, arena, text);
    if (status != DX_OK) return status;
    status = judge(folded, settings->sql, "SQL", SQL, DX_COUNT_OF(SQL), pointer, diags);
    dx_status other = judge(folded, settings->script, "script", SCRIPT, DX_COUNT_OF(SCRIPT), pointer, diags);
    return status == DX_OK ? other : status;
}

dx_status dx_sanitize_text(dx_slice *out, dx_arena *arena, const dx_sanitize *settings, dx_slice text, dx_slice pointer, dx_diags *diags) {
    dx_status status = DX_OK;
    if (settings->strip_nul) status = rewrite(&text, arena, has_nul, strip_nul);
    if (status == DX_OK && settings->normalize_newlines) status = rewrite(&text, arena, has_return, normalize_newlines);
    if (status == DX_OK && settings->collapse_controls) status = rewrite(&text, arena, has_control, collapse_controls);
    if (status != DX_OK) return status;
    if (settings->trim) text = trim(text);
    if (settings->max_length && dx_utf8_length(text) > settings->max_length) {
        dx_diags_add(diags, DX_INVALID, pointer, "expected at most %u characters", settings->max_length);
        status = DX_INVALID;
    }
    dx_status judged = judge_all(arena, settings, text, pointer, diags);
    if (judged != DX_OK) status = judged;
    if (status == DX_OK && settings->escape_html) status = rewrite(&text, arena, has_html, escape_html);
    *out = text.data ? text : DX_SLICE("");
    return status;
}
