// The feature's row of functions: reads the section, makes the keys, declares the tables, adds the operations and the filter. What the
// operations do stands in a file each.
#include "identity/identity.h"

#include "base/memory.h"
#include "config/plan.h"
#include "crypto/digest.h"
#include "identity/parts.h"

static const dx_plan_rule plan_rules[] = {
    {"/identity", DX_PLAN_REMOVED, DX_PLAN_ONLINE, true, "there are no accounts any more; their tables stay"},
    {"/identity", DX_PLAN_ADDED, DX_PLAN_TABLES, false, "tables of accounts are made"},
    {"/identity/secret", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "tokens that were given out are void"},
    {"/identity/signing/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "tokens that were given out are void"},
    {"/identity/issuer", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "tokens that were given out are void"},
    {"/identity/audience", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "tokens that were given out are void"},
    {"/identity/registration/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "who may make an account changes"},
    {NULL, 0, 0, false, NULL},
};
static const dx_section *const sections[] = {&dx_identity_section, NULL};

// --- keys -------------------------------------------------------------------------------------------------------------------

static dx_status derive_key(dx_key **out, dx_slice root, const char *purpose) {
    uint8_t secret[32];
    dx_derive_key(secret, sizeof secret, root, dx_slice_str(purpose));
    dx_status status = dx_key_from_secret(out, DX_JWS_HS256, dx_slice_of((char *)secret, sizeof secret));
    dx_secret_wipe(secret, sizeof secret);
    return status;
}

static dx_status make_signing_key(dx_identity *self, dx_slice root, dx_diags *diags) {
    const dx_identity_settings *settings = &self->settings;
    if (settings->algorithm == DX_JWS_HS256 && settings->secret.size)
        return dx_key_from_secret(&self->key, settings->algorithm, settings->secret);
    if (settings->algorithm == DX_JWS_HS256) return derive_key(&self->key, root, "identity access tokens");
    dx_status status = dx_key_from_pem(&self->key, settings->algorithm, settings->key_pem, diags);
    if (status != DX_OK) return status;
    if (dx_key_can_sign(self->key)) return DX_OK;
    dx_diags_add(diags, DX_INVALID, DX_SLICE(""), "expected a private key, found a public one");
    return DX_INVALID;
}

static dx_status write_jwks(dx_identity *self, dx_arena *arena) {
    dx_buffer out;
    if (self->settings.algorithm == DX_JWS_HS256) return DX_OK;
    dx_buffer_init(&out, arena, 16384);
    DX_BUFFER_LIT(&out, "{\"keys\":[");
    dx_status status = dx_key_public_jwk(self->key, &out);
    DX_BUFFER_LIT(&out, "]}");
    self->jwks = dx_buffer_slice(&out);
    return status == DX_OK ? dx_buffer_status(&out) : status;
}

static dx_status make_worker_parts(dx_identity *self, dx_arena *arena) {
    self->caches = DX_ARENA_ARRAY(arena, struct dx_token_cache *, self->workers);
    self->failures = DX_ARENA_ARRAY(arena, struct dx_failure_log *, self->workers);
    if (!self->caches || !self->failures) return DX_NO_MEMORY;
    for (unsigned i = 0; i < self->workers; i++) {
        self->caches[i] = dx_token_cache_create();
        self->failures[i] = dx_failure_log_create(arena);
        if (!self->caches[i] || !self->failures[i]) return DX_NO_MEMORY;
    }
    return DX_OK;
}

static dx_identity_memory *memory_create(const dx_lockout_options *options) {
    dx_identity_memory *memory = dx_memory_zalloc(1, sizeof *memory);
    if (!memory) return NULL;
    atomic_init(&memory->holders, 1);
    memory->lockout = dx_lockout_create(options);
    if (memory->lockout) return memory;
    dx_memory_free(memory);
    return NULL;
}

static void memory_release(dx_identity_memory *memory) {
    if (!memory || atomic_fetch_sub(&memory->holders, 1) > 1) return;
    dx_lockout_destroy(memory->lockout);
    dx_memory_free(memory);
}

void dx_identity_inherit(dx_identity *self, const dx_identity *old) {
    memory_release(self->memory);
    atomic_fetch_add(&old->memory->holders, 1);
    self->memory = old->memory;
    dx_lockout_change(self->memory->lockout, &self->settings.lockout);
}

dx_status dx_identity_init(dx_identity *self, dx_arena *arena, dx_slice root, unsigned workers, dx_diags *diags) {
    self->workers = workers;
    self->clock = (dx_identity_clock)DX_IDENTITY_CLOCK_INIT;
    self->session = dx_app_session;
    dx_derive_key(self->rotation, sizeof self->rotation, root, DX_SLICE("identity refresh rotation"));
    dx_status status = derive_key(&self->refresh_key, root, "identity refresh tokens");
    if (status == DX_OK) status = make_signing_key(self, root, diags);
    if (status == DX_OK) status = write_jwks(self, arena);
    if (status == DX_OK) status = make_worker_parts(self, arena);
    if (status != DX_OK) return status;
    self->memory = memory_create(&self->settings.lockout);
    return self->memory ? DX_OK : DX_NO_MEMORY;
}

void dx_identity_deinit(dx_identity *self) {
    for (unsigned i = 0; self->caches && i < self->workers; i++) dx_token_cache_destroy(self->caches[i]);
    memory_release(self->memory);
    dx_key_destroy(self->key);
    dx_key_destroy(self->refresh_key);
    dx_secret_wipe(self->rotation, sizeof self->rotation);
}

// --- load -------------------------------------------------------------------------------------------------------------------

static bool key_in_file(const dx_identity *self) {
    return dx_json_member_slice(yyjson_obj_get(dx_app_section(self->app, "identity"), "signing"), "key").size == 0;
}

// A key's findings say what is wrong with it; where it stands in the definition is said here.
static void place_findings(dx_identity *self, const dx_diags *from, dx_diags *diags) {
    dx_slice pointer = key_in_file(self) ? DX_SLICE("/identity/signing/key_file") : DX_SLICE("/identity/signing/key");
    for (const dx_diag *diag = from->first; diag; diag = diag->next)
        dx_definition_complain(dx_app_definition(self->app), diags, pointer, "%.*s", DX_SLICE_ARG(diag->message));
}

static dx_status prepare(dx_identity *self, dx_diags *diags) {
    dx_diags findings;
    dx_status status = dx_identity_settings_read(&self->settings, self->app, diags);
    // Without a root secret there are findings of the server's own, and nothing is started.
    if (status != DX_OK || !dx_app_root_secret(self->app).size) return status;
    dx_diags_init(&findings, dx_app_arena(self->app));
    status = dx_identity_init(self, dx_app_arena(self->app), dx_app_root_secret(self->app), dx_app_workers(self->app), &findings);
    place_findings(self, &findings, diags);
    if (key_in_file(self)) dx_secret_wipe((char *)(uintptr_t)self->settings.key_pem.data, self->settings.key_pem.size); // read for this
    return status;
}

static dx_status load(void **state, dx_app *app, dx_diags *diags) {
    if (!dx_app_section(app, "identity")) return DX_OK; // no accounts at all
    dx_identity *self = DX_ARENA_NEW(dx_app_arena(app), dx_identity);
    if (!self) return DX_NO_MEMORY;
    static int slot = -1; // one for the process, however many apps it builds
    if (slot < 0) slot = dx_slot_reserve();
    self->app = app;
    self->slot = slot;
    dx_status status = self->slot < 0 ? DX_INTERNAL : prepare(self, diags);
    for (size_t i = 0; status == DX_OK && i < DX_IDENTITY_TABLE_COUNT; i++) status = dx_app_add_table(app, dx_identity_tables[i]);
    if (status != DX_OK && status != DX_INVALID) {
        dx_identity_deinit(self);
        return status;
    }
    *state = self;
    return DX_OK; // findings refuse the definition when all features have told theirs
}

// --- build ------------------------------------------------------------------------------------------------------------------

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order in which the table reads
typedef struct route {
    const char *name;
    dx_method method;
    const char *path;
    bool has_body, is_public;
    dx_handler handler;
} route;

static const route routes[] = {
    {"auth.register", DX_POST, "/auth/register", true, true, dx_register_handle},
    {"auth.login", DX_POST, "/auth/login", true, true, dx_login_handle},
    {"auth.refresh", DX_POST, "/auth/refresh", true, true, dx_refresh_handle},
    {"auth.logout", DX_POST, "/auth/logout", true, true, dx_logout_handle},
    {"auth.me", DX_GET, "/auth/me", false, false, dx_me_handle},
    {"auth.me_change", DX_PATCH, "/auth/me", true, false, dx_me_change_handle},
    {"auth.password", DX_POST, "/auth/password", true, false, dx_password_handle},
};

#define BODY_CAP 16384

static dx_status add_operation(dx_identity *self, const route *from, dx_slice prefix, bool alias) {
    dx_arena *arena = dx_app_arena(self->app);
    dx_operation *operation = DX_ARENA_NEW(arena, dx_operation);
    dx_slice path = dx_arena_printf(arena, "%.*s%s", DX_SLICE_ARG(prefix), from->path);
    dx_slice id = dx_arena_printf(arena, "%s%s", alias ? "api." : "", from->name);
    if (!operation || !path.data || !id.data) return DX_NO_MEMORY;
    *operation = (dx_operation){
        .id = id,
        .method = from->method,
        .path = path,
        .body = from->has_body ? DX_BODY_WHOLE : DX_BODY_NONE,
        .body_cap = BODY_CAP,
        .reflects_secrets = from->handler != dx_jwks_handle, // tokens stand beside what the caller sent
        .handler = from->handler,
        .conf = self,
        .describe = dx_identity_describe,
        .alias_of = alias ? dx_slice_str(from->name) : (dx_slice){NULL, 0},
        .access = {.is_public = from->is_public},
    };
    return dx_app_add_operation(self->app, operation);
}

dx_verdict dx_jwks_handle(const void *conf, dx_exchange *x) {
    const dx_identity *self = conf;
    dx_exchange_field(x, DX_SLICE("cache-control"), DX_SLICE("public, max-age=3600"));
    return dx_exchange_json(x, 200, self->jwks);
}

static dx_status add_operations(dx_identity *self) {
    static const route jwks = {"auth.keys", DX_GET, "/.well-known/jwks.json", false, true, dx_jwks_handle};
    dx_slice base = dx_app_base_path(self->app);
    dx_status status = DX_OK;
    for (size_t i = 0; i < DX_COUNT_OF(routes) && status == DX_OK; i++) {
        if (routes[i].handler == dx_register_handle && !self->settings.registration_open) continue;
        status = add_operation(self, &routes[i], DX_SLICE(""), false);
        if (status == DX_OK && base.size) status = add_operation(self, &routes[i], base, true);
    }
    if (status == DX_OK && self->jwks.size) status = add_operation(self, &jwks, DX_SLICE(""), false);
    return status;
}

static dx_status build(void *state, dx_app *app, dx_diags *diags) {
    dx_identity *self = state;
    (void)diags;
    if (!self) return DX_OK;
    dx_status status = dx_accounts_init(&self->statements, dx_app_keep(app));
    if (status == DX_OK) status = add_operations(self);
    if (status == DX_OK) status = dx_identity_describe_components(app);
    if (status == DX_OK) status = dx_app_add_filter(app, DX_STAGE_IDENTIFY, (dx_filter){&dx_bearer_filter, self});
    return status;
}

static dx_status start(void *state, dx_app *app, unsigned worker, dx_loop *loop) {
    dx_identity *self = state;
    if (!self || worker != 0) return DX_OK;
    self->sweeper = dx_sweeper_create(self, dx_app_arena(app), loop);
    if (!self->sweeper) return DX_NO_MEMORY;
    dx_sweeper_start(self->sweeper);
    return DX_OK;
}

static void inherit(void *state, void *old) {
    if (state && old) dx_identity_inherit(state, old);
}

static void leave(void *state, unsigned worker, dx_loop *loop) {
    dx_identity *self = state;
    (void)loop;
    if (self && worker == 0 && self->sweeper) dx_sweeper_end(self->sweeper);
}

static void stop(void *state) {
    if (state) dx_identity_deinit(state);
}

const dx_feature dx_identity_feature = {.name = "identity",
                                        .plan = plan_rules,
                                        .sections = sections,
                                        .load = load,
                                        .build = build,
                                        .inherit = inherit,
                                        .start = start,
                                        .leave = leave,
                                        .stop = stop};
