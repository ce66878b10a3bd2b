// Entity tags and conditions of files (RFC 9110 sections 8.8 and 13). A tag is made of the time of the last change, to the nanosecond, size
// and inode: a file written anew here has a new inode, and one edited in its place within one tick of the kernel's clock (some 4 ms)
// without changing its size is all that would go unseen.
#include "base/buffer.h"
#include "files/parts.h"

static char *hex(char *to, uint64_t value) {
    char digits[16];
    unsigned at = sizeof digits;
    do digits[--at] = "0123456789abcdef"[value & 15];
    while ((value >>= 4) != 0);
    memcpy(to, digits + at, sizeof digits - at);
    return to + (sizeof digits - at);
}

dx_slice dx_files_tag(char out[DX_FILES_TAG_CAP], const struct stat *stat, dx_coding coding) {
    static const char letters[DX_CODING_COUNT] = {
        [DX_CODING_IDENTITY] = 0, [DX_CODING_GZIP] = 'g', [DX_CODING_ZSTD] = 'z', [DX_CODING_BR] = 'b'};
    char *to = out;
    *to++ = '"';
    to = hex(to, (uint64_t)stat->st_mtim.tv_sec * 1000000000u + (uint64_t)stat->st_mtim.tv_nsec);
    *to++ = '-';
    to = hex(to, (uint64_t)stat->st_size);
    *to++ = '-';
    to = hex(to, (uint64_t)stat->st_ino);
    if (letters[coding]) *to++ = letters[coding];
    *to++ = '"';
    return dx_slice_of(out, (size_t)(to - out));
}

dx_micros_utc dx_files_modified(const struct stat *stat) {
    return (dx_micros_utc)stat->st_mtim.tv_sec * 1000000;
}

int dx_files_precondition(const dx_exchange *x, dx_slice tag, dx_micros_utc modified) {
    const dx_fields *fields = &x->request.fields;
    dx_slice match = dx_fields_get(fields, DX_FIELD_IF_MATCH), none = dx_fields_get(fields, DX_FIELD_IF_NONE_MATCH);
    dx_slice since = dx_fields_get(fields, DX_FIELD_IF_MODIFIED_SINCE), until = dx_fields_get(fields, DX_FIELD_IF_UNMODIFIED_SINCE);
    bool reading = x->request.method == DX_GET || x->request.method == DX_HEAD;
    dx_micros_utc time;
    if (match.data ? !dx_http_etag_in(match, tag, false) : until.data && dx_http_date_read(until, &time) && modified > time) return 412;
    if (none.data) return !dx_http_etag_in(none, tag, true) ? 0 : reading ? 304 : 412;
    return reading && since.data && dx_http_date_read(since, &time) && modified <= time ? 304 : 0;
}

bool dx_files_range_holds(const dx_exchange *x, dx_slice tag, dx_micros_utc modified) {
    dx_slice value = dx_fields_get(&x->request.fields, DX_FIELD_IF_RANGE);
    dx_micros_utc time;
    if (!value.data) return true;
    if (value.size && (value.data[0] == '"' || value.data[0] == 'W')) return value.data[0] == '"' && dx_slice_equal(value, tag);
    return dx_http_date_read(value, &time) && time == modified; // section 13.1.5: an exact match
}
