// What may be a username, an e-mail address, a role and a password, and how names are folded. Usernames are ASCII without "@": two that
// look alike are alike, and a login name is either a username or an address, never both.
#include "codec/text.h"
#include "crypto/password.h"
#include "identity/accounts.h"
#include "model/schema.h"

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool dx_name_fold(char out[DX_NAME_KEY_CAP], dx_slice name) {
    if (name.size == 0 || name.size > DX_NAME_KEY_CAP) return false;
    for (size_t i = 0; i < name.size; i++) out[i] = lower(name.data[i]);
    return true;
}

bool dx_name_is_email(dx_slice name) {
    return dx_slice_find(name, '@') != SIZE_MAX;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_name(dx_slice text, size_t cap) {
    if (text.size == 0 || text.size > cap || !is_word(text.data[0])) return false;
    for (size_t i = 1; i < text.size; i++) {
        if (!is_word(text.data[i]) && text.data[i] != '.' && text.data[i] != '-') return false;
    }
    return true;
}

const char *dx_username_fault(dx_slice username) {
    return is_name(username, DX_USERNAME_CAP)
               ? NULL
               : "expected 1 to 64 letters (a to z), digits, \"_\", \".\" or \"-\", not starting with \".\" or \"-\"";
}

const char *dx_role_fault(dx_slice role) {
    return is_name(role, DX_ROLE_CAP)
               ? NULL
               : "expected 1 to 64 letters (a to z), digits, \"_\", \".\" or \"-\", not starting with \".\" or \"-\"";
}

const char *dx_email_fault(dx_slice email) {
    if (email.size > DX_EMAIL_CAP) return "expected an e-mail address of at most 254 bytes";
    return dx_format_check(DX_SLICE("email"), email) ? NULL : "expected an e-mail address";
}

// Whether `whole` is `part`, in any case, with little more around it.
static bool is_hardly_more_than(dx_slice whole, dx_slice part) {
    if (part.size < 3 || part.size > whole.size || whole.size - part.size > 6) return false;
    for (size_t at = 0; at + part.size <= whole.size; at++) {
        if (dx_slice_equal_nocase(dx_slice_of(whole.data + at, part.size), part)) return true;
    }
    return false;
}

const char *dx_password_fault(dx_slice password, dx_slice username, dx_slice email, const dx_password_rule *rule) {
    if (password.size && !dx_utf8_valid(password)) return "expected text in UTF-8";
    size_t length = dx_utf8_length(password);
    if (length < rule->min_length) return "expected more characters: it is too short";
    if (password.size > DX_PASSWORD_BYTES_CAP || length > rule->max_length) return "expected fewer characters: it is too long";
    if (dx_password_is_common(password)) return "expected something less common: this is among the first that are tried";
    dx_slice rest = email, local = dx_slice_cut(&rest, '@');
    if (is_hardly_more_than(password, username) || is_hardly_more_than(password, email) || is_hardly_more_than(password, local))
        return "expected something other than the username or the e-mail address";
    return NULL;
}
