// Aho and Corasick's automaton: a tree of all values, each node with a link to the longest proper suffix of what it stands for that is in
// the tree, too. Every byte of a text moves it once; links followed back are paid for by the steps that led forward.
#include "base/memory.h"
#include "policy/redact_parts.h"

static uint32_t child_of(const dx_automaton *automaton, uint32_t node, unsigned char byte) {
    if (node == 0) return automaton->first[byte];
    uint32_t child = automaton->nodes[node].child;
    while (child && automaton->nodes[child].byte != byte) child = automaton->nodes[child].sibling;
    return child;
}

uint32_t dx_automaton_step(const dx_automaton *automaton, uint32_t state, unsigned char byte) {
    for (;;) {
        uint32_t child = child_of(automaton, state, byte);
        if (child || state == 0) return child;
        state = automaton->nodes[state].fail;
    }
}

static void insert(dx_automaton *automaton, dx_slice value) {
    uint32_t at = 0;
    for (size_t i = 0; i < value.size; i++) {
        unsigned char byte = (unsigned char)value.data[i];
        uint32_t child = child_of(automaton, at, byte);
        if (!child) {
            child = automaton->count++;
            automaton->nodes[child].byte = byte;
            automaton->nodes[child].sibling = automaton->nodes[at].child;
            automaton->nodes[at].child = child;
            if (at == 0) automaton->first[byte] = child;
        }
        at = child;
    }
    automaton->nodes[at].value = automaton->nodes[at].longest = (uint32_t)value.size;
    if (automaton->shortest == 0 || value.size < automaton->shortest) automaton->shortest = value.size;
    if (value.size > automaton->longest) automaton->longest = value.size;
}

// Level by level, so that a node's link is known before its children's: `queue` has room for every node.
static void link_nodes(dx_automaton *automaton, uint32_t *queue) {
    dx_automaton_node *nodes = automaton->nodes;
    size_t head = 0, tail = 0;
    for (uint32_t child = nodes[0].child; child; child = nodes[child].sibling) queue[tail++] = child;
    while (head < tail) {
        uint32_t at = queue[head++];
        for (uint32_t child = nodes[at].child; child; child = nodes[child].sibling) {
            nodes[child].fail = dx_automaton_step(automaton, nodes[at].fail, nodes[child].byte);
            if (!nodes[child].value) nodes[child].longest = nodes[nodes[child].fail].longest;
            queue[tail++] = child;
        }
    }
}

dx_automaton *dx_automaton_create(const dx_slice *values, size_t count) {
    size_t nodes = 1;
    for (size_t i = 0; i < count; i++) nodes += values[i].size;
    dx_automaton *automaton = dx_memory_zalloc(1, sizeof *automaton);
    uint32_t *queue = dx_memory_zalloc(nodes, sizeof *queue);
    if (!automaton || !queue || dx_secret_memory_take(&automaton->memory, nodes * sizeof *automaton->nodes) != DX_OK) {
        dx_memory_free(automaton);
        dx_memory_free(queue);
        return NULL;
    }
    automaton->nodes = automaton->memory.data;
    automaton->count = 1;
    for (size_t i = 0; i < count; i++) insert(automaton, values[i]);
    link_nodes(automaton, queue);
    dx_memory_free(queue);
    return automaton;
}

void dx_automaton_destroy(dx_automaton *automaton) {
    if (!automaton) return;
    dx_secret_memory_free(&automaton->memory);
    dx_memory_free(automaton);
}
