// Giving up root: once the sockets are bound and the keys read, before the store is opened or any request looked at. There is no way back,
// and that is tried before it is believed.
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host/parts.h"
#include "net/address.h"

#define ENTRY_SIZE 16384 // of the user database

typedef struct identity {
    uid_t user;
    gid_t group;
    char name[256]; // for the user's other groups; empty: the number has no name
} identity;

static dx_status refuse(const dx_app *app, dx_diags *diags, const char *pointer, const char *advice, const char *format, const char *name) {
    char text[400];
    snprintf(text, sizeof text, format, name);
    dx_diag *diag = dx_definition_complain(app->definition, diags, dx_slice_str(pointer), "%s", text);
    if (diag) diag->suggestion = dx_slice_str(advice);
    return DX_INVALID;
}

static dx_status look_up(identity *out, const dx_app *app, dx_diags *diags) {
    char room[ENTRY_SIZE];
    struct passwd user, *found = NULL;
    struct group group, *found_group = NULL;
    const dx_settings *settings = &app->settings;
    if (getpwnam_r(settings->user, &user, room, sizeof room, &found) != 0 || !found)
        return refuse(app, diags, "/server/user", "make it with: useradd --system NAME", "there is no user \"%s\"", settings->user);
    *out = (identity){.user = user.pw_uid, .group = user.pw_gid};
    snprintf(out->name, sizeof out->name, "%s", user.pw_name);
    if (out->user == 0) return refuse(app, diags, "/server/user", "name one without rights", "\"%s\" is root", settings->user);
    if (!settings->group) return DX_OK;
    if (getgrnam_r(settings->group, &group, room, sizeof room, &found_group) != 0 || !found_group)
        return refuse(app, diags, "/server/group", "make it with: groupadd --system NAME", "there is no group \"%s\"", settings->group);
    out->group = group.gr_gid;
    return DX_OK;
}

// The files of unix sockets were made as root: the user's now, so that it can take them away, and its group's, whom the mode is for.
static dx_status give_sockets(const dx_app *app, const identity *who, dx_diags *diags) {
    for (size_t i = 0; i < app->settings.listen_count; i++) {
        const dx_listen_setting *listen = &app->settings.listens[i];
        if (dx_socket_give(listen->address, who->user, who->group)) continue;
        dx_diags_add(diags, DX_UNAVAILABLE, listen->pointer, "%s could not be given to \"%s\": %s", listen->address, who->name,
                     strerror(errno));
        return DX_UNAVAILABLE;
    }
    return DX_OK;
}

static bool become(const identity *who) {
    uid_t user, effective, saved;
    if (initgroups(who->name, who->group) != 0 || setresgid(who->group, who->group, who->group) != 0 ||
        setresuid(who->user, who->user, who->user) != 0)
        return false;
    if (setuid(0) == 0 || seteuid(0) == 0) return false; // a way back
    return getresuid(&user, &effective, &saved) == 0 && user == who->user && effective == who->user && saved == who->user &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static void warn_unreadable(const char *path) {
    dx_log_record record;
    if (!path || access(path, R_OK) == 0) return;
    dx_log_begin(&record, DX_LOG_WARN, "unreadable");
    dx_log_text(&record, "file", dx_slice_str(path));
    dx_log_text(&record, "message", DX_SLICE("the user that the server went over to can't read this file: a reload will be refused"));
    dx_log_end(&record);
}

// What was read as root is read again at a reload, as somebody else.
static void look_ahead(const dx_app *app) {
    const dx_tls_options *tls = &app->settings.tls;
    warn_unreadable(dx_definition_path(app->definition));
    for (size_t i = 0; i < tls->count; i++) {
        warn_unreadable(tls->certificates[i].certificate);
        warn_unreadable(tls->certificates[i].key);
        warn_unreadable(tls->certificates[i].ocsp);
    }
    warn_unreadable(tls->client_ca);
}

dx_status dx_privileges_drop(const dx_app *app, dx_diags *diags) {
    const char *name = app->settings.user;
    identity who;
    if (!name && geteuid() == 0) dx_log(DX_LOG_WARN, "running_as_root", "set server.user, or start the server as a user without rights");
    if (!name) return DX_OK;
    dx_status status = look_up(&who, app, diags);
    if (status != DX_OK) return status;
    if (geteuid() == who.user) return DX_OK; // started as it, or by a process that had become it
    if (geteuid() != 0)
        return refuse(app, diags, "/server/user", "start it as root, or as that user, or leave the setting out",
                      "the server was not started as root and can't become \"%s\"", name);
    if ((status = give_sockets(app, &who, diags)) != DX_OK) return status;
    if (!become(&who)) {
        dx_diags_add(diags, DX_UNAVAILABLE, (dx_slice){NULL, 0}, "the server could not become \"%s\": %s", name, strerror(errno));
        return DX_UNAVAILABLE;
    }
    look_ahead(app);
    return DX_OK;
}
