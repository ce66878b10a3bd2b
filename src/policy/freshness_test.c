// RFC 9111 as a private cache, case by case: what is stored, what a later request gets. The moment a response comes is FIXTURE_NOW.
#include "policy/freshness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "policy/cache_fixture.h"

// What becomes of a case: the verdict for the second request, or that there is nothing to give one about.
typedef enum outcome { NOT_STORED = -1, BYPASS, MISS, FRESH, BEHIND, REVALIDATE, UNSATISFIABLE } outcome;
enum { STALE = 1, ON_ERROR = 2 }; // further expectations

typedef struct row {
    const char *section; // and what it is about
    const char *stored;  // the fields of the response
    int64_t later;       // seconds until the second request
    const char *request; // its fields
    outcome outcome;
    int more;
    int status;          // of the response; 0: 200
    const char *first;   // the fields of the first request
    const char *options; // of the definition: "ttl", "default", "guess off", "windows"
    dx_method method;    // of the second request
} row;

#define MOD "Last-Modified: {-1000}\n"
#define TAG "ETag: \"a\"\n"
#define CC  "Cache-Control: "

static const row ROWS[] = {
    // --- 4.2.1: the lifetime
    {"4.2.1 max-age: fresh within it", CC "max-age=60", 59, "", .outcome = FRESH},
    {"4.2.1 max-age: not at its end", CC "max-age=60\n" TAG, 60, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 max-age over Expires", CC "max-age=60\nExpires: {-10}\nDate: {0}", 30, "", .outcome = FRESH},
    {"4.2.1 max-age over a later Expires", CC "max-age=10\nExpires: {1000}\nDate: {0}\n" TAG, 30, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 Expires less Date", "Expires: {60}\nDate: {0}", 59, "", .outcome = FRESH},
    {"4.2.1 Expires is past", "Expires: {60}\nDate: {0}\n" TAG, 61, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 Expires by a Date that is off", "Expires: {-940}\nDate: {-1000}", 0, "", .outcome = NOT_STORED},
    {"4.2.1 Expires by a Date ahead", "Expires: {1060}\nDate: {1000}", 59, "", .outcome = FRESH},
    {"4.2.1 Expires without Date counts from when it came", "Expires: {60}", 59, "", .outcome = FRESH},
    {"4.2.1 s-maxage says nothing to a private cache", CC "s-maxage=1, max-age=60", 30, "", .outcome = FRESH},
    {"4.2.1 s-maxage alone is no lifetime", CC "s-maxage=60", 0, "", .outcome = NOT_STORED},
    {"4.2.1 max-age=0 with a validator", CC "max-age=0\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 max-age=0 without one", CC "max-age=0", 0, "", .outcome = NOT_STORED},
    {"4.2.1 max-age twice, the same", CC "max-age=60\n" CC "max-age=60", 30, "", .outcome = FRESH},
    {"4.2.1 max-age twice, differing: stale", CC "max-age=60, max-age=600\n" TAG, 30, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 Expires twice, differing: stale", "Expires: {60}\nExpires: {600}\nDate: {0}\n" TAG, 30, "", .outcome = REVALIDATE,
     .more = STALE},
    {"4.2.1 Expires twice, the same", "Expires: {60}\nExpires: {60}\nDate: {0}", 30, "", .outcome = FRESH},
    {"4.2.1 max-age over two lines", CC "public\n" CC "max-age=60", 30, "", .outcome = FRESH},
    {"1.2.2 max-age past 31 bits", CC "max-age=99999999999999999999", 2000000000, "", .outcome = FRESH},
    {"1.2.2 max-age of 31 bits", CC "max-age=2147483648", 2147483647, "", .outcome = FRESH},
    {"4.2.1 max-age negative: stale", CC "max-age=-1\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 max-age with a fraction: stale", CC "max-age=60.5\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 max-age that is a word: stale", CC "max-age=a\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 max-age that begins as a number: stale", CC "max-age=60a\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 max-age without a value: stale", CC "max-age\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.1 max-age with an empty value: stale", CC "max-age=\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"5.2 max-age in quotation marks", CC "max-age=\"60\"", 30, "", .outcome = FRESH},
    {"5.2 max-age in single ones: stale", CC "max-age='60'\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"5.2 space before the equals sign: stale", CC "max-age =60\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"5.2 space behind it: stale", CC "max-age= 60\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"5.2 a broken max-age is not an absent one", CC "max-age=x\nExpires: {1000}\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"5.2 directives in any case", CC "MaX-aGe=60", 30, "", .outcome = FRESH},
    {"5.2 leading zeros", CC "max-age=0060", 59, "", .outcome = FRESH},
    {"5.2 max-age inside a quoted string is none", CC "x=\"max-age=60\"", 0, "", .outcome = NOT_STORED},
    {"5.2 a comma inside a quoted string parts nothing", CC "x=\"a, no-store\", max-age=60", 30, "", .outcome = FRESH},
    {"5.2 an escaped quotation mark ends nothing", CC "x=\"a\\\", no-store\", max-age=60", 30, "", .outcome = FRESH},
    {"5.2 an open quotation mark: never without asking", CC "max-age=60, x=\"a\n" TAG, 0, "", .outcome = REVALIDATE},
    {"5.2 empty elements", CC ", ,max-age=60,,", 30, "", .outcome = FRESH},
    {"5.2.3 unknown directives", CC "foo, max-age=60, bar=1", 30, "", .outcome = FRESH},
    {"5.3 Expires: 0", "Expires: 0\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"5.3 Expires that is no date", "Expires: tomorrow\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"5.3 Expires in the obsolete form", "Expires: Thursday, 01-Jan-26 13:00:00 GMT", 3599, "", .outcome = FRESH},
    {"5.3 Expires as asctime has it", "Expires: Thu Jan  1 13:00:00 2026", 3599, "", .outcome = FRESH},
    {"5.3 Expires in another zone is none: stale", "Expires: Thu, 01 Jan 2026 13:00:00 EST\n" TAG, 0, "", .outcome = REVALIDATE,
     .more = STALE},
    {"5.3 a Date that is no date", "Expires: {60}\nDate: now", 59, "", .outcome = FRESH},
    // --- 4.2.2: guessing
    {"4.2.2 a tenth of the age since Last-Modified", MOD "Date: {0}", 99, "", .outcome = FRESH},
    {"4.2.2 no longer", MOD "Date: {0}", 100, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.2 never longer than a day", "Last-Modified: {-100000000}\nDate: {0}", 86401, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.2 Last-Modified ahead of Date", "Last-Modified: {10}\nDate: {0}", 0, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.2 not when the definition says so", MOD "Date: {0}", 1, "", REVALIDATE, STALE, .options = "guess off"},
    {"4.2.2 404", MOD "Date: {0}", 50, "", FRESH, .status = 404},
    {"4.2.2 405", MOD "Date: {0}", 50, "", FRESH, .status = 405},
    {"4.2.2 410", MOD "Date: {0}", 50, "", FRESH, .status = 410},
    {"4.2.2 414", MOD "Date: {0}", 50, "", FRESH, .status = 414},
    {"4.2.2 501", MOD "Date: {0}", 50, "", FRESH, .status = 501},
    {"4.2.2 203", MOD "Date: {0}", 50, "", FRESH, .status = 203},
    {"4.2.2 204", MOD "Date: {0}", 50, "", FRESH, .status = 204},
    {"4.2.2 300", MOD "Date: {0}", 50, "", FRESH, .status = 300},
    {"4.2.2 301", MOD "Date: {0}", 50, "", FRESH, .status = 301},
    {"4.2.2 308", MOD "Date: {0}", 50, "", FRESH, .status = 308},
    {"4.2.2 not 201", MOD "Date: {0}", 0, "", NOT_STORED, .status = 201},
    {"4.2.2 not 302", MOD "Date: {0}", 0, "", NOT_STORED, .status = 302},
    {"4.2.2 not 403", MOD "Date: {0}", 0, "", NOT_STORED, .status = 403},
    {"4.2.2 not 500", MOD "Date: {0}", 0, "", NOT_STORED, .status = 500},
    {"4.2.2 not 503", MOD "Date: {0}", 0, "", NOT_STORED, .status = 503},
    {"4.2.2 but any, when it is public", MOD "Date: {0}\n" CC "public", 50, "", FRESH, .status = 302},
    {"4.2.2 not against an old no-cache", MOD "Date: {0}\nPragma: no-cache", 1, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.2 not for what sets a cookie", MOD "Date: {0}\nSet-Cookie: a=b", 1, "", .outcome = REVALIDATE, .more = STALE},
    // --- 4.2.3: the age
    {"4.2.3 Age counts", CC "max-age=60\nAge: 30\n" TAG, 29, "", .outcome = FRESH},
    {"4.2.3 Age counts to the end", CC "max-age=60\nAge: 30\n" TAG, 30, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.3 stale when it comes", CC "max-age=60\nAge: 60", 0, "", .outcome = NOT_STORED},
    {"4.2.3 Date long ago counts as age", CC "max-age=60\nDate: {-50}\n" TAG, 10, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.3 the larger of the two", CC "max-age=60\nDate: {-50}\nAge: 5\n" TAG, 9, "", .outcome = FRESH},
    {"4.2.3 Date ahead is no age", CC "max-age=60\nDate: {500}", 59, "", .outcome = FRESH},
    {"5.1 an Age that is no number is none", CC "max-age=60\nAge: old", 59, "", .outcome = FRESH},
    {"5.1 a negative one neither", CC "max-age=60\nAge: -5", 59, "", .outcome = FRESH},
    {"5.1 the first of a list", CC "max-age=60\nAge: 30, 0\n" TAG, 30, "", .outcome = REVALIDATE, .more = STALE},
    {"5.1 Age past 31 bits", CC "max-age=60\nAge: 99999999999\n" TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"4.2.3 a clock that was put back", CC "max-age=60", -100, "", .outcome = FRESH},
    // --- 3: storing
    {"3 no-store of the response", CC "no-store, max-age=60", 0, "", .outcome = NOT_STORED},
    {"3 no-store in any case", CC "NO-STORE, max-age=60", 0, "", .outcome = NOT_STORED},
    {"3 no-store with a value", CC "no-store=1, max-age=60", 0, "", .outcome = NOT_STORED},
    {"5.2.1.5 no-store of the request", CC "max-age=60", 0, "", NOT_STORED, .first = CC "no-store"},
    {"3 private is leave for a private cache", CC "private, max-age=60", 30, "", .outcome = FRESH},
    {"3 with field names too", CC "private=\"set-cookie\", max-age=60", 30, "", .outcome = FRESH},
    {"3 Authorization is no bar", CC "max-age=60", 30, "", FRESH, .first = "Authorization: Bearer x"},
    {"3 206 is never stored", CC "max-age=60", 0, "", NOT_STORED, .status = 206},
    {"3 nor is 304", CC "max-age=60", 0, "", NOT_STORED, .status = 304},
    {"3 nor what is not final", CC "max-age=60", 0, "", NOT_STORED, .status = 103},
    {"3 nor what is no status", CC "max-age=60", 0, "", NOT_STORED, .status = 799},
    {"3 any status with a lifetime", CC "max-age=60", 30, "", FRESH, .status = 500},
    {"3 unknown ones too", CC "max-age=60", 30, "", FRESH, .status = 299},
    {"3 a redirect with a lifetime", CC "max-age=60", 30, "", FRESH, .status = 302},
    {"3 nothing that says anything", "", 0, "", .outcome = NOT_STORED},
    {"3 a validator alone: stored, and asked about", TAG, 0, "", .outcome = REVALIDATE, .more = STALE},
    {"3 not with a status that has no default", TAG, 0, "", NOT_STORED, .status = 403},
    {"3 but when it is private", TAG CC "private", 0, "", REVALIDATE, STALE, .status = 403},
    {"3.5/5.2.2.3 must-understand overrules no-store", CC "no-store, must-understand, max-age=60", 30, "", .outcome = FRESH},
    {"5.2.2.3 unless the status is not understood", CC "must-understand, max-age=60", 0, "", NOT_STORED, .status = 299},
    {"4.1 Vary: * is never stored", CC "max-age=60\nVary: *", 0, "", .outcome = NOT_STORED},
    {"4.1 nor in a list", CC "max-age=60\nVary: accept, *", 0, "", .outcome = NOT_STORED},
    {"4.1 Vary is stored", CC "max-age=60\nVary: accept", 30, "", .outcome = FRESH},
    // --- 5.2.2: what responses say
    {"5.2.2.4 no-cache is asked about", CC "no-cache, max-age=60\n" TAG, 0, "", .outcome = REVALIDATE},
    {"5.2.2.4 not stored without validator", CC "no-cache, max-age=60", 0, "", .outcome = NOT_STORED},
    {"5.2.2.4 with names it stays fresh, without those fields", CC "no-cache=\"set-cookie\", max-age=60", 30, "", .outcome = FRESH},
    {"5.2.2.4 with an empty list it is for all", CC "no-cache=\"\", max-age=60\n" TAG, 0, "", .outcome = REVALIDATE},
    {"5.2.2.4 beats immutable", CC "no-cache, immutable, max-age=60\n" TAG, 0, "", .outcome = REVALIDATE},
    {"5.4 Pragma of a response says nothing", CC "max-age=60\nPragma: no-cache", 30, "", .outcome = FRESH},
    {"5.2.2.2 must-revalidate is fresh while it is", CC "must-revalidate, max-age=60", 30, "", .outcome = FRESH},
    {"5.2.2.2 and never stale", CC "must-revalidate, max-age=60\n" TAG, 61, CC "max-stale", .outcome = REVALIDATE, .more = STALE},
    {"5.2.2.2 not on an error either", CC "must-revalidate, max-age=60, stale-if-error=60\n" TAG, 61, "", .outcome = REVALIDATE,
     .more = STALE},
    {"5.2.2.2 nor while asking", CC "must-revalidate, max-age=60, stale-while-revalidate=60\n" TAG, 61, "", .outcome = REVALIDATE,
     .more = STALE},
    {"5.2.2.8 proxy-revalidate is for others", CC "proxy-revalidate, max-age=60\n" TAG, 61, CC "max-stale", .outcome = FRESH,
     .more = STALE},
    // --- 5.2.1: what requests say
    {"5.2.1.1 max-age: young enough", CC "max-age=60", 30, CC "max-age=30", .outcome = FRESH},
    {"5.2.1.1 max-age: too old", CC "max-age=60", 30, CC "max-age=29", .outcome = REVALIDATE},
    {"5.2.1.1 max-age=0", CC "max-age=60", 30, CC "max-age=0", .outcome = REVALIDATE},
    {"5.2.1.1 max-age larger than the lifetime", CC "max-age=60\n" TAG, 61, CC "max-age=1000", .outcome = REVALIDATE, .more = STALE},
    {"5.2.1.1 unless with max-stale", CC "max-age=60\n" TAG, 61, CC "max-age=1000, max-stale", .outcome = FRESH, .more = STALE},
    {"5.2.1.1 a broken max-age asks", CC "max-age=60", 0, CC "max-age=x", .outcome = REVALIDATE},
    {"5.2.1.2 max-stale: however stale", CC "max-age=60\n" TAG, 4000, CC "max-stale", .outcome = FRESH, .more = STALE},
    {"5.2.1.2 max-stale: within", CC "max-age=60\n" TAG, 90, CC "max-stale=30", .outcome = FRESH, .more = STALE},
    {"5.2.1.2 max-stale: past it", CC "max-age=60\n" TAG, 91, CC "max-stale=30", .outcome = REVALIDATE, .more = STALE},
    {"5.2.1.2 a broken max-stale is none", CC "max-age=60\n" TAG, 61, CC "max-stale=x", .outcome = REVALIDATE, .more = STALE},
    {"5.2.1.2 does not beat no-cache", CC "no-cache, max-age=60\n" TAG, 0, CC "max-stale", .outcome = REVALIDATE},
    {"5.2.1.3 min-fresh: it is", CC "max-age=60", 30, CC "min-fresh=30", .outcome = FRESH},
    {"5.2.1.3 min-fresh: it is not", CC "max-age=60", 30, CC "min-fresh=31", .outcome = REVALIDATE},
    {"5.2.1.3 a broken min-fresh asks", CC "max-age=60", 0, CC "min-fresh=x", .outcome = REVALIDATE},
    {"5.2.1.4 no-cache asks", CC "max-age=60", 0, CC "no-cache", .outcome = REVALIDATE},
    {"5.2.1.4 though it is immutable", CC "max-age=60, immutable", 0, CC "no-cache", .outcome = REVALIDATE},
    {"5.4 Pragma: no-cache asks", CC "max-age=60", 0, "Pragma: no-cache", .outcome = REVALIDATE},
    {"5.4 but not beside Cache-Control", CC "max-age=60", 0, "Pragma: no-cache\n" CC "max-age=10", .outcome = FRESH},
    {"5.2.1.5 no-store goes past the cache", CC "max-age=60", 0, CC "no-store", .outcome = BYPASS},
    {"5.2.1.7 only-if-cached: it is", CC "max-age=60", 30, CC "only-if-cached", .outcome = FRESH},
    {"5.2.1.7 only-if-cached: stale", CC "max-age=60\n" TAG, 61, CC "only-if-cached", .outcome = UNSATISFIABLE, .more = STALE},
    {"5.2.1.7 only-if-cached with max-stale", CC "max-age=60\n" TAG, 61, CC "only-if-cached, max-stale", .outcome = FRESH, .more = STALE},
    {"5.2.1.7 only-if-cached never asks behind", CC "max-age=60, stale-while-revalidate=60", 61, CC "only-if-cached", .outcome = FRESH,
     .more = STALE},
    {"5.2.1.7 only-if-cached and no-cache", CC "max-age=60", 0, CC "only-if-cached, no-cache", .outcome = UNSATISFIABLE},
    {"5.2.1.7 only-if-cached and no-store", CC "max-age=60", 0, CC "only-if-cached, no-store", .outcome = UNSATISFIABLE},
    // --- methods, conditions, ranges
    {"4 HEAD is answered from GET", CC "max-age=60", 30, "", FRESH, .method = DX_HEAD},
    {"4 POST is not", CC "max-age=60", 30, "", BYPASS, .method = DX_POST},
    {"4 nor is OPTIONS", CC "max-age=60", 30, "", BYPASS, .method = DX_OPTIONS},
    {"4 nor DELETE", CC "max-age=60", 30, "", BYPASS, .method = DX_DELETE},
    {"4.3.2 the caller's own If-None-Match", CC "max-age=60", 0, "If-None-Match: \"a\"", .outcome = BYPASS},
    {"4.3.2 the caller's own If-Modified-Since", CC "max-age=60", 0, "If-Modified-Since: {0}", .outcome = BYPASS},
    {"4.3.2 the caller's own If-Match", CC "max-age=60", 0, "If-Match: \"a\"", .outcome = BYPASS},
    {"3.3 Range", CC "max-age=60", 0, "Range: bytes=0-1", .outcome = BYPASS},
    // --- RFC 5861
    {"5861/3 stale while it is asked about", CC "max-age=60, stale-while-revalidate=30", 89, "", .outcome = BEHIND, .more = STALE},
    {"5861/3 not past the window", CC "max-age=60, stale-while-revalidate=30\n" TAG, 90, "", .outcome = REVALIDATE, .more = STALE},
    {"5861/3 fresh is fresh", CC "max-age=60, stale-while-revalidate=30", 59, "", .outcome = FRESH},
    {"5861/3 not for who names an age", CC "max-age=60, stale-while-revalidate=30", 70, CC "max-age=100", .outcome = REVALIDATE,
     .more = STALE},
    {"5861/3 not for no-cache", CC "max-age=60, stale-while-revalidate=30", 70, CC "no-cache", .outcome = REVALIDATE, .more = STALE},
    {"5861/3 a broken one is none", CC "max-age=60, stale-while-revalidate=x\n" TAG, 61, "", .outcome = REVALIDATE, .more = STALE},
    {"5861/3 goes before max-stale", CC "max-age=60, stale-while-revalidate=30", 70, CC "max-stale", .outcome = BEHIND, .more = STALE},
    {"5861/3 of the definition", CC "max-age=60", 65, "", BEHIND, STALE, .options = "windows"},
    {"5861/3 what the server says goes before", CC "max-age=60, stale-while-revalidate=0\n" TAG, 65, "", REVALIDATE, STALE | ON_ERROR,
     .options = "windows"},
    {"5861/4 stale on an error", CC "max-age=60, stale-if-error=30", 89, "", .outcome = REVALIDATE, .more = STALE | ON_ERROR},
    {"5861/4 not past the window", CC "max-age=60, stale-if-error=30\n" TAG, 90, "", .outcome = REVALIDATE, .more = STALE},
    {"5861/4 of the request", CC "max-age=60\n" TAG, 89, CC "stale-if-error=30", .outcome = REVALIDATE, .more = STALE | ON_ERROR},
    {"5861/4 not for no-cache", CC "max-age=60, stale-if-error=30", 61, CC "no-cache", .outcome = REVALIDATE, .more = STALE},
    {"5861/4 of the definition", CC "max-age=60", 75, "", REVALIDATE, STALE | ON_ERROR, .options = "windows"},
    {"5861/4 the definition's yields to must-revalidate", CC "max-age=60, must-revalidate\n" TAG, 61, "", REVALIDATE, STALE,
     .options = "windows"},
    {"5861/4 kept for it without a validator", CC "max-age=0, stale-if-error=30", 10, "", .outcome = REVALIDATE, .more = STALE | ON_ERROR},
    // --- RFC 8246
    {"8246/2 immutable is not asked about", CC "max-age=60, immutable", 30, CC "max-age=0", .outcome = FRESH},
    {"8246/2 but when it is stale", CC "max-age=60, immutable\n" TAG, 61, CC "max-age=0", .outcome = REVALIDATE, .more = STALE},
    {"8246/2 nor is it then taken for max-stale", CC "max-age=60, immutable\n" TAG, 61, CC "max-age=0, max-stale", .outcome = REVALIDATE,
     .more = STALE},
    // --- the definition's ttl
    {"ttl: instead of max-age", CC "max-age=1", 99, "", FRESH, .options = "ttl"},
    {"ttl: also when it is shorter", CC "max-age=1000\n" TAG, 100, "", REVALIDATE, STALE, .options = "ttl"},
    {"ttl: for what says nothing", "", 99, "", FRESH, .options = "ttl"},
    {"ttl: 0", CC "max-age=60", 0, "", NOT_STORED, .options = "ttl 0"},
    {"ttl: not against no-store", CC "no-store", 0, "", NOT_STORED, .options = "ttl"},
    {"ttl: not against no-cache", CC "no-cache\n" TAG, 0, "", REVALIDATE, .options = "ttl"},
    {"ttl: not against Vary: *", "Vary: *", 0, "", NOT_STORED, .options = "ttl"},
    {"ttl: not for an error", "", 0, "", NOT_STORED, .options = "ttl", .status = 404},
    {"ttl: an error keeps its own lifetime", CC "max-age=10\n" TAG, 50, "", REVALIDATE, STALE, .options = "ttl", .status = 503},
    {"ttl: counts from when it came", CC "max-age=60\nAge: 500\nDate: {-700}", 99, "", FRESH, .options = "ttl"},
    {"default: counts from when it came", "Age: 500\nDate: {-700}", 99, "", FRESH, .options = "default"},
    {"ttl: not for what sets a cookie", "Set-Cookie: a=b", 0, "", NOT_STORED, .options = "ttl"},
    {"ttl: unless the server gives it a lifetime", CC "max-age=1\nSet-Cookie: a=b", 50, "", FRESH, .options = "ttl"},
    {"default: for what says nothing", "", 99, "", FRESH, .options = "default"},
    {"default: before a guess", MOD "Date: {0}", 99, "", FRESH, .options = "default 1000"},
    {"default: not for what says something", CC "max-age=10\n" TAG, 50, "", REVALIDATE, STALE, .options = "default"},
    {"default: not for Expires that is no date", "Expires: 0", 50, "", NOT_STORED, .options = "default"},
    {"default: must-revalidate alone is no lifetime", CC "must-revalidate", 50, "", FRESH, .options = "default"},
    {"default: not against an old no-cache", "Pragma: no-cache", 0, "", NOT_STORED, .options = "default"},
    {"default: a 404 is not kept on our word", "", 0, "", NOT_STORED, .options = "default", .status = 404},
};

static dx_freshness_options options_of(const char *text) {
    dx_freshness_options options = DX_FRESHNESS_OPTIONS_INIT;
    if (!text) return options;
    if (strcmp(text, "ttl") == 0) options.override_ttl_s = 100;
    if (strcmp(text, "ttl 0") == 0) options.override_ttl_s = 0;
    if (strcmp(text, "default") == 0) options.default_ttl_s = 100;
    if (strcmp(text, "default 1000") == 0) options.default_ttl_s = 1000;
    if (strcmp(text, "guess off") == 0) options.heuristic = false;
    if (strcmp(text, "windows") == 0) {
        options.stale_while_revalidate_s = 10;
        options.stale_if_error_s = 20;
    }
    return options;
}

static bool row_holds(dx_arena *arena, const row *r) {
    dx_fields first = fixture_fields(arena, r->first), response = fixture_fields(arena, r->stored),
              request = fixture_fields(arena, r->request);
    const dx_freshness_options options = options_of(r->options);
    const dx_freshness_input in = {DX_GET, r->status ? r->status : 200, &first, &response, FIXTURE_NOW, FIXTURE_NOW};
    dx_freshness freshness;
    if (!dx_freshness_judge(&freshness, &in, &options)) return r->outcome == NOT_STORED;
    dx_micros_utc now = FIXTURE_NOW + r->later * FIXTURE_S;
    dx_cache_decision decision = dx_freshness_decide(&freshness, r->method, &request, now);
    if ((int)decision.verdict != (int)r->outcome) return false;
    if (r->outcome == BYPASS) return true;
    bool stale = (r->more & STALE) != 0, on_error = (r->more & ON_ERROR) != 0;
    return decision.stale == stale && (decision.error_until > now) == on_error && freshness.keep_until > FIXTURE_NOW;
}

static void responses_are_used_again_as_the_rfc_has_it(void **state) {
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < DX_COUNT_OF(ROWS); i++) {
        dx_arena *arena = dx_arena_create(1 << 20);
        if (!row_holds(arena, &ROWS[i])) {
            print_error("does not hold: %s\n", ROWS[i].section);
            wrong++;
        }
        dx_arena_destroy(arena);
    }
    print_message("%zu cases\n", DX_COUNT_OF(ROWS));
    assert_int_equal(wrong, 0);
}

static void without_anything_stored_it_is_a_miss(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_fields none = {0}, only = fixture_fields(arena, CC "only-if-cached"), no_store = fixture_fields(arena, CC "no-store");
    assert_int_equal(dx_freshness_decide(NULL, DX_GET, &none, FIXTURE_NOW).verdict, DX_CACHE_MISS);
    assert_int_equal(dx_freshness_decide(NULL, DX_HEAD, &none, FIXTURE_NOW).verdict, DX_CACHE_MISS);
    assert_int_equal(dx_freshness_decide(NULL, DX_POST, &none, FIXTURE_NOW).verdict, DX_CACHE_BYPASS);
    assert_int_equal(dx_freshness_decide(NULL, DX_GET, &only, FIXTURE_NOW).verdict, DX_CACHE_UNSATISFIABLE);
    assert_int_equal(dx_freshness_decide(NULL, DX_GET, &no_store, FIXTURE_NOW).verdict, DX_CACHE_BYPASS);
    dx_arena_destroy(arena);
}

static void only_get_is_stored(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_fields none = {0}, response = fixture_fields(arena, CC "max-age=60");
    const dx_freshness_options options = DX_FRESHNESS_OPTIONS_INIT;
    for (int method = 0; method <= DX_METHOD_UNKNOWN; method++) {
        const dx_freshness_input in = {(dx_method)method, 200, &none, &response, FIXTURE_NOW, FIXTURE_NOW};
        dx_freshness freshness;
        assert_int_equal(dx_freshness_judge(&freshness, &in, &options), method == DX_GET);
    }
    dx_arena_destroy(arena);
}

static void the_way_to_the_server_and_back_counts_as_age(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_fields none = {0}, response = fixture_fields(arena, CC "max-age=60\nAge: 7");
    const dx_freshness_options options = DX_FRESHNESS_OPTIONS_INIT;
    const dx_freshness_input in = {DX_GET, 200, &none, &response, FIXTURE_NOW - 5 * FIXTURE_S, FIXTURE_NOW};
    dx_freshness freshness;
    assert_true(dx_freshness_judge(&freshness, &in, &options));
    assert_int_equal(dx_freshness_age_us(&freshness, FIXTURE_NOW), 12 * FIXTURE_S);
    assert_int_equal(dx_freshness_decide(&freshness, DX_GET, &none, FIXTURE_NOW + 10 * FIXTURE_S + 999999).age_s, 22);
    dx_arena_destroy(arena);
}

static void what_has_a_validator_is_kept_past_its_use(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_fields none = {0}, bare = fixture_fields(arena, CC "max-age=60, stale-if-error=40"),
              tagged = fixture_fields(arena, CC "max-age=60\n" TAG);
    const dx_freshness_options options = DX_FRESHNESS_OPTIONS_INIT;
    dx_freshness_input in = {DX_GET, 200, &none, &bare, FIXTURE_NOW, FIXTURE_NOW};
    dx_freshness freshness;
    assert_true(dx_freshness_judge(&freshness, &in, &options));
    assert_int_equal(freshness.keep_until, FIXTURE_NOW + 100 * FIXTURE_S);
    in.response = &tagged;
    assert_true(dx_freshness_judge(&freshness, &in, &options));
    assert_int_equal(freshness.keep_until, FIXTURE_NOW + (60 + DX_FRESHNESS_KEEP_S) * FIXTURE_S);
    dx_arena_destroy(arena);
}

static void verdicts_have_names(void **state) {
    (void)state;
    assert_string_equal(dx_cache_verdict_name(DX_CACHE_FRESH), "fresh");
    assert_string_equal(dx_cache_verdict_name(DX_CACHE_UNSATISFIABLE), "unsatisfiable");
    assert_string_equal(dx_cache_verdict_name((dx_cache_verdict)99), "bypass");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_are_used_again_as_the_rfc_has_it),
        cmocka_unit_test(without_anything_stored_it_is_a_miss),
        cmocka_unit_test(only_get_is_stored),
        cmocka_unit_test(the_way_to_the_server_and_back_counts_as_age),
        cmocka_unit_test(what_has_a_validator_is_kept_past_its_use),
        cmocka_unit_test(verdicts_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
