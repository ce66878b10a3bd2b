// The router. Patterns are gathered in a trie, and the trie is then made deterministic: a *state* stands for all the places of the trie
// that a path may have reached, best first (a literal before a parameter before a rest, segment by segment from the left). So a look-up
// never goes back: each segment is one probe of one hash table, keyed by state and segment, with one default transition a state. Paths
// without parameters, the most common ones, are found by one probe with the whole path before that.
//
// Keys come from the definition and not from clients, so the table's hash needs no key of its own.
#include "exchange/router.h"

#include "codec/text.h"

#define NONE        UINT32_MAX
#define STATES_CAP  (1u << 20)
#define SET_CAP     64 // places of the trie that one state may stand for
#define SCRATCH_CAP (1u << 30)

// A place in the trie: the end of a prefix of some patterns.
typedef struct place {
    struct place *sibling, *literals; // children by name
    struct place *param, *rest;
    dx_slice segment;
    struct leaf *leaf;
    uint32_t number;
    bool is_rest;
} place;

// A pattern that is whole: its operations, and which segments are parameters.
typedef struct leaf {
    const dx_operation *operations[DX_METHOD_COUNT];
    dx_slice allow;
    uint8_t param_count, param_at[DX_PARAMS_CAP];
    bool has_rest; // the last parameter is the rest of the path
} leaf;

typedef struct state {
    const leaf *leaf;   // NULL: no pattern ends here
    uint32_t otherwise; // the state behind a segment that is none of the known ones; NONE: no match
    uint32_t otherwise_empty;
} state;

// A transition, or (from == NONE) a whole literal path.
typedef struct cell {
    uint64_t hash;
    dx_slice text;
    uint32_t from, to;
    const leaf *leaf;
} cell;

struct dx_router {
    state *states;
    uint32_t state_count;
    cell *cells;
    size_t mask, cell_count;
};

// --- the table -------------------------------------------------------------------------------------------------------------

static inline uint64_t mix(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_of(uint32_t from, dx_slice text) {
    uint64_t hash = mix(from + 1ull, text.size + 1ull), word;
    const char *at = text.data;
    size_t left = text.size;
    for (; left >= 8; at += 8, left -= 8) {
        memcpy(&word, at, 8);
        hash = mix(hash, word);
    }
    word = 0;
    if (left) memcpy(&word, at, left);
    return mix(hash, word);
}

static inline const cell *probe(const dx_router *router, uint32_t from, dx_slice text, uint16_t *probes) {
    uint64_t hash = hash_of(from, text);
    for (size_t i = hash & router->mask;; i = (i + 1) & router->mask) {
        const cell *c = &router->cells[i];
        ++*probes;
        if (!c->text.data) return NULL;
        if (c->hash == hash && c->from == from && dx_slice_equal(c->text, text)) return c;
    }
}

static void put(dx_router *router, cell c) {
    c.hash = hash_of(c.from, c.text);
    size_t i = c.hash & router->mask;
    while (router->cells[i].text.data) i = (i + 1) & router->mask;
    router->cells[i] = c;
}

static dx_status set_table_size(dx_router *router, dx_arena *arena, size_t size) {
    const cell *old = router->cells;
    size_t old_size = old ? router->mask + 1 : 0;
    router->cells = DX_ARENA_ARRAY(arena, cell, size);
    if (!router->cells) return DX_NO_MEMORY;
    router->mask = size - 1;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].text.data) put(router, old[i]);
    return DX_OK;
}

static dx_status add_cell(dx_router *router, dx_arena *arena, cell c) {
    if ((router->cell_count + 1) * 4 > router->mask + 1 && set_table_size(router, arena, (router->mask + 1) * 2) != DX_OK)
        return DX_NO_MEMORY;
    router->cell_count++;
    put(router, c);
    return DX_OK;
}

// --- gathering the patterns -------------------------------------------------------------------------------------------------

typedef struct builder {
    dx_router *router;
    dx_arena *arena;   // the router's
    dx_arena *scratch; // the builder's
    dx_diags *diags;
    place root;
    uint32_t place_count;
    struct set **sets; // by state number
    uint32_t set_capacity;
    struct set **known; // hash table of sets
    size_t known_mask;
} builder;

static DX_COLD void complain(builder *b, const dx_operation *operation, const char *what) {
    dx_diags_add(b->diags, DX_INVALID, (dx_slice){NULL, 0}, "the path \"%.*s\" of %.*s %s", DX_SLICE_ARG(operation->path),
                 DX_SLICE_ARG(operation->id), what);
}

static place *new_place(builder *b, dx_slice segment) {
    place *made = DX_ARENA_NEW(b->scratch, place);
    if (!made) return NULL;
    made->segment = segment;
    made->number = ++b->place_count;
    return made;
}

// A root may have thousands of children (one a resource): a map in the builder would be more code than the load time is worth, so the
// children are looked for through the router's own table, under the place's number from the top of the number range.
static dx_status literal_child(builder *b, place *parent, dx_slice segment, place **out) {
    uint32_t from = NONE - 1 - parent->number;
    uint16_t probes = 0;
    const cell *found = probe(b->router, from, segment, &probes);
    if (found) {
        *out = (place *)(void *)(uintptr_t)found->leaf;
        return DX_OK;
    }
    place *made = new_place(b, segment);
    if (!made) return DX_NO_MEMORY;
    made->sibling = parent->literals;
    parent->literals = made;
    *out = made;
    return add_cell(b->router, b->scratch, (cell){.text = segment, .from = from, .leaf = (const leaf *)(const void *)made});
}

static bool is_name(dx_slice name) {
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.')) return false;
    }
    return name.size > 0;
}

typedef enum segment_kind { SEGMENT_LITERAL, SEGMENT_PARAM, SEGMENT_REST, SEGMENT_WRONG } segment_kind;

static segment_kind kind_of(dx_slice segment) {
    bool opens = dx_slice_find(segment, '{') != SIZE_MAX, closes = dx_slice_find(segment, '}') != SIZE_MAX;
    if (!opens && !closes) return dx_slice_find(segment, '%') == SIZE_MAX ? SEGMENT_LITERAL : SEGMENT_WRONG;
    if (segment.size < 3 || segment.data[0] != '{' || segment.data[segment.size - 1] != '}') return SEGMENT_WRONG;
    dx_slice name = dx_slice_of(segment.data + 1, segment.size - 2);
    bool rest = name.data[name.size - 1] == '*';
    if (rest) name.size--;
    return !is_name(name) ? SEGMENT_WRONG : rest ? SEGMENT_REST : SEGMENT_PARAM;
}

// What is wrong with a pattern, or NULL.
static const char *fault_of(dx_slice path) {
    if (path.size == 0 || path.data[0] != '/') return "does not start with \"/\"";
    size_t segments = 0, params = 0;
    for (dx_slice rest = dx_slice_from(path, 1); rest.data;) {
        dx_slice segment = dx_slice_cut(&rest, '/');
        segment_kind kind = kind_of(segment);
        if (++segments > DX_PATH_SEGMENTS_CAP) return "has too many segments (32 at most)";
        if (kind == SEGMENT_WRONG) return "has a malformed segment: write a parameter as {name}, the rest of the path as {name*}";
        if (kind == SEGMENT_REST && rest.data) return "has something behind {name*}, which must be last";
        if (segment.size == 0 && rest.data) return "has an empty segment";
        if (dx_slice_equal(segment, DX_SLICE(".")) || dx_slice_equal(segment, DX_SLICE(".."))) return "has a dot segment";
        params += kind != SEGMENT_LITERAL;
    }
    return params > DX_PARAMS_CAP ? "has too many parameters (8 at most)" : NULL;
}

static dx_status descend(builder *b, place **at, dx_slice segment, segment_kind kind) {
    if (kind == SEGMENT_LITERAL) return literal_child(b, *at, segment, at);
    place **child = kind == SEGMENT_REST ? &(*at)->rest : &(*at)->param;
    if (!*child && !(*child = new_place(b, segment))) return DX_NO_MEMORY;
    *at = *child;
    (*at)->is_rest = kind == SEGMENT_REST;
    return DX_OK;
}

static dx_status add_pattern(builder *b, const dx_operation *operation) {
    const char *fault = fault_of(operation->path);
    if (!fault && operation->method >= DX_METHOD_COUNT) fault = "has a method that does not exist";
    if (fault) {
        complain(b, operation, fault);
        return DX_OK;
    }
    place *at = &b->root;
    leaf shape = {0};
    uint8_t index = 0;
    for (dx_slice rest = dx_slice_from(operation->path, 1), segment; index == 0 || rest.data; index++) {
        segment = rest.data ? dx_slice_cut(&rest, '/') : DX_SLICE("");
        segment_kind kind = kind_of(segment);
        if (kind != SEGMENT_LITERAL) shape.param_at[shape.param_count++] = index;
        shape.has_rest = kind == SEGMENT_REST;
        dx_status status = descend(b, &at, segment.data ? segment : DX_SLICE(""), kind);
        if (status != DX_OK) return status;
    }
    if (!at->leaf) {
        if (!(at->leaf = DX_ARENA_NEW(b->arena, leaf))) return DX_NO_MEMORY;
        *at->leaf = shape;
    }
    if (at->leaf->operations[operation->method]) {
        complain(b, operation, "is there twice with the same method");
        return DX_OK;
    }
    at->leaf->operations[operation->method] = operation;
    bool literal = shape.param_count == 0;
    uint16_t probes = 0;
    if (literal && !probe(b->router, NONE, operation->path, &probes))
        return add_cell(b->router, b->scratch, (cell){.text = operation->path, .from = NONE, .leaf = at->leaf});
    return DX_OK;
}

static dx_status write_allow(leaf *l, dx_arena *arena) {
    static const dx_method order[] = {DX_DELETE, DX_GET, DX_HEAD, DX_OPTIONS, DX_PATCH, DX_POST, DX_PUT};
    char text[96];
    size_t size = 0;
    for (size_t i = 0; i < DX_COUNT_OF(order); i++) {
        bool there = l->operations[order[i]] || order[i] == DX_OPTIONS || (order[i] == DX_HEAD && l->operations[DX_GET]);
        dx_slice name = dx_slice_str(dx_method_name(order[i]));
        if (!there) continue;
        if (size) size += (size_t)(memcpy(text + size, ", ", 2), 2);
        memcpy(text + size, name.data, name.size);
        size += name.size;
    }
    l->allow = dx_arena_copy(arena, dx_slice_of(text, size));
    return l->allow.data ? DX_OK : DX_NO_MEMORY;
}

// --- making it deterministic ------------------------------------------------------------------------------------------------

// The places that a state stands for, best first.
typedef struct set {
    struct set *next; // in its bucket
    uint32_t state;
    uint32_t count;
    place *places[];
} set;

static uint64_t set_hash(place *const *places, uint32_t count) {
    uint64_t hash = count;
    for (uint32_t i = 0; i < count; i++) hash = mix(hash, places[i]->number);
    return hash;
}

static dx_status grow_states(builder *b) {
    uint32_t capacity = b->set_capacity ? b->set_capacity * 2 : 256;
    set **sets = DX_ARENA_ARRAY(b->scratch, set *, capacity), **known = DX_ARENA_ARRAY(b->scratch, set *, capacity);
    state *states = DX_ARENA_ARRAY(b->scratch, state, capacity);
    if (!sets || !known || !states) return DX_NO_MEMORY;
    for (uint32_t i = 0; i < b->router->state_count; i++) {
        sets[i] = b->sets[i];
        states[i] = b->router->states[i];
        size_t bucket = set_hash(sets[i]->places, sets[i]->count) & (capacity - 1);
        sets[i]->next = known[bucket];
        known[bucket] = sets[i];
    }
    b->sets = sets;
    b->known = known;
    b->known_mask = capacity - 1;
    b->set_capacity = capacity;
    b->router->states = states;
    return DX_OK;
}

// The number of the state for these places, made when it is new; NONE for no places at all.
static dx_status state_for(builder *b, place *const *places, uint32_t count, uint32_t *out) {
    *out = NONE;
    if (count == 0) return DX_OK;
    uint64_t hash = set_hash(places, count);
    for (set *s = b->known ? b->known[hash & b->known_mask] : NULL; s; s = s->next)
        if (s->count == count && memcmp(s->places, places, count * sizeof *places) == 0) {
            *out = s->state;
            return DX_OK;
        }
    dx_router *router = b->router;
    if (router->state_count == STATES_CAP) return DX_TOO_LARGE;
    if (router->state_count == b->set_capacity && grow_states(b) != DX_OK) return DX_NO_MEMORY;
    set *made = dx_arena_alloc(b->scratch, sizeof *made + count * sizeof *places);
    if (!made) return DX_NO_MEMORY;
    memcpy(made->places, places, count * sizeof *places);
    made->count = count;
    made->state = *out = router->state_count++;
    made->next = b->known[hash & b->known_mask];
    b->known[hash & b->known_mask] = made;
    b->sets[made->state] = made;
    state *s = &router->states[made->state];
    *s = (state){NULL, NONE, NONE};
    for (uint32_t i = 0; i < count && !s->leaf; i++) s->leaf = places[i]->leaf;
    return DX_OK;
}

static place *child_named(const builder *b, const place *parent, dx_slice segment) {
    uint16_t probes = 0;
    const cell *found = probe(b->router, NONE - 1 - parent->number, segment, &probes);
    return found ? (place *)(void *)(uintptr_t)found->leaf : NULL;
}

// The places reached from `from` by `segment` (`any`: by one that no literal child has).
static dx_status step(builder *b, const set *from, dx_slice segment, bool any, uint32_t *out) {
    place *reached[SET_CAP];
    uint32_t count = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        place *p = from->places[i];
        place *literal = any ? NULL : child_named(b, p, segment);
        place *candidates[] = {literal, segment.size ? p->param : NULL, p->is_rest ? p : p->rest};
        for (size_t c = 0; c < DX_COUNT_OF(candidates); c++) {
            if (!candidates[c]) continue;
            if (count == SET_CAP) return DX_TOO_LARGE;
            reached[count++] = candidates[c];
        }
    }
    return state_for(b, reached, count, out);
}

static dx_status expand(builder *b, uint32_t number) {
    const set *from = b->sets[number];
    uint32_t to;
    dx_status status = step(b, from, DX_SLICE("x"), true, &to);
    if (status != DX_OK) return status;
    b->router->states[number].otherwise = to;
    if ((status = step(b, from, DX_SLICE(""), true, &to)) != DX_OK) return status;
    b->router->states[number].otherwise_empty = to;
    for (uint32_t i = 0; i < from->count; i++)
        for (const place *child = from->places[i]->literals; child; child = child->sibling) {
            uint16_t probes = 0;
            if (probe(b->router, number, child->segment, &probes)) continue;
            if ((status = step(b, from, child->segment, false, &to)) != DX_OK) return status;
            cell c = {.text = child->segment, .from = number, .to = to};
            if ((status = add_cell(b->router, b->scratch, c)) != DX_OK) return status;
        }
    return DX_OK;
}

static dx_status seal_leaf(const leaf *sealed, dx_arena *arena) {
    leaf *l = (leaf *)(uintptr_t)sealed; // still the builder's
    return !l || l->allow.data ? DX_OK : write_allow(l, arena);
}

// The final table and states, without the builder's own cells and in memory that lasts: what look-ups touch is as small as it can be.
static dx_status finish(builder *b) {
    dx_router *router = b->router;
    const cell *old = router->cells;
    size_t old_size = router->mask + 1, size = 64, kept = 0;
    for (size_t i = 0; i < old_size; i++) kept += old[i].text.data && (old[i].from == NONE || old[i].from < router->state_count);
    while (size < kept * 4) size *= 2;
    router->cells = NULL;
    if (set_table_size(router, b->arena, size) != DX_OK) return DX_NO_MEMORY;
    for (size_t i = 0; i < old_size; i++) {
        if (!old[i].text.data || (old[i].from != NONE && old[i].from >= router->state_count)) continue;
        put(router, old[i]);
        if (seal_leaf(old[i].leaf, b->arena) != DX_OK) return DX_NO_MEMORY;
    }
    const state *states = router->states;
    if (!(router->states = DX_ARENA_ARRAY(b->arena, state, router->state_count))) return DX_NO_MEMORY;
    memcpy(router->states, states, router->state_count * sizeof *states);
    for (uint32_t i = 0; i < router->state_count; i++)
        if (seal_leaf(states[i].leaf, b->arena) != DX_OK) return DX_NO_MEMORY;
    return DX_OK;
}

static dx_status build(builder *b, const dx_operation *const *operations, size_t count) {
    size_t findings = b->diags ? b->diags->count : 0;
    dx_status status = set_table_size(b->router, b->scratch, 64);
    for (size_t i = 0; i < count && status == DX_OK; i++) status = add_pattern(b, operations[i]);
    if (status == DX_OK && b->diags && b->diags->count > findings) return DX_INVALID;
    place *start = &b->root;
    uint32_t first = 0;
    if (status == DX_OK) status = state_for(b, &start, 1, &first);
    for (uint32_t i = 0; status == DX_OK && i < b->router->state_count; i++) status = expand(b, i);
    if (status == DX_TOO_LARGE) {
        dx_diags_add(b->diags, DX_TOO_LARGE, (dx_slice){NULL, 0}, "too many paths overlap each other in their parameters");
        return DX_INVALID;
    }
    return status == DX_OK ? finish(b) : status;
}

dx_status dx_router_create(dx_router **out, dx_arena *arena, const dx_operation *const *operations, size_t count, dx_diags *diags) {
    builder b = {.arena = arena, .diags = diags, .scratch = dx_arena_create(SCRATCH_CAP), .router = DX_ARENA_NEW(arena, dx_router)};
    dx_status status = b.scratch && b.router ? build(&b, operations, count) : DX_NO_MEMORY;
    dx_arena_destroy(b.scratch);
    if (status == DX_OK) *out = b.router;
    return status;
}

// --- looking up --------------------------------------------------------------------------------------------------------------

typedef struct walk {
    dx_slice segments[DX_PATH_SEGMENTS_CAP]; // decoded
    dx_slice rests[DX_PATH_SEGMENTS_CAP];    // from this segment to the end, as sent
} walk;

static bool has_high_byte(dx_slice text) {
    unsigned char all = 0;
    for (size_t i = 0; i < text.size; i++) all |= (unsigned char)text.data[i];
    return all & 0x80;
}

static dx_status decode(dx_slice *segment, dx_arena *arena) {
    bool escaped = segment->size && memchr(segment->data, '%', segment->size);
    if (DX_LIKELY(!escaped && !has_high_byte(*segment))) return DX_OK;
    dx_status status = escaped ? dx_percent_decode(segment, arena, *segment, false) : DX_OK;
    if (status != DX_OK) return status;
    if (dx_slice_find(*segment, '\0') != SIZE_MAX || !dx_utf8_valid(*segment)) return DX_BAD_REQUEST;
    return DX_OK;
}

static inline bool is_dots(dx_slice s) {
    return s.size && s.size <= 2 && s.data[0] == '.' && s.data[s.size - 1] == '.';
}

// Leaves in *end the state behind the last segment, NONE when there is none.
static dx_status walk_path(const dx_router *router, dx_slice path, dx_arena *arena, walk *w, uint32_t *end, uint16_t *probes) {
    uint32_t at = 0;
    size_t index = 0;
    bool lost = false;
    *end = NONE;
    for (dx_slice rest = dx_slice_from(path, 1), segment; index == 0 || rest.data; index++) {
        dx_slice raw = rest.data ? rest : DX_SLICE("");
        segment = rest.data ? dx_slice_cut(&rest, '/') : raw;
        dx_status status = decode(&segment, arena); // a broken escape is told wherever it stands
        if (status != DX_OK) return status;
        if (lost) continue;
        if (index < DX_PATH_SEGMENTS_CAP) {
            w->segments[index] = segment;
            w->rests[index] = raw;
        }
        const cell *c = is_dots(segment) ? NULL : probe(router, at, segment, probes);
        at = c ? c->to : is_dots(segment) ? NONE : segment.size ? router->states[at].otherwise : router->states[at].otherwise_empty;
        lost = at == NONE;
    }
    *end = at;
    return DX_OK;
}

static dx_status take_params(const leaf *l, const walk *w, dx_arena *arena, dx_match *out) {
    out->param_count = l->param_count;
    for (uint8_t i = 0; i < l->param_count; i++) {
        uint8_t at = l->param_at[i];
        bool rest = l->has_rest && i + 1 == l->param_count;
        out->params[i] = rest ? w->rests[at] : w->segments[at];
        if (rest) {
            dx_status status = dx_percent_decode(&out->params[i], arena, w->rests[at], false);
            if (status != DX_OK) return status;
        }
    }
    return DX_OK;
}

static void choose(const leaf *l, dx_method method, dx_match *out) {
    out->allow = l->allow;
    out->operation = method < DX_METHOD_COUNT ? l->operations[method] : NULL;
    if (!out->operation && method == DX_HEAD) out->operation = l->operations[DX_GET];
}

dx_status dx_router_match(const dx_router *router, dx_method method, dx_slice path, dx_arena *arena, dx_match *out) {
    out->operation = NULL;
    out->allow = (dx_slice){NULL, 0};
    out->param_count = 0;
    out->probes = 0;
    if (path.size == 0 || path.data[0] != '/') return DX_OK;
    const cell *whole = probe(router, NONE, path, &out->probes);
    if (whole) {
        choose(whole->leaf, method, out);
        return DX_OK;
    }
    walk w;
    uint32_t end;
    dx_status status = walk_path(router, path, arena, &w, &end, &out->probes);
    if (status != DX_OK || end == NONE || !router->states[end].leaf) return status;
    choose(router->states[end].leaf, method, out);
    return take_params(router->states[end].leaf, &w, arena, out);
}
