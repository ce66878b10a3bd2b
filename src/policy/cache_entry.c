// An entry's block: the struct, its fields, its tags, then the bytes of them all. As bytes: "DXC1", the sum of what follows, the numbers,
// then each text behind its size, all little endian.
#include "policy/cache_entry.h"

#include <endian.h>

#include "base/hash.h"
#include "base/memory.h"

// --- the block -------------------------------------------------------------------------------------------------------------

typedef struct plan {
    size_t fields, tags, bytes;
} plan;

static bool add_size(size_t *sum, dx_slice text) {
    return !__builtin_add_overflow(*sum, text.size, sum) && *sum <= DX_CACHE_ENTRY_CAP;
}

// Tags stand in the names of sets elsewhere, and in lists.
static bool is_tag(dx_slice tag) {
    for (size_t i = 0; i < tag.size; i++) {
        if ((unsigned char)tag.data[i] < ' ' || tag.data[i] == 0x7f) return false;
    }
    return tag.size > 0;
}

static dx_status measure(plan *out, const dx_cache_entry_parts *parts, bool all_fields) {
    *out = (plan){.tags = parts->tag_count};
    if (!parts->key.size) return DX_INVALID;
    if (parts->tag_count > DX_CACHE_TAGS_CAP) return DX_TOO_LARGE;
    bool fits = add_size(&out->bytes, parts->key) && add_size(&out->bytes, parts->vary) && add_size(&out->bytes, parts->body);
    for (size_t i = 0; fits && i < parts->tag_count; i++) {
        if (!is_tag(parts->tags[i])) return DX_INVALID;
        fits = parts->tags[i].size <= DX_CACHE_TAG_CAP && add_size(&out->bytes, parts->tags[i]);
    }
    for (uint32_t i = 0; fits && i < parts->fields->count; i++) {
        const dx_field *field = &parts->fields->items[i];
        if (!all_fields && !dx_freshness_keeps(parts->fields, field->name)) continue;
        fits = add_size(&out->bytes, field->name) && add_size(&out->bytes, field->value) && ++out->fields <= DX_CACHE_FIELDS_CAP;
        out->bytes += 2; // a NUL behind each
    }
    out->bytes++; // and one behind the body
    return fits ? DX_OK : DX_TOO_LARGE;
}

static dx_slice keep(char **at, dx_slice text) {
    dx_slice kept = dx_slice_of(*at, text.size);
    if (text.size) memcpy(*at, text.data, text.size);
    *at += text.size;
    return kept;
}

// Likewise, with a NUL behind it that does not count.
static dx_slice keep_text(char **at, dx_slice text) {
    dx_slice kept = keep(at, text);
    *(*at)++ = '\0';
    return kept;
}

uint64_t dx_cache_tag_bit(dx_slice tag) {
    return (uint64_t)1 << (dx_hash(tag) & 63);
}

static void fill(dx_cache_entry *entry, const plan *sizes, const dx_cache_entry_parts *parts, bool all_fields) {
    dx_field *fields = (dx_field *)(void *)(entry + 1);
    dx_slice *tags = (dx_slice *)(void *)(fields + sizes->fields);
    char *at = (char *)(tags + sizes->tags);
    uint32_t count = 0;
    for (uint32_t i = 0; i < parts->fields->count; i++) {
        const dx_field *field = &parts->fields->items[i];
        if (!all_fields && !dx_freshness_keeps(parts->fields, field->name)) continue;
        dx_slice name = keep_text(&at, field->name);
        fields[count++] = (dx_field){name, keep_text(&at, field->value), dx_field_lookup(name)};
    }
    for (size_t i = 0; i < parts->tag_count; i++) {
        tags[i] = keep(&at, parts->tags[i]);
        entry->tag_bits |= dx_cache_tag_bit(tags[i]);
    }
    entry->fields = (dx_fields){fields, count, count};
    entry->tags = tags;
    entry->tag_count = parts->tag_count;
    entry->key = keep(&at, parts->key);
    entry->vary = keep(&at, parts->vary);
    entry->body = keep_text(&at, parts->body);
}

static dx_status build(dx_cache_entry **out, const dx_cache_entry_parts *parts, bool all_fields) {
    plan sizes;
    *out = NULL;
    dx_status status = measure(&sizes, parts, all_fields);
    if (status != DX_OK) return status;
    size_t size = sizeof **out + sizes.fields * sizeof(dx_field) + sizes.tags * sizeof(dx_slice) + sizes.bytes;
    dx_cache_entry *entry = dx_memory_alloc(size);
    if (!entry) return DX_NO_MEMORY;
    memset(entry, 0, sizeof *entry);
    atomic_init(&entry->holders, 1);
    entry->size = size;
    entry->status = parts->status;
    entry->freshness = *parts->freshness;
    fill(entry, &sizes, parts, all_fields);
    *out = entry;
    return DX_OK;
}

dx_status dx_cache_entry_create(dx_cache_entry **out, const dx_cache_entry_parts *parts) {
    return build(out, parts, false);
}

dx_cache_entry *dx_cache_entry_hold(dx_cache_entry *entry) {
    atomic_fetch_add_explicit(&entry->holders, 1, memory_order_relaxed);
    return entry;
}

void dx_cache_entry_release(dx_cache_entry *entry) {
    if (!entry || atomic_fetch_sub_explicit(&entry->holders, 1, memory_order_acq_rel) != 1) return;
    dx_memory_free(entry);
}

bool dx_cache_entry_has_tag(const dx_cache_entry *entry, dx_slice tag) {
    for (size_t i = 0; i < entry->tag_count; i++) {
        if (dx_slice_equal(entry->tags[i], tag)) return true;
    }
    return false;
}

// --- as bytes --------------------------------------------------------------------------------------------------------------

static const dx_slice MAGIC = DX_SLICE_INIT("DXC1");
enum { SUMMED_FROM = 4 + 8, FRESHNESS_NUMBERS = 6 };

static void put32(dx_buffer *out, uint32_t value) {
    value = htole32(value);
    dx_buffer_append(out, &value, sizeof value);
}

static void put64(dx_buffer *out, uint64_t value) {
    value = htole64(value);
    dx_buffer_append(out, &value, sizeof value);
}

static void put_text(dx_buffer *out, dx_slice text) {
    put32(out, (uint32_t)text.size); // within DX_CACHE_ENTRY_CAP
    dx_buffer_add(out, text);
}

static void put_freshness(dx_buffer *out, const dx_freshness *freshness) {
    const int64_t numbers[FRESHNESS_NUMBERS] = {freshness->response_time,       freshness->initial_age_us, freshness->lifetime_us,
                                                freshness->while_revalidate_us, freshness->if_error_us,    freshness->keep_until};
    for (size_t i = 0; i < FRESHNESS_NUMBERS; i++) put64(out, (uint64_t)numbers[i]);
    put32(out, freshness->flags);
}

void dx_cache_entry_write(dx_buffer *out, const dx_cache_entry *entry) {
    size_t start = out->size;
    (void)dx_buffer_reserve(out, entry->size);
    dx_buffer_add(out, MAGIC);
    put64(out, 0); // the sum's place
    put32(out, (uint32_t)entry->status);
    put_freshness(out, &entry->freshness);
    put32(out, entry->fields.count);
    put32(out, (uint32_t)entry->tag_count);
    put_text(out, entry->key);
    put_text(out, entry->vary);
    put_text(out, entry->body);
    for (uint32_t i = 0; i < entry->fields.count; i++) {
        put_text(out, entry->fields.items[i].name);
        put_text(out, entry->fields.items[i].value);
    }
    for (size_t i = 0; i < entry->tag_count; i++) put_text(out, entry->tags[i]);
    if (dx_buffer_status(out) != DX_OK) return;
    uint64_t sum = htole64(dx_hash_fixed(dx_slice_of(out->data + start + SUMMED_FROM, out->size - start - SUMMED_FROM)));
    memcpy(out->data + start + MAGIC.size, &sum, sizeof sum);
}

static bool take(dx_slice *rest, void *out, size_t size) {
    if (rest->size < size) return false;
    memcpy(out, rest->data, size);
    *rest = dx_slice_of(rest->data + size, rest->size - size);
    return true;
}

static bool take32(dx_slice *rest, uint32_t *out) {
    if (!take(rest, out, sizeof *out)) return false;
    *out = le32toh(*out);
    return true;
}

static bool take_text(dx_slice *rest, dx_slice *out) {
    uint32_t size;
    if (!take32(rest, &size) || size > rest->size) return false;
    *out = dx_slice_of(rest->data, size);
    *rest = dx_slice_of(rest->data + size, rest->size - size);
    return true;
}

// Times and spans within what a century can hold, so that sums of them can't overflow.
static const int64_t TIME_CAP = INT64_MAX / 16;

static bool take_freshness(dx_slice *rest, dx_freshness *out) {
    int64_t numbers[FRESHNESS_NUMBERS];
    for (size_t i = 0; i < FRESHNESS_NUMBERS; i++) {
        uint64_t number;
        if (!take(rest, &number, sizeof number)) return false;
        numbers[i] = (int64_t)le64toh(number);
        if (numbers[i] < 0 || numbers[i] > TIME_CAP) return false;
    }
    *out = (dx_freshness){.response_time = numbers[0],
                          .initial_age_us = numbers[1],
                          .lifetime_us = numbers[2],
                          .while_revalidate_us = numbers[3],
                          .if_error_us = numbers[4],
                          .keep_until = numbers[5]};
    return take32(rest, &out->flags) && (out->flags & ~DX_FRESHNESS_FLAGS) == 0;
}

static bool breaks_line(dx_slice text) {
    return dx_slice_find(text, '\r') != SIZE_MAX || dx_slice_find(text, '\n') != SIZE_MAX || dx_slice_find(text, '\0') != SIZE_MAX;
}

static bool take_fields(dx_slice *rest, dx_field *out, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!take_text(rest, &out[i].name) || !take_text(rest, &out[i].value)) return false;
        if (!out[i].name.size || breaks_line(out[i].name) || breaks_line(out[i].value)) return false;
    }
    return true;
}

static bool is_summed(dx_slice bytes) {
    uint64_t sum;
    if (bytes.size < SUMMED_FROM || bytes.size > DX_CACHE_ENTRY_CAP || !dx_slice_starts(bytes, MAGIC)) return false;
    memcpy(&sum, bytes.data + MAGIC.size, sizeof sum);
    return le64toh(sum) == dx_hash_fixed(dx_slice_from(bytes, SUMMED_FROM));
}

dx_status dx_cache_entry_read(dx_cache_entry **out, dx_slice bytes) {
    dx_field items[DX_CACHE_FIELDS_CAP];
    dx_slice tags[DX_CACHE_TAGS_CAP], rest = dx_slice_from(bytes, SUMMED_FROM);
    dx_freshness freshness;
    uint32_t status, field_count, tag_count;
    dx_cache_entry_parts parts = {.freshness = &freshness, .tags = tags};
    *out = NULL;
    if (!is_summed(bytes) || !take32(&rest, &status) || status < 200 || status > 599 || !take_freshness(&rest, &freshness))
        return DX_MALFORMED;
    if (!take32(&rest, &field_count) || field_count > DX_CACHE_FIELDS_CAP) return DX_MALFORMED;
    if (!take32(&rest, &tag_count) || tag_count > DX_CACHE_TAGS_CAP) return DX_MALFORMED;
    if (!take_text(&rest, &parts.key) || !take_text(&rest, &parts.vary) || !take_text(&rest, &parts.body)) return DX_MALFORMED;
    if (!take_fields(&rest, items, field_count)) return DX_MALFORMED;
    for (uint32_t i = 0; i < tag_count; i++) {
        if (!take_text(&rest, &tags[i])) return DX_MALFORMED;
    }
    if (rest.size) return DX_MALFORMED;
    const dx_fields fields = {items, field_count, field_count};
    parts.status = (int)status;
    parts.fields = &fields;
    parts.tag_count = tag_count;
    dx_status built = build(out, &parts, true);
    return built == DX_OK || built == DX_NO_MEMORY ? built : DX_MALFORMED;
}
