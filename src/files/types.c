// Media types by extension: what the web is made of. Text says that it is UTF-8.
#include "files/parts.h"

typedef struct known_type {
    dx_slice extension, type;
} known_type;

// clang-format off
#define T(extension, type) {DX_SLICE_INIT(extension), DX_SLICE_INIT(type)}
static const known_type known[] = { // sorted by extension
    T("7z", "application/x-7z-compressed"), T("aac", "audio/aac"), T("apng", "image/apng"), T("avi", "video/x-msvideo"),
    T("avif", "image/avif"), T("bin", "application/octet-stream"), T("bmp", "image/bmp"), T("br", "application/x-brotli"),
    T("bz2", "application/x-bzip2"), T("cjs", "text/javascript; charset=utf-8"), T("css", "text/css; charset=utf-8"),
    T("csv", "text/csv; charset=utf-8"), T("doc", "application/msword"),
    T("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"), T("eot", "application/vnd.ms-fontobject"),
    T("epub", "application/epub+zip"), T("flac", "audio/flac"), T("geojson", "application/geo+json"), T("gif", "image/gif"),
    T("gz", "application/gzip"), T("htm", "text/html; charset=utf-8"), T("html", "text/html; charset=utf-8"),
    T("ico", "image/vnd.microsoft.icon"), T("ics", "text/calendar; charset=utf-8"), T("jpeg", "image/jpeg"), T("jpg", "image/jpeg"),
    T("js", "text/javascript; charset=utf-8"), T("json", "application/json"), T("jsonld", "application/ld+json"),
    T("jxl", "image/jxl"), T("m4a", "audio/mp4"), T("map", "application/json"), T("md", "text/markdown; charset=utf-8"),
    T("mid", "audio/midi"), T("mjs", "text/javascript; charset=utf-8"), T("mov", "video/quicktime"), T("mp3", "audio/mpeg"),
    T("mp4", "video/mp4"), T("mpeg", "video/mpeg"), T("odp", "application/vnd.oasis.opendocument.presentation"),
    T("ods", "application/vnd.oasis.opendocument.spreadsheet"), T("odt", "application/vnd.oasis.opendocument.text"),
    T("oga", "audio/ogg"), T("ogg", "audio/ogg"), T("ogv", "video/ogg"), T("opus", "audio/ogg"), T("otf", "font/otf"),
    T("pdf", "application/pdf"), T("png", "image/png"), T("ppt", "application/vnd.ms-powerpoint"),
    T("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"), T("rar", "application/vnd.rar"),
    T("rss", "application/rss+xml"), T("rtf", "application/rtf"), T("svg", "image/svg+xml"), T("tar", "application/x-tar"),
    T("tif", "image/tiff"), T("tiff", "image/tiff"), T("ts", "video/mp2t"), T("ttf", "font/ttf"), T("txt", "text/plain; charset=utf-8"),
    T("vtt", "text/vtt; charset=utf-8"), T("wasm", "application/wasm"), T("wav", "audio/wav"), T("weba", "audio/webm"),
    T("webm", "video/webm"), T("webmanifest", "application/manifest+json"), T("webp", "image/webp"), T("woff", "font/woff"),
    T("woff2", "font/woff2"), T("xhtml", "application/xhtml+xml"), T("xls", "application/vnd.ms-excel"),
    T("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), T("xml", "application/xml"),
    T("yaml", "application/yaml"), T("yml", "application/yaml"), T("zip", "application/zip"), T("zst", "application/zstd"),
};
// clang-format on

#define EXTENSION_CAP 32

dx_slice dx_files_type(const dx_mount *mount, dx_slice name) {
    static const dx_slice unknown = DX_SLICE_INIT("application/octet-stream");
    char lower[EXTENSION_CAP];
    size_t dot = name.size;
    while (dot > 0 && name.data[dot - 1] != '.' && name.data[dot - 1] != '/') dot--;
    if (dot == 0 || name.data[dot - 1] != '.' || name.size - dot > sizeof lower) return unknown;
    for (size_t i = dot; i < name.size; i++)
        lower[i - dot] = name.data[i] >= 'A' && name.data[i] <= 'Z' ? (char)(name.data[i] | 0x20) : name.data[i];
    dx_slice extension = dx_slice_of(lower, name.size - dot);
    const dx_slice *own = dx_map_get(&mount->types, extension);
    if (own) return *own;
    size_t low = 0, high = DX_COUNT_OF(known);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = dx_slice_compare(extension, known[middle].extension);
        if (order == 0) return known[middle].type;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return unknown;
}
