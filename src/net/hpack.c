// Lines of header blocks; see the header. Of the static table (RFC 7541 appendix A) only names are used: nghttp2 has written :status.
#include "net/hpack.h"

#include "base/memory.h"

#define ENTRY_COST     32u // RFC 7541 section 4.1
#define STATIC_ENTRIES 61u
#define LENGTH_INDEX   28u // content-length
#define PROBES         4u
#define SLOTS          (2u * DX_HPACK_ENTRIES)

struct dx_hpack_entry {
    uint32_t hash, name_size, value_size;
    char text[]; // name and value
};

void dx_hpack_init(dx_hpack *hpack) {
    *hpack = (dx_hpack){.limit = DX_HPACK_TABLE_SIZE};
}

// --- the dynamic table -----------------------------------------------------------------------------------------------------

static uint32_t cost_of(const dx_hpack_entry *entry) {
    return ENTRY_COST + entry->name_size + entry->value_size;
}

static void evict(dx_hpack *hpack) {
    dx_hpack_entry **oldest = &hpack->entries[(hpack->next - hpack->count) % DX_HPACK_ENTRIES];
    hpack->size -= cost_of(*oldest);
    hpack->count--;
    dx_memory_free(*oldest);
    *oldest = NULL;
}

void dx_hpack_resize(dx_hpack *hpack, uint32_t limit) {
    hpack->limit = limit < DX_HPACK_TABLE_SIZE ? limit : DX_HPACK_TABLE_SIZE;
    while (hpack->size > hpack->limit) evict(hpack);
}

void dx_hpack_deinit(dx_hpack *hpack) {
    while (hpack->count) evict(hpack);
}

static uint64_t mix(uint64_t hash, dx_slice text) {
    const uint64_t factor = 0x9e3779b97f4a7c15u;
    uint64_t word = 0;
    hash += text.size;
    if (text.size < sizeof word) {
        for (size_t i = 0; i < text.size; i++) word = word << 8 | (unsigned char)text.data[i];
        return (hash ^ word) * factor;
    }
    for (size_t i = 0; i < text.size - sizeof word; i += sizeof word) {
        memcpy(&word, text.data + i, sizeof word);
        hash = (hash ^ word) * factor;
        hash ^= hash >> 32;
    }
    memcpy(&word, text.data + text.size - sizeof word, sizeof word);
    return (hash ^ word) * factor;
}

// Of the name, its size and its ends will do: names are few, and what is found is compared.
static uint32_t hash_of(const dx_field *field) {
    dx_slice name = field->name;
    uint64_t ends = name.size ? (uint64_t)(unsigned char)name.data[0] << 16 | (unsigned char)name.data[name.size - 1] << 8 : 0;
    return (uint32_t)(mix((ends | (name.size & 0xff)) << 24, field->value) >> 32);
}

static bool is_line(const dx_hpack_entry *entry, uint32_t hash, const dx_field *field) {
    return entry && entry->hash == hash && entry->name_size == field->name.size && entry->value_size == field->value.size &&
           memcmp(entry->text, field->name.data, field->name.size) == 0 &&
           (field->value.size == 0 || memcmp(entry->text + field->name.size, field->value.data, field->value.size) == 0);
}

// The line's index for the peer; 0: it is not in the table. What a slot leads to may have been replaced since by another line.
static uint32_t find(const dx_hpack *hpack, uint32_t hash, const dx_field *field) {
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        uint32_t place = hpack->slots[(hash + probe) % SLOTS];
        if (!place || !is_line(hpack->entries[place - 1], hash, field)) continue;
        return STATIC_ENTRIES + 1 + (hpack->next - place) % DX_HPACK_ENTRIES;
    }
    return 0;
}

// A slot that leads nowhere, or to a line that is not looked for there; NULL: all are in use.
static uint8_t *free_slot(dx_hpack *hpack, uint32_t hash) {
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        uint32_t at = (hash + probe) % SLOTS;
        const dx_hpack_entry *entry = hpack->slots[at] ? hpack->entries[hpack->slots[at] - 1] : NULL;
        if (!entry || (at - entry->hash) % SLOTS >= PROBES) return &hpack->slots[at];
    }
    return NULL;
}

// False: the line is not to enter the table.
static bool insert(dx_hpack *hpack, uint32_t hash, const dx_field *field) {
    size_t cost = ENTRY_COST + field->name.size + field->value.size;
    uint8_t *slot = free_slot(hpack, hash);
    if (!slot || cost > hpack->limit) return false; // it could not be found again, or would empty the table
    dx_hpack_entry *entry = dx_memory_alloc(sizeof *entry + field->name.size + field->value.size);
    if (!entry) return false;
    *entry = (dx_hpack_entry){hash, (uint32_t)field->name.size, (uint32_t)field->value.size};
    memcpy(entry->text, field->name.data, field->name.size);
    if (field->value.size) memcpy(entry->text + field->name.size, field->value.data, field->value.size);
    while (hpack->size + cost > hpack->limit) evict(hpack);
    uint32_t place = hpack->next % DX_HPACK_ENTRIES;
    hpack->entries[place] = entry;
    hpack->next++;
    hpack->count++;
    hpack->size += (uint32_t)cost;
    *slot = (uint8_t)(place + 1);
    return true;
}

// --- octets ----------------------------------------------------------------------------------------------------------------

// RFC 7541 section 5.1: an integer that begins in the low bits of an octet.
static char *integer(char *to, uint8_t high, unsigned bits, size_t value) {
    size_t most = (1u << bits) - 1;
    if (DX_LIKELY(value < most)) {
        *to++ = (char)(high | value);
        return to;
    }
    *to++ = (char)(high | most);
    for (value -= most; value >= 128; value >>= 7) *to++ = (char)(0x80 | (value & 0x7f));
    *to++ = (char)value;
    return to;
}

static char *string(char *to, dx_slice text) {
    to = integer(to, 0, 7, text.size);
    if (text.size) memcpy(to, text.data, text.size);
    return to + text.size;
}

// RFC 9113 section 8.2: names travel in lower case.
static char *name_string(char *to, dx_slice name) {
    to = integer(to, 0, 7, name.size);
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        *to++ = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return to;
}

static bool has_upper(dx_slice name) {
    unsigned found = 0;
    for (size_t i = 0; i < name.size; i++) found |= (unsigned char)(name.data[i] - 'A') < 26;
    return found;
}

// Of names that responses have.
static uint32_t static_index(dx_slice name) {
    static const struct {
        dx_slice name;
        uint32_t index;
    } names[] = {
        {DX_SLICE_INIT("age"), 21},
        {DX_SLICE_INIT("date"), 33},
        {DX_SLICE_INIT("etag"), 34},
        {DX_SLICE_INIT("link"), 45},
        {DX_SLICE_INIT("vary"), 59},
        {DX_SLICE_INIT("allow"), 22},
        {DX_SLICE_INIT("server"), 54},
        {DX_SLICE_INIT("expires"), 36},
        {DX_SLICE_INIT("location"), 46},
        {DX_SLICE_INIT("set-cookie"), 55},
        {DX_SLICE_INIT("retry-after"), 53},
        {DX_SLICE_INIT("content-type"), 31},
        {DX_SLICE_INIT("accept-ranges"), 18},
        {DX_SLICE_INIT("cache-control"), 24},
        {DX_SLICE_INIT("content-range"), 30},
        {DX_SLICE_INIT("last-modified"), 44},
        {DX_SLICE_INIT("content-length"), LENGTH_INDEX},
        {DX_SLICE_INIT("content-encoding"), 26},
        {DX_SLICE_INIT("content-language"), 27},
        {DX_SLICE_INIT("content-location"), 29},
        {DX_SLICE_INIT("www-authenticate"), 61},
        {DX_SLICE_INIT("content-disposition"), 25},
        {DX_SLICE_INIT("strict-transport-security"), 56},
        {DX_SLICE_INIT("access-control-allow-origin"), 20},
    };
    for (size_t i = 0; i < DX_COUNT_OF(names); i++) {
        if (name.size == names[i].name.size && dx_slice_equal_nocase(name, names[i].name)) return names[i].index;
    }
    return 0;
}

// A literal of one of the kinds of RFC 7541 section 6.2, by the high bits of its first octet and how many bits are left for an index.
static char *literal(char *to, uint8_t kind, unsigned bits, const dx_field *field) {
    uint32_t index = static_index(field->name);
    to = integer(to, kind, bits, index);
    if (!index) to = name_string(to, field->name);
    return string(to, field->value);
}

#define INDEXED       0x80
#define LITERAL_ADDED 0x40, 6
#define LITERAL_PLAIN 0x00, 4
#define LITERAL_NEVER 0x10, 4 // proxies, too, keep it out of their tables

char *dx_hpack_length(char *to, uint64_t length) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + length % 10);
        length /= 10;
    } while (length);
    to = integer(to, 0, 4, LENGTH_INDEX);
    return string(to, dx_slice_of(digits + at, sizeof digits - at));
}

// Notes the line; true when it was noted before. Two places each, so that two lines that share one do not drive each other out for ever.
static bool goes_again(dx_hpack *hpack, uint32_t hash) {
    uint32_t *first = &hpack->seen[hash % DX_HPACK_SEEN], *second = &hpack->seen[(hash >> 16) % DX_HPACK_SEEN];
    if (*first == hash || *second == hash) return true;
    bool take_second = *first && (!*second || hash & 0x8000);
    *(take_second ? second : first) = hash;
    return false;
}

char *dx_hpack_line(dx_hpack *hpack, char *to, const dx_field *field) {
    if (field->id == DX_FIELD_X_REQUEST_ID || field->id == DX_FIELD_TRACEPARENT) { // unique
        to = name_string(integer(to, 0, 4, 0), field->name);
        return string(to, field->value);
    }
    uint32_t hash = hash_of(field), index = find(hpack, hash, field);
    if (DX_LIKELY(index)) return integer(to, INDEXED, 7, index);
    if (field->name.size == 10 && dx_slice_equal_nocase(field->name, DX_SLICE("set-cookie"))) return literal(to, LITERAL_NEVER, field);
    if (goes_again(hpack, hash) && !has_upper(field->name) && insert(hpack, hash, field)) return literal(to, LITERAL_ADDED, field);
    return literal(to, LITERAL_PLAIN, field);
}

bool dx_hpack_follow(dx_hpack *hpack, dx_slice block) {
    const unsigned char *at = (const unsigned char *)block.data, *end = at + block.size;
    while (at < end && (*at & 0xe0) == 0x20) { // RFC 7541 section 6.3
        uint32_t value = *at++ & 0x1f;
        for (unsigned shift = 0; value >= 0x1f; shift += 7) {
            if (at == end || shift > 21) return false;
            value += (uint32_t)(*at & 0x7f) << shift;
            if (!(*at++ & 0x80)) break;
        }
        dx_hpack_resize(hpack, value);
    }
    return true;
}
