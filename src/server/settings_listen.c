// Reading `server.listen`: addresses, and what is spoken at each. What they mean to each other is checked here too: the same address twice,
// a redirect that leads nowhere, development mode where others could reach it.
#include <unistd.h>

#include "net/address.h"
#include "server/settings.h"

#define LISTENS_CAP 64u // an entry *:PORT makes two

static const dx_slice unix_scheme = DX_SLICE_INIT("unix:"), systemd_scheme = DX_SLICE_INIT("systemd:");

typedef struct listens {
    dx_settings_reader *r;
    dx_listen_setting *items;
    size_t count;
} listens;

// --- one address -----------------------------------------------------------------------------------------------------------

static bool has_ipv6(void) {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) (void)close(fd);
    return fd >= 0;
}

static void complain_address(const listens *l, dx_slice pointer, dx_slice text) {
    static const char wanted[] = "HOST:PORT with an IP address or \"localhost\" and a port from 0 to 65535, *:PORT";
    dx_diag *diag = l->r->options->listen
                        ? dx_diags_add(l->r->diags, DX_INVALID, (dx_slice){NULL, 0}, "--listen takes %s, or unix:PATH, not \"%.*s\"",
                                       wanted, DX_SLICE_ARG(text))
                        : dx_definition_complain(l->r->definition, l->r->diags, pointer,
                                                 "expected %s, unix:PATH or systemd:NAME, found \"%.*s\"", wanted, DX_SLICE_ARG(text));
    if (diag) diag->suggestion = DX_SLICE("names are not looked up; \"*:8080\" is every interface, \"127.0.0.1:8080\" this machine alone");
}

static dx_status add(listens *l, dx_listen_setting like, const char *address) {
    if (!address) return DX_NO_MEMORY;
    like.address = address;
    if (l->count < LISTENS_CAP) l->items[l->count++] = like;
    return DX_OK;
}

static dx_status add_tcp(listens *l, dx_listen_setting like, const dx_address *address) {
    char text[DX_ADDRESS_TEXT_CAP];
    dx_address_text(address, text);
    like.open_to_others = !dx_address_is_loopback(address);
    like.port = ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
    return add(l, like, dx_arena_copy(l->r->arena, dx_slice_str(text)).data);
}

static dx_status add_every_interface(listens *l, dx_listen_setting like, dx_slice text) {
    dx_address address;
    int64_t port;
    if (!dx_slice_to_i64(dx_slice_from(text, 2), &port) || port < 1 || port > 65535) {
        dx_settings_complain(l->r, "", like.pointer, "*:PORT takes a port from 1 to 65535, found \"%.*s\"", DX_SLICE_ARG(text));
        return DX_OK;
    }
    dx_status status = dx_address_read(&address, "0.0.0.0", (uint16_t)port) ? add_tcp(l, like, &address) : DX_OK;
    if (status == DX_OK && has_ipv6() && dx_address_read(&address, "::", (uint16_t)port)) status = add_tcp(l, like, &address);
    return status;
}

static dx_status add_unix(listens *l, dx_listen_setting like, dx_slice text) {
    dx_slice path = dx_slice_from(text, unix_scheme.size);
    if (path.size == 0 || path.data[0] == '@') {
        dx_settings_complain(l->r, "write \"unix:/run/duplex.sock\"", like.pointer, "expected the path of a file behind \"unix:\"");
        return DX_OK;
    }
    const char *file = l->r->options->listen ? path.data : dx_settings_file(l->r, path);
    return file ? add(l, like, dx_arena_printf(l->r->arena, "unix:%s", file).data) : DX_NO_MEMORY;
}

static dx_status add_address(listens *l, dx_listen_setting like, dx_slice text) {
    dx_address address;
    bool local = dx_slice_starts(text, unix_scheme);
    if (like.mode && !local)
        dx_settings_complain(l->r, "", like.pointer, "a mode is for the file of a unix socket alone, and this is \"%.*s\"",
                             DX_SLICE_ARG(text));
    if (local) return add_unix(l, like, text);
    if (dx_slice_starts(text, DX_SLICE("*:"))) return add_every_interface(l, like, text);
    if (dx_slice_starts(text, systemd_scheme) && text.size > systemd_scheme.size && !l->r->options->listen) {
        like.open_to_others = true; // where it listens is not known before
        return add(l, like, dx_arena_copy(l->r->arena, text).data);
    }
    if (dx_address_parse(&address, text)) return add_tcp(l, like, &address);
    complain_address(l, like.pointer, text);
    return DX_OK;
}

// --- the entries -----------------------------------------------------------------------------------------------------------

static unsigned octal(dx_slice text) {
    unsigned value = 0;
    for (size_t i = 0; i < text.size; i++) value = value * 8 + (unsigned)(text.data[i] - '0');
    return value;
}

// "https" or "https:PORT"
static void read_redirect(listens *l, dx_listen_setting *to, dx_slice text) {
    static const dx_slice scheme = DX_SLICE_INIT("https");
    int64_t port = 0;
    if (text.size == 0) return;
    if (text.size > scheme.size && (!dx_slice_to_i64(dx_slice_from(text, scheme.size + 1), &port) || port > 65535)) {
        dx_settings_complain(l->r, "", to->pointer, "\"%.*s\" names a port over 65535", DX_SLICE_ARG(text));
        return;
    }
    to->redirect = true;
    to->tag = DX_TAG_REDIRECT;
    l->r->out->redirect_port = (uint16_t)port;
}

static dx_status read_entry(listens *l, yyjson_val *entry, dx_slice pointer, dx_slice instead) {
    dx_listen_setting like = {.pointer = pointer};
    dx_slice text = yyjson_is_str(entry) ? dx_json_slice(entry) : dx_json_member_slice(entry, "address");
    if (yyjson_is_obj(entry)) {
        like.tls = yyjson_get_bool(yyjson_obj_get(entry, "tls"));
        like.proxy_protocol = yyjson_get_bool(yyjson_obj_get(entry, "proxy_protocol"));
        like.mode = octal(dx_json_member_slice(entry, "mode"));
        read_redirect(l, &like, dx_json_member_slice(entry, "redirect"));
    }
    return add_address(l, like, instead.size ? instead : text);
}

static bool redirects(yyjson_val *entry) {
    return dx_json_member_slice(entry, "redirect").size > 0;
}

// The command line's address stands for the first entry that does not only redirect, and speaks what that one speaks; the others are off.
static dx_status read_override(listens *l, yyjson_val *setting, const char *text) {
    yyjson_val *entry = setting;
    size_t index = 0;
    while (yyjson_is_arr(setting) && redirects(entry = yyjson_arr_get(setting, index))) index++;
    dx_slice pointer = DX_SLICE("/server/listen");
    if (yyjson_is_arr(setting)) pointer = dx_arena_printf(l->r->arena, "/server/listen/%zu", index);
    return pointer.data ? read_entry(l, entry, pointer, dx_slice_str(text)) : DX_NO_MEMORY;
}

static dx_status read_entries(listens *l) {
    yyjson_val *setting = yyjson_obj_get(l->r->section, "listen"), *entry;
    if (l->r->options->listen) return read_override(l, setting, l->r->options->listen);
    if (!yyjson_is_arr(setting)) return read_entry(l, setting, DX_SLICE("/server/listen"), (dx_slice){NULL, 0});
    size_t index, count;
    dx_status status = DX_OK;
    yyjson_arr_foreach(setting, index, count, entry) {
        dx_slice pointer = dx_arena_printf(l->r->arena, "/server/listen/%zu", index);
        if (!pointer.data) return DX_NO_MEMORY;
        if ((status = read_entry(l, entry, pointer, (dx_slice){NULL, 0})) != DX_OK) return status;
    }
    return status;
}

// --- what they mean to each other ------------------------------------------------------------------------------------------

static bool same_address(const dx_listen_setting *a, const dx_listen_setting *b) {
    bool picked = !dx_slice_starts(dx_slice_str(a->address), unix_scheme) && !dx_slice_starts(dx_slice_str(a->address), systemd_scheme) &&
                  a->port == 0; // by the system: each gets a port of its own
    return !picked && strcmp(a->address, b->address) == 0;
}

// Whether `all` is every address of a family and `one` is among them. (A socket of IPv6 takes none of IPv4.)
static bool takes_in(const dx_listen_setting *all, const dx_listen_setting *one) {
    dx_slice address = dx_slice_str(all->address);
    if (all->port == 0 || all->port != one->port) return false;
    bool ipv6 = one->address[0] == '[';
    return dx_slice_starts(address, ipv6 ? DX_SLICE("[::]:") : DX_SLICE("0.0.0.0:"));
}

static void check_pair(const listens *l, const dx_listen_setting *later, const dx_listen_setting *earlier) {
    const char *which = same_address(later, earlier) ? "is listened on already, by"
                        : takes_in(earlier, later)   ? "is among the addresses of"
                        : takes_in(later, earlier)   ? "takes in the address of"
                                                     : NULL;
    if (which)
        dx_settings_complain(l->r, "leave one of them out", later->pointer, "%s %s %.*s", later->address, which,
                             DX_SLICE_ARG(earlier->pointer));
}

static void check_twins(const listens *l) {
    for (size_t i = 1; i < l->count; i++)
        for (size_t j = 0; j < i; j++) check_pair(l, &l->items[i], &l->items[j]);
}

static void check_redirects(const listens *l) {
    const dx_listen_setting *goal = NULL;
    bool any = false;
    for (size_t i = 0; i < l->count; i++) {
        if (!goal && l->items[i].tls && !l->items[i].redirect) goal = &l->items[i];
    }
    for (size_t i = 0; i < l->count; i++) {
        const dx_listen_setting *item = &l->items[i];
        if (!item->redirect) continue;
        any = true;
        if (item->tls)
            dx_settings_complain(l->r, "leave \"tls\" or \"redirect\" out", item->pointer,
                                 "a redirect to TLS is for addresses in the clear");
        else if (!goal)
            dx_settings_complain(l->r, "add an address with \"tls\": true", item->pointer,
                                 "the redirect leads nowhere: no address speaks TLS");
        else if (l->r->out->redirect_port == 0 && goal->port == 0)
            dx_settings_complain(l->r, "write \"https:443\", with the port that clients see", item->pointer,
                                 "the port to redirect to is not known: %s has none of its own", goal->address);
    }
    if (any && goal && l->r->out->redirect_port == 0) l->r->out->redirect_port = goal->port;
}

static void check_exposure(const listens *l) {
    if (l->r->out->production) return;
    for (size_t i = 0; i < l->count; i++) {
        if (!l->items[i].open_to_others) continue;
        if (l->r->options->listen)
            dx_diags_add(l->r->diags, DX_INVALID, (dx_slice){NULL, 0},
                         "--listen %s: development mode shows the inside of errors and serves this machine alone; use 127.0.0.1, or "
                         "\"mode\": \"production\" in the definition",
                         l->r->options->listen);
        else
            dx_definition_complain(l->r->definition, l->r->diags, DX_SLICE("/server/mode"),
                                   "development mode shows the inside of errors and serves this machine alone, and %s may be reached by "
                                   "others; listen on 127.0.0.1, or set the mode to \"production\"",
                                   l->items[i].address);
        return;
    }
}

dx_status dx_settings_read_listens(dx_settings_reader *r) {
    listens l = {r, DX_ARENA_ARRAY(r->arena, dx_listen_setting, LISTENS_CAP), 0};
    if (!l.items) return DX_NO_MEMORY;
    dx_status status = read_entries(&l);
    if (status != DX_OK) return status;
    check_twins(&l);
    check_redirects(&l);
    check_exposure(&l);
    r->out->listens = l.items;
    r->out->listen_count = l.count;
    return DX_OK;
}
