// The list of findings and their one-line text.
#include "base/diag.h"

#include "base/buffer.h"

#define TEXT_CAP ((size_t)16 * 1024)

void dx_diags_init(dx_diags *diags, dx_arena *arena) {
    *diags = (dx_diags){.arena = arena, .cap = DX_DIAGS_CAP};
}

dx_diag *dx_diags_add(dx_diags *diags, dx_status status, dx_slice pointer, const char *format, ...) {
    if (diags == NULL) return NULL;
    if (diags->count++ >= diags->cap) return NULL;
    dx_diag *diag = DX_ARENA_NEW(diags->arena, dx_diag);
    if (diag == NULL) return NULL;
    va_list args;
    va_start(args, format);
    diag->message = dx_arena_vprintf(diags->arena, format, args);
    va_end(args);
    diag->pointer = dx_arena_copy(diags->arena, pointer);
    if (diag->message.data == NULL || diag->pointer.data == NULL) return NULL;
    diag->status = status;
    if (diags->last) diags->last->next = diag;
    if (diags->first == NULL) diags->first = diag;
    diags->last = diag;
    return diag;
}

void dx_diag_suggest(const dx_diags *diags, dx_diag *diag, dx_slice suggestion) {
    if (diag && suggestion.size) diag->suggestion = dx_arena_copy(diags->arena, suggestion);
}

static void add_place(dx_buffer *text, const dx_diag *diag) {
    dx_buffer_add(text, diag->file);
    if (diag->line) {
        if (diag->file.size) dx_buffer_byte(text, ':');
        dx_buffer_u64(text, diag->line);
        if (diag->column) dx_buffer_byte(text, ':'), dx_buffer_u64(text, diag->column);
    }
    if (text->size) DX_BUFFER_LIT(text, ": ");
    if (diag->pointer.size) {
        dx_buffer_add(text, diag->pointer);
        DX_BUFFER_LIT(text, ": ");
    }
}

// One word is a name; several are advice and stand as they are.
static void add_suggestion(dx_buffer *text, dx_slice suggestion) {
    if (suggestion.size == 0) return;
    DX_BUFFER_LIT(text, "; ");
    bool name = dx_slice_find(suggestion, ' ') == SIZE_MAX;
    if (name) DX_BUFFER_LIT(text, "did you mean \"");
    dx_buffer_add(text, suggestion);
    if (name) DX_BUFFER_LIT(text, "\"?");
}

dx_slice dx_diag_text(const dx_diag *diag, dx_arena *arena) {
    dx_buffer text;
    dx_buffer_init(&text, arena, TEXT_CAP);
    add_place(&text, diag);
    dx_buffer_add(&text, diag->message);
    add_suggestion(&text, diag->suggestion);
    // Input may be quoted in it: nothing of it may break the line or steer a terminal.
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte < 0x20 || byte == 0x7f) text.data[i] = '?';
    }
    char *end = dx_buffer_reserve(&text, 1);
    if (end) *end = '\0'; // as all text of an arena; not counted
    return dx_buffer_slice(&text);
}
