// Names and addresses of hosts: IPv4 (RFC 2673 section 3.2), IPv6 (RFC 4291 section 2.2), hostnames (RFC 1123 section 2.1) and mailboxes
// (RFC 5321 section 4.1.2). Internationalized labels are checked in format_idn.c.
#include "model/format_idn.h"
#include "model/uri.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c) {
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

bool dx_ipv4_valid(dx_slice text) {
    dx_slice rest = text;
    for (int part = 0; part < 4; part++) {
        if (!rest.data) return false;
        dx_slice digits = dx_slice_cut(&rest, '.');
        int value = 0;
        if (digits.size < 1 || digits.size > 3 || (digits.size > 1 && digits.data[0] == '0')) return false;
        for (size_t i = 0; i < digits.size; i++) {
            if (!is_digit(digits.data[i])) return false;
            value = value * 10 + (digits.data[i] - '0');
        }
        if (value > 255) return false;
    }
    return !rest.data;
}

static bool group_valid(dx_slice group) {
    if (group.size < 1 || group.size > 4) return false;
    for (size_t i = 0; i < group.size; i++)
        if (!is_digit(group.data[i]) && ((group.data[i] | 0x20) < 'a' || (group.data[i] | 0x20) > 'f')) return false;
    return true;
}

// Groups between colons, the last perhaps an IPv4 address: how many 16-bit words they make, or -1.
static int words_of(dx_slice text, bool last) {
    int words = 0;
    if (!text.size) return 0;
    for (dx_slice rest = text; rest.data;) {
        dx_slice group = dx_slice_cut(&rest, ':');
        if (last && !rest.data && dx_slice_find(group, '.') != SIZE_MAX) {
            if (!dx_ipv4_valid(group)) return -1;
            words += 2;
        } else if (group_valid(group)) {
            words++;
        } else {
            return -1;
        }
    }
    return words;
}

bool dx_ipv6_valid(dx_slice text) {
    if (text.size < 2 || text.size > 45) return false;
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (text.data[i] != ':' || text.data[i + 1] != ':') continue;
        int before = words_of(dx_slice_of(text.data, i), false);
        int after = words_of(dx_slice_of(text.data + i + 2, text.size - i - 2), true);
        return before >= 0 && after >= 0 && before + after <= 7;
    }
    return words_of(text, true) == 8;
}

static bool label_valid(dx_slice label) {
    if (label.size < 1 || label.size > 63 || label.data[0] == '-' || label.data[label.size - 1] == '-') return false;
    for (size_t i = 0; i < label.size; i++)
        if (!is_alnum(label.data[i]) && label.data[i] != '-') return false;
    dx_slice prefix = dx_slice_of(label.data, label.size < 4 ? label.size : 4);
    return !dx_slice_equal_nocase(prefix, DX_SLICE("xn--")) || dx_idn_label_valid(dx_slice_from(label, 4));
}

bool dx_hostname_valid(dx_slice text) {
    if (text.size < 1 || text.size > 253) return false;
    for (dx_slice rest = text; rest.data;)
        if (!label_valid(dx_slice_cut(&rest, '.'))) return false;
    return true;
}

static bool quoted_valid(dx_slice local) {
    for (size_t i = 1; i + 1 < local.size; i++) {
        char c = local.data[i];
        if (c == '\\' && i + 2 < local.size)
            c = local.data[++i];
        else if (c == '"' || c == '\\')
            return false;
        if (c < ' ' || c > '~') return false;
    }
    return local.size >= 2;
}

static bool atoms_valid(dx_slice local) {
    for (dx_slice rest = local; rest.data;) {
        dx_slice atom = dx_slice_cut(&rest, '.');
        if (!atom.size) return false;
        for (size_t i = 0; i < atom.size; i++)
            if (!is_alnum(atom.data[i]) && (!atom.data[i] || !strchr("!#$%&'*+-/=?^_`{|}~", atom.data[i]))) return false;
    }
    return true;
}

static bool mail_domain_valid(dx_slice domain) {
    if (domain.size < 2 || domain.data[0] != '[' || domain.data[domain.size - 1] != ']') return dx_hostname_valid(domain);
    dx_slice literal = dx_slice_of(domain.data + 1, domain.size - 2);
    dx_slice tag = dx_slice_of(literal.data, literal.size < 5 ? literal.size : 5);
    if (dx_slice_equal_nocase(tag, DX_SLICE("IPv6:"))) return dx_ipv6_valid(dx_slice_from(literal, 5));
    return dx_ipv4_valid(literal);
}

bool dx_email_valid(dx_slice text) {
    size_t at = text.size;
    while (at && text.data[at - 1] != '@') at--; // the last one: a quoted local part may have more
    if (at < 2 || at - 1 > 64 || text.size > 254) return false;
    dx_slice local = dx_slice_of(text.data, at - 1), domain = dx_slice_of(text.data + at, text.size - at);
    bool quoted = local.data[0] == '"' && local.data[local.size - 1] == '"';
    return (quoted ? quoted_valid(local) : atoms_valid(local)) && mail_domain_valid(domain);
}
