// The change log of a resource: one row for each committed create, update and delete, written in the transaction that made the change, in a
// table of its own. The table's numbers are the sequence: the store gives them within write transactions, which follow each other, so the
// order of sequence is the order of commit. Numbers may be left out, never given twice.
#ifndef DX_RESOURCE_CHANGES_H
#define DX_RESOURCE_CHANGES_H

#include "resource/list.h"

typedef enum dx_change_kind { DX_CHANGE_CREATE, DX_CHANGE_UPDATE, DX_CHANGE_DELETE } dx_change_kind;

// --- the log: resource->changes --------------------------------------------------------------------------------------------

enum { DX_LOG_SEQUENCE, DX_LOG_ROW, DX_LOG_KIND, DX_LOG_OWNER, DX_LOG_VERSION, DX_LOG_AT, DX_LOG_COLUMNS };
typedef struct dx_change_log {
    dx_table table;
    dx_column columns[DX_LOG_COLUMNS];
    dx_micros_utc keep; // how long a change is kept
    uint32_t rows;      // and how many: about, it is looked after now and then
    // kept statements
    const dx_statement *insert; // every column but the sequence, in order
    const dx_statement *oldest; // limit → sequence, at
    const dx_statement *newest; // limit → sequence
    const dx_statement *after;  // sequence, limit → every column
    const dx_statement *forget; // sequence: up to it
} dx_change_log;

#define DX_CHANGES_KEEP      "24h"
#define DX_CHANGES_ROWS      100000
#define DX_CHANGES_ROWS_MIN  100
#define DX_CHANGES_ROWS_MOST 100000000
// The log's table is named after the resource's; both must fit.
#define DX_CHANGES_TABLE    "duplex_changes_"
#define DX_CHANGES_NAME_CAP (64 - (sizeof DX_CHANGES_TABLE - 1))

dx_status dx_resource_prepare_changes(const dx_resource *resource, dx_keep *kept) DX_MUST_USE;

// --- reading ---------------------------------------------------------------------------------------------------------------

#define DX_CHANGES_PAGE 64
// The text of a page's rows; when it is reached, the page ends early.
#define DX_CHANGES_PAGE_BYTES ((size_t)1 << 20)

typedef struct dx_change {
    int64_t sequence;
    dx_change_kind kind;
    dx_value row; // its id
    dx_value owner, version;
    dx_micros_utc at;
    const dx_value *values; // the row as it is now, by columns; NULL: gone
} dx_change;

typedef struct dx_change_page {
    dx_change items[DX_CHANGES_PAGE];
    size_t count;
    int64_t oldest; // the first that is kept; 0: none
    int64_t newest; // the last; 0: none
    bool more;      // behind the last item
} dx_change_page;

// The changes behind `after`, with the rows as they are now; bounded, so on the session's loop. `limit` 0: only the ends. Without `ends`,
// `oldest` and `newest` are not looked for. What the page points to is `arena`'s.
dx_status dx_changes_read(dx_change_page *page, dx_arena *arena, const dx_resource *resource, dx_session *session, int64_t after,
                          size_t limit, bool ends) DX_MUST_USE;
// {"id":…,"version":…,"at":…,"row":…}. A row that does not fit into `cap` bytes is left out: "row" is null and "omitted" true.
void dx_change_write(dx_buffer *out, const dx_resource *resource, const dx_change *change, size_t cap);
// Whether a row meets the conditions of a list, as the store would say it. Those that dx_condition_is_plain says no to can't be asked.
bool dx_conditions_hold(const dx_condition *conditions, size_t count, const dx_value *row);
bool dx_condition_is_plain(const dx_condition *condition);
// Reads the query string of a feed: the conditions of a list, and last_event_id (data NULL: absent). False: `*status`, and call->findings.
bool dx_changes_view_read(dx_view *view, dx_slice *last_event_id, dx_resource_call *call, dx_status *status);

// --- pruning ---------------------------------------------------------------------------------------------------------------

#define DX_CHANGES_PRUNE_ROWS 500 // at most, in one transaction

// Forgets what is over the bounds of one log: looks first, and writes only when there is something. Caller's memory; `done` on the
// session's loop, perhaps before dx_changes_prune returns; `more`: there may be more to forget at once.
typedef struct dx_change_pruner dx_change_pruner;
struct dx_change_pruner {
    dx_tx tx;
    const dx_change_log *log;
    dx_session *session;
    void (*done)(dx_change_pruner *pruner, bool more);
    uint8_t state;
    int64_t oldest, newest, cut;
    dx_micros_utc oldest_at;
    size_t seen;
    dx_value params[2];
};
void dx_changes_prune(dx_change_pruner *pruner, const dx_resource *resource, dx_session *session,
                      void (*done)(dx_change_pruner *pruner, bool more));

#endif
