/* Models: a C struct bound to JSON, both ways, by a table that macros make. No code is generated and none is written by hand:
 *
 *     struct user { int64_t id; char *login; bool has_score; double score; dx_model_extra extra; };
 *     DX_MODEL(user_model, struct user, DX_CASE_CAMEL,
 *         DX_MEMBER(INT64, id, DX_REQUIRED),
 *         DX_MEMBER(STRING, login, DX_REQUIRED),
 *         DX_MEMBER(DOUBLE, score, DX_OPTIONAL(has_score)),
 *         DX_MEMBER_EXTRA(extra))
 *
 *     struct user user;
 *     dx_error error = DX_ERROR_INIT;
 *     if (dx_model_from_json(&user, user_model(), text, size, 0, &error)) …
 *     dx_model_clear(user_model(), &user);
 *
 * What a server adds later does not break a program: members that the model does not have, and enum values that it does not know, are kept
 * in the struct's DX_MEMBER_EXTRA and written back. docs/client/models.md tells the whole.
 *
 * Thread rule: the functions have no state; models are constant. Any number of threads may use them at once, each with its own structs. */
#ifndef DUPLEX_MODEL_H
#define DUPLEX_MODEL_H

#include "duplex/error.h"

DX_BEGIN_DECLS

/* Limits; what passes one is refused with DX_ERROR_INVALID, but memory with DX_ERROR_NO_MEMORY. */
#define DX_MODEL_MEMBERS_CAP 256                /* members of one model */
#define DX_MODEL_NAME_CAP    128                /* bytes of a member's name in C or of its own JSON name */
#define DX_MODEL_DEPTH_CAP   64                 /* arrays and objects in each other */
#define DX_MODEL_TEXT_CAP    ((size_t)64 << 20) /* bytes of JSON read or written */
#define DX_MODEL_MEMORY_CAP  ((size_t)1 << 30)  /* bytes that one call allocates for what it reads */

/* How JSON's names are made from those of the C struct's members. */
typedef enum dx_case {
    DX_CASE_AS_IS = 0, /* html_url is "html_url", htmlUrl is "htmlUrl" */
    DX_CASE_SNAKE = 1, /* both are "html_url" */
    DX_CASE_CAMEL = 2  /* both are "htmlUrl" */
} dx_case;

/* --- what members may be --------------------------------------------------------------------------------------------------- */

/* What is in JSON but not in the model, member by member, and JSON's null and unknown enum values of members that the model has. `json` is
 * the value's text: numbers stand exactly as they were read. All is dx_model_alloc's; dx_model_clear frees it. */
typedef struct dx_model_raw {
    char *name; /* NUL-terminated; may have NULs in it */
    size_t name_size;
    char *json; /* NUL-terminated */
    size_t json_size;
} dx_model_raw;
typedef struct dx_model_extra {
    dx_model_raw *items;
    size_t count;
} dx_model_extra;

/* An object whose names are data and whose values are strings, in order. All is dx_model_alloc's. */
typedef struct dx_model_pair {
    char *name; /* NUL-terminated, as `value`; either may have NULs in it */
    size_t name_size;
    char *value;
    size_t value_size;
} dx_model_pair;
typedef struct dx_model_map {
    dx_model_pair *items; /* NULL: absent; otherwise written, if only as {} */
    size_t count;
} dx_model_map;

/* An enum's names: `static const dx_enum_name states[] = {{"open", STATE_OPEN}, {"closed", STATE_CLOSED}};` */
typedef struct dx_enum_name {
    const char *name;
    int value; /* not DX_ENUM_UNKNOWN */
} dx_enum_name;
#define DX_ENUM_UNKNOWN (-1) /* a name that is not in the table; the name itself is in the struct's extra */

/* --- the table ------------------------------------------------------------------------------------------------------------- */

/* The macros below make these; their layout belongs to DX_MODEL_VERSION, and a table of another version is refused. */
#define DX_MODEL_VERSION 1
typedef struct dx_model dx_model;
typedef struct dx_member_how {
    const char *json; /* NULL: from the C name, by the model's case */
    unsigned flags;
    size_t has; /* offset of the bool */
} dx_member_how;
typedef struct dx_member {
    const char *name; /* in C */
    unsigned kind;
    size_t offset;
    size_t size;  /* of the member, of a text's room, or of an array's element, in bytes */
    size_t count; /* offset of the size_t that counts it */
    const dx_model *(*model)(void);
    const dx_enum_name *names;
    size_t name_count;
    dx_member_how how;
} dx_member;
struct dx_model {
    unsigned version;
    dx_case naming;
    const char *name; /* for messages */
    size_t size;      /* of the struct, in bytes */
    const dx_member *members;
    size_t count;
};

enum {
    DX_KIND_BOOL = 1,
    DX_KIND_INT32 = 2,
    DX_KIND_INT64 = 3,
    DX_KIND_UINT64 = 4,
    DX_KIND_DOUBLE = 5,
    DX_KIND_STRING = 6,
    DX_KIND_TIME = 7,
    DX_KIND_JSON = 8,
    DX_KIND_MAP = 9,
    DX_KIND_TEXT = 10,
    DX_KIND_SIZED = 11,
    DX_KIND_BYTES = 12,
    DX_KIND_ENUM = 13,
    DX_KIND_STRUCT = 14,
    DX_KIND_POINTER = 15,
    DX_KIND_EXTRA = 16,
    DX_KIND_ARRAY = 0x100 /* an array of the kind that is added */
};
enum { DX_MEMBER_IS_REQUIRED = 1, DX_MEMBER_HAS_FLAG = 2 };

#define DX_C_BOOL   bool
#define DX_C_INT32  int32_t
#define DX_C_INT64  int64_t
#define DX_C_UINT64 uint64_t
#define DX_C_DOUBLE double
#define DX_C_STRING char *
#define DX_C_TIME   int64_t
#define DX_C_JSON   char *
#define DX_C_MAP    dx_model_map

/* The struct's member, and its size if it has the type (otherwise the compiler complains of pointers that do not match). */
#define DX_MEMBER_OF_(member)              (((dx_it *)0)->member)
#define DX_SIZE_AS_(member, type)          (sizeof(*(1 ? &DX_MEMBER_OF_(member) : (type *)0)))
#define DX_OFFSET_AS_(member, type)        (offsetof(dx_it, member) + 0 * DX_SIZE_AS_(member, type))
#define DX_ROW_(member, kind, size, count) #member, (kind), offsetof(dx_it, member), (size), (count)
#define DX_SIZE_IF_(condition, size)       (sizeof(char[(condition) ? 1 : -1]) * (size))
#define DX_ITEM_SIZE_(member)              (sizeof(*DX_MEMBER_OF_(member)))
#define DX_TEXT_SIZE_(member)              (sizeof(*(1 ? &DX_MEMBER_OF_(member) : (char(*)[sizeof DX_MEMBER_OF_(member)])0)))
#define DX_NAME_COUNT_(names)              (sizeof(names) / sizeof((names)[0]))

/* DX_MODEL(function, type, case, members…) at file scope defines `static inline const dx_model *function(void)`, the model of `type`. A
 * model may refer to itself (a list, a tree: by pointer or array); to refer to one that is defined further down, say
 * DX_MODEL_DECLARE(function). */
#define DX_MODEL_DECLARE(function) static inline const dx_model *function(void)
#define DX_MODEL(function, type, case_, ...)                                                                                               \
    static inline const dx_model *function(void) {                                                                                         \
        typedef type dx_it;                                                                                                                \
        static const dx_member members_[] = {__VA_ARGS__};                                                                                 \
        static const dx_model model_ = {DX_MODEL_VERSION, (case_), #function, sizeof(dx_it), members_, DX_NAME_COUNT_(members_)};          \
        return &model_;                                                                                                                    \
    }

/* `how`, the last word on a member. PLAIN: absent or null in JSON is zero (or NULL) in C; NULL in C is absent in JSON, zero is written.
 * REQUIRED: absent or null is an error, both ways. OPTIONAL(has): the struct's `bool has` tells whether it is there; for kinds that cannot
 * be NULL. The _AS forms give JSON's name, for those that no rule makes ("@type", "userID"). */
/* clang-format off */
#define DX_PLAIN                  {NULL, 0, 0}
#define DX_PLAIN_AS(json)         {json, 0, 0}
#define DX_REQUIRED               {NULL, DX_MEMBER_IS_REQUIRED, 0}
#define DX_REQUIRED_AS(json)      {json, DX_MEMBER_IS_REQUIRED, 0}
#define DX_OPTIONAL(has)          {NULL, DX_MEMBER_HAS_FLAG, DX_OFFSET_AS_(has, bool)}
#define DX_OPTIONAL_AS(json, has) {json, DX_MEMBER_HAS_FLAG, DX_OFFSET_AS_(has, bool)}
/* clang-format on */

/* kind     C type        JSON
 * BOOL     bool          true, false
 * INT32    int32_t       an integer in range (1.0 and 1e2 are integers, too); INT64 int64_t and UINT64 uint64_t are exact to 64 bits
 * DOUBLE   double        a number; NaN and infinities cannot be written
 * STRING   char *        a string; one with a NUL in it is refused (see DX_MEMBER_SIZED)
 * TIME     int64_t       an RFC 3339 date-time; microseconds since 1970 in UTC, of the years 0 to 9999. Written in UTC
 * JSON     char *        any value, as its text; numbers stay as they are written, spaces and escapes may change
 * MAP      dx_model_map  an object of strings */
#define DX_MEMBER(kind, member, ...)                                                                                                       \
    { DX_ROW_(member, DX_KIND_##kind, DX_SIZE_AS_(member, DX_C_##kind), 0), NULL, NULL, 0, __VA_ARGS__ }
/* An array of one of these kinds: a pointer to the first element and a size_t. NULL is absent; an empty array is not NULL when read. */
#define DX_MEMBER_ARRAY(kind, member, count, ...)                                                                                          \
    {                                                                                                                                      \
        DX_ROW_(member, DX_KIND_ARRAY + DX_KIND_##kind, sizeof(**(1 ? &DX_MEMBER_OF_(member) : (DX_C_##kind **)0)),                        \
                DX_OFFSET_AS_(count, size_t)),                                                                                             \
            NULL, NULL, 0, __VA_ARGS__                                                                                                     \
    }
/* char[N]: a string of at most N - 1 bytes without a NUL; a longer one is refused. */
#define DX_MEMBER_TEXT(member, ...)                                                                                                        \
    { DX_ROW_(member, DX_KIND_TEXT, DX_TEXT_SIZE_(member), 0), NULL, NULL, 0, __VA_ARGS__ }
/* char * and a size_t: a string that may have NULs in it (one more stands behind its end when read). */
#define DX_MEMBER_SIZED(member, count, ...)                                                                                                \
    { DX_ROW_(member, DX_KIND_SIZED, DX_SIZE_AS_(member, char *), DX_OFFSET_AS_(count, size_t)), NULL, NULL, 0, __VA_ARGS__ }
/* uint8_t * and a size_t: bytes, in JSON as base64 (RFC 4648 section 4, padded). */
#define DX_MEMBER_BYTES(member, count, ...)                                                                                                \
    { DX_ROW_(member, DX_KIND_BYTES, DX_SIZE_AS_(member, uint8_t *), DX_OFFSET_AS_(count, size_t)), NULL, NULL, 0, __VA_ARGS__ }
/* An enum or an int (of C++, an int): a string of the table `names`, an array of dx_enum_name; otherwise DX_ENUM_UNKNOWN. */
#define DX_MEMBER_ENUM(member, names, ...)                                                                                                 \
    {                                                                                                                                      \
        DX_ROW_(member, DX_KIND_ENUM, DX_SIZE_IF_(sizeof DX_MEMBER_OF_(member) == sizeof(int), sizeof(int)), 0), NULL, (names),            \
            DX_NAME_COUNT_(names), __VA_ARGS__                                                                                             \
    }
/* A struct in the struct, a pointer to one (NULL: absent), and an array of them: `model` is the function that DX_MODEL defined. */
#define DX_MEMBER_STRUCT(member, model, ...)                                                                                               \
    { DX_ROW_(member, DX_KIND_STRUCT, sizeof DX_MEMBER_OF_(member), 0), model, NULL, 0, __VA_ARGS__ }
#define DX_MEMBER_POINTER(member, model, ...)                                                                                              \
    { DX_ROW_(member, DX_KIND_POINTER, DX_ITEM_SIZE_(member), 0), model, NULL, 0, __VA_ARGS__ }
#define DX_MEMBER_STRUCTS(member, count, model, ...)                                                                                       \
    { DX_ROW_(member, DX_KIND_ARRAY + DX_KIND_STRUCT, DX_ITEM_SIZE_(member), DX_OFFSET_AS_(count, size_t)), model, NULL, 0, __VA_ARGS__ }
/* dx_model_extra: where what the model does not know is kept. Without one it is dropped. */
#define DX_MEMBER_EXTRA(member)                                                                                                            \
    { DX_ROW_(member, DX_KIND_EXTRA, DX_SIZE_AS_(member, dx_model_extra), 0), NULL, NULL, 0, DX_PLAIN }

/* --- reading and writing --------------------------------------------------------------------------------------------------- */

/* For `flags`: members and enum values that the model does not know are errors (DX_ERROR_INVALID), as are DX_ENUM_UNKNOWN in C and extras.
 */
#define DX_MODEL_STRICT 1u

/* Reads one JSON object into `*out`, a struct of the model's type, which is overwritten: clear it before when it owns anything. Afterwards
 * the struct owns copies of all that it points to; dx_model_clear frees them. `text` need not end with a NUL nor outlive the call.
 * On an error `*out` is zeroed and owns nothing (a table that cannot be leaves it as it was), and `error` (may be NULL) says what is wrong
 * and where. Errors: DX_ERROR_MALFORMED (not JSON, a name twice in an object, nested too deep), DX_ERROR_INVALID (a wrong type, a number
 * that does not fit, a required member missing …; also a table that cannot be), DX_ERROR_NO_MEMORY. */
DX_API DX_NODISCARD dx_error_code dx_model_from_json(void *out, const dx_model *model, const char *text, size_t size, unsigned flags,
                                                     dx_error *error);
/* Writes the struct as one JSON object, compact, in the table's order, with the extras behind. `*text` is NUL-terminated and the caller's:
 * dx_model_free. `size` (without the NUL) may be NULL. On an error `*text` is NULL. The struct stays as it is.
 * Errors: DX_ERROR_INVALID (a required member is NULL, text is not UTF-8, a number is not finite, an enum value without a name or extra,
 * raw JSON that is none, deeper than DX_MODEL_DEPTH_CAP as when structs point in a circle …), DX_ERROR_NO_MEMORY. */
DX_API DX_NODISCARD dx_error_code dx_model_to_json(char **text, size_t *size, const dx_model *model, const void *in, unsigned flags,
                                                   dx_error *error);
/* Frees all that the struct owns and zeroes it. Takes NULL and a zeroed struct. What it points to must be owned once: not by two pointers,
 * nor in a circle. Follows pointers for 1024 levels: of a list that a program
 * made longer than that, the rest is not freed. */
DX_API void dx_model_clear(const dx_model *model, void *in);

/* The same for a JSON array of such objects, as lists are often answered. `*items` is an array of `*count` structs, of one allocation,
 * which dx_model_clear_array frees with all that they own. On an error it is NULL. */
DX_API DX_NODISCARD dx_error_code dx_model_array_from_json(void **items, size_t *count, const dx_model *model, const char *text,
                                                           size_t size, unsigned flags, dx_error *error);
DX_API DX_NODISCARD dx_error_code dx_model_array_to_json(char **text, size_t *size, const dx_model *model, const void *items, size_t count,
                                                         unsigned flags, dx_error *error);
DX_API void dx_model_clear_array(const dx_model *model, void *items, size_t count);

/* Memory for what a struct shall own: whatever dx_model_clear will free must come from here. Zeroed, for `count` items of `size` bytes (the
 * product is checked; 0 gives a pointer, too); NULL without memory. */
DX_API DX_NODISCARD void *dx_model_alloc(size_t count, size_t size);
DX_API void dx_model_free(void *memory); /* takes NULL */
/* Puts a copy of `text` in the place of what the string owned before; NULL leaves NULL there. DX_ERROR_NO_MEMORY: it stays as it was. */
DX_API DX_NODISCARD dx_error_code dx_model_set_string(char **string, const char *text);

DX_END_DECLS

#endif
