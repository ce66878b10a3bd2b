// Forwarded and X-Forwarded-For, from their ends.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "codec/forwarded.h"

static bool is(dx_slice text, const char *expected) {
    return dx_slice_equal(text, dx_slice_str(expected));
}

static void lists_are_taken_from_their_ends(void **state) {
    (void)state;
    static const struct {
        const char *list, *elements[5]; // last first
    } rows[] = {
        {"a", {"a"}},
        {"a, b,c", {"c", "b", "a"}},
        {" a ,\tb ", {"b", "a"}},
        {"", {""}},
        {"a,,b", {"b", "", "a"}},
        {"for=\"a,b\",for=c", {"for=c", "for=\"a,b\""}},
        {"for=\"a\\\",b\",for=c", {"for=c", "for=\"a\\\",b\""}},
        {"for=\"evil, for=1.2.3.4", {"for=1.2.3.4", "for=\"evil"}}, // what a client leaves open hides nothing behind it
        {"evil\\, for=1.2.3.4", {"for=1.2.3.4", "evil\\"}},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_slice list = dx_slice_str(rows[i].list), element;
        for (size_t k = 0; rows[i].elements[k]; k++) {
            assert_true(dx_forwarded_last(&list, &element));
            if (!is(element, rows[i].elements[k])) fail_msg("%s: %.*s", rows[i].list, DX_SLICE_ARG(element));
        }
        assert_false(dx_forwarded_last(&list, &element));
    }
}

static void elements_are_read(void **state) {
    (void)state;
    static const struct {
        const char *element, *node, *proto; // node NULL: malformed
    } rows[] = {
        {"for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60", "http"},
        {"For=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711", ""},
        {"proto=https; host=\"a\\\"b;c\" ; for=_gazonk", "_gazonk", "https"},
        {"for=unknown;", "unknown", ""},
        {"proto=https", "", "https"},
        {"for=a;for=b", NULL, NULL},
        {"for", NULL, NULL},
        {"for=", NULL, NULL},
        {"for=\"\"", NULL, NULL},
        {"=a", NULL, NULL},
        {"for=[::1]", NULL, NULL}, // must be quoted
        {"for=\"1.2.3.4", NULL, NULL},
        {"for=1.2.3.4\"", NULL, NULL},
        {"for=\"1.2\\.3.4\"", NULL, NULL},
        {"for=1.2.3.4;x y=1", NULL, NULL},
        {"for=1.2.3.4;by=\"a\"b\"", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_forwarded out;
        bool read = dx_forwarded_read(&out, dx_slice_str(rows[i].element));
        if (read != (rows[i].node != NULL)) fail_msg("%s", rows[i].element);
        if (read && !(is(out.node, rows[i].node) && is(out.proto, rows[i].proto))) fail_msg("%s", rows[i].element);
    }
}

static void nodes_are_told_apart(void **state) {
    (void)state;
    static const struct {
        const char *node;
        bool bare;
        dx_node kind;
        const char *host, *port;
    } rows[] = {
        {"192.0.2.1", false, DX_NODE_ADDRESS, "192.0.2.1", ""},
        {"192.0.2.1:80", false, DX_NODE_ADDRESS, "192.0.2.1", "80"},
        {"192.0.2.1:_p", false, DX_NODE_ADDRESS, "192.0.2.1", ""},
        {"[2001:db8::1]", false, DX_NODE_ADDRESS, "2001:db8::1", ""},
        {"[2001:db8::1]:65535", true, DX_NODE_ADDRESS, "2001:db8::1", "65535"},
        {"2001:db8::1", true, DX_NODE_ADDRESS, "2001:db8::1", ""},
        {"2001:db8::1", false, DX_NODE_MALFORMED, NULL, NULL},
        {"unknown", false, DX_NODE_HIDDEN, "unknown", ""},
        {"Unknown:_x", true, DX_NODE_HIDDEN, "Unknown", ""},
        {"_SEVKISEK", false, DX_NODE_HIDDEN, "_SEVKISEK", ""},
        {"_", false, DX_NODE_ADDRESS, "_", ""}, // which no address is
        {"", false, DX_NODE_MALFORMED, NULL, NULL},
        {"[]", false, DX_NODE_MALFORMED, NULL, NULL},
        {"[::1", false, DX_NODE_MALFORMED, NULL, NULL},
        {"[::1]80", false, DX_NODE_MALFORMED, NULL, NULL},
        {"[::1]:", false, DX_NODE_MALFORMED, NULL, NULL},
        {"1.2.3.4:65536", false, DX_NODE_MALFORMED, NULL, NULL},
        {"1.2.3.4:x", false, DX_NODE_MALFORMED, NULL, NULL},
        {":80", true, DX_NODE_MALFORMED, NULL, NULL},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_slice host, port;
        dx_node kind = dx_forwarded_node(dx_slice_str(rows[i].node), rows[i].bare, &host, &port);
        if (kind != rows[i].kind) fail_msg("%s is of kind %d", rows[i].node, (int)kind);
        if (rows[i].host && !(is(host, rows[i].host) && is(port, rows[i].port))) fail_msg("%s", rows[i].node);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_taken_from_their_ends),
        cmocka_unit_test(elements_are_read),
        cmocka_unit_test(nodes_are_told_apart),
    };
    return cmocka_run_group_tests_name("forwarded", tests, NULL, NULL);
}
