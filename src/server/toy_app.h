// For tests: see toy_app.c.
#ifndef DX_SERVER_TOY_APP_H
#define DX_SERVER_TOY_APP_H

#include "server/parts.h"

typedef struct toy {
    char folder[64], path[128];
    dx_arena *arena;
    dx_diags diags;
    dx_app *app; // of toy_create
    // Of a server (host/toy_server.h):
    dx_app_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int port;
    bool ended;
    dx_status served;
} toy;

void toy_prepare(toy *t, const char *server_section); // writes the definition {"server": {<section>}}
void toy_write(const toy *t, const char *name, const char *text);
dx_status toy_create(toy *t, const dx_app_options *overrides);
void toy_clean(toy *t);

extern atomic_int toy_started, toy_left, toy_stopped, toy_inherited; // how often the feature's slots were called

void toy_hold(void);                   // requests at /wait wait from now on
void toy_wait_for_arrivals(int count); // of these
void toy_release(void);                // lets them be answered

#endif
