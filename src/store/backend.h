// What a backend is to the front (store.c): one const table of functions. A new backend is a folder beside `sqlite` and one line in
// DX_BACKEND_LIST. The front has checked every query and every table before a backend sees it.
#ifndef DX_STORE_BACKEND_H
#define DX_STORE_BACKEND_H

#include <stdatomic.h>

#include "store/store.h"

typedef struct dx_backend {
    dx_slice scheme; // of the URL: "sqlite" for "sqlite:shop.db"
    // `rest` is what follows the colon. Blocks. A finding in `diags` says what is wrong for whoever typed the URL.
    dx_status (*open)(dx_store **out, dx_slice rest, const dx_store_options *options, dx_diags *diags);
    // Ends the backend's threads, answers what still waits, frees everything.
    void (*close)(dx_store *store);
    // All or nothing; blocks. From any thread that is nobody's loop, also while sessions run.
    dx_status (*migrate)(dx_store *store, const dx_table *const *tables, size_t count, bool grow, dx_migration_report *report,
                         dx_diags *diags);
    dx_keep *(*keep_create)(dx_store *store); // from any thread
    void (*keep_destroy)(dx_keep *keep);      // likewise; `close` destroys those that are left
    // Kept as long as the keep. The query uses parameters 0 to param_count - 1.
    dx_status (*keep)(const dx_statement **out, dx_keep *keep, const dx_query *query, uint16_t param_count);
    // Passing, in `arena`; from any thread.
    dx_status (*statement)(const dx_statement **out, dx_store *store, dx_arena *arena, const dx_query *query, uint16_t param_count);
    dx_session *(*session)(dx_store *store, unsigned index, dx_loop *loop); // NULL: it cannot be had
    void (*submit)(dx_session *session, dx_tx *tx);                         // on the session's loop; must not block
    void (*run)(dx_store *store, dx_tx *tx);                                // blocks
    void (*set_wait)(dx_store *store, dx_nanos wait);
    dx_status (*check)(dx_session *session);                    // on the session's loop; brief
    dx_status (*watch)(dx_store *store, const dx_table *table); // from any thread
    size_t (*row_columns)(const dx_row *row);
    dx_value (*row_value)(const dx_row *row, size_t column); // `column` is in range
} dx_backend;

//                         name      (the table is dx_<name>_backend)
#define DX_BACKEND_LIST(X) X(sqlite)

#define X(name) extern const dx_backend dx_##name##_backend;
DX_BACKEND_LIST(X)
#undef X

// A backend's own structs start with these.
struct dx_store {
    const dx_backend *backend;
};
struct dx_session {
    const dx_backend *backend;
    dx_watch *watches;    // the loop's
    atomic_uint watching; // how many; any thread
};
// On the session's loop: tells its watches. The backend calls it while `watching` is not 0.
void dx_session_tell(dx_session *session);
struct dx_row {
    const dx_backend *backend;
};
struct dx_keep {
    const dx_backend *backend;
};

#define DX_QUERY_DEPTH_CAP  32    // nested ANDs and ORs
#define DX_QUERY_PARAM_CAP  32000 // parameters of one statement
#define DX_TABLE_COLUMN_CAP 1000
#define DX_TABLE_NAME_CAP   64

// Whether a query can be run; `*param_count` gets how many parameters it uses. DX_INTERNAL and a log line when not: queries are made by
// code, not by people.
dx_status dx_query_check(const dx_query *query, uint16_t *param_count) DX_MUST_USE;
// Whether tables are well-formed by themselves and beside each other; findings when not.
dx_status dx_tables_check(const dx_table *const *tables, size_t count, dx_diags *diags) DX_MUST_USE;
// Whether a column of this type holds this value; NULL always fits.
bool dx_value_fits(dx_column_type type, const dx_value *value);

#endif
