// Links: the next one is found among what servers write, and nothing else is taken for it.
#include "codec/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/compiler.h"

typedef struct expected {
    const char *value, *next; // NULL: there is none
} expected;

static const expected cases[] = {
    {"<https://api.example.com/a?page=2>; rel=\"next\"", "https://api.example.com/a?page=2"},
    {"<https://a.example/1>; rel=\"prev\", <https://a.example/3>; rel=\"next\", <https://a.example/9>; rel=\"last\"",
     "https://a.example/3"},
    {"</a?x=1,2;3>;rel=next", "/a?x=1,2;3"},
    {" , ,< /a >  ;  REL  =  Next  ;x", "/a"},
    {"</a>; rel=\"start NEXT other\"", "/a"},
    {"</a>; title=\"x, </b>; rel=next\"; rel=\"next\"", "/a"},
    {"</a>; title=\"an \\\" escaped, quote\"; rel=next", "/a"},
    {"</a>; title*=UTF-8'de'n%c3%a4chstes; rel=next", "/a"},
    {"<>; rel=next", ""},
    {"</a>; rel=prev; rel=next", NULL},
    {"</a>; rel=\"next\"; rel=prev", "/a"},
    {"</a>; rel=next; anchor=\"/other\", </b>; rel=next", "/b"},
    {"</a>; anchor=; rel=next", NULL},
    {"</a>; rel=nextish, </b>; rel=\"ne xt\", </c>; rev=next, </d>; rel", NULL},
    {"nonsense \"with , a comma\" ; rel=next, </b>; rel=next", "/b"},
    {"</a> junk; rel=next, </b>; rel=next", "/b"},
    {"</a; rel=next", NULL},
    {"</a>; rel=\"next", "/a"},
    {"</a>; rel=\"next\" junk, </b>", "/a"},
    {"", NULL},
    {",", NULL},
    {"<", NULL},
};

static void the_next_link_is_found_in_what_servers_write(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_slice target = {0};
        bool found = dx_link_find(&target, dx_slice_str(cases[i].value), DX_SLICE("next"));
        if (found != (cases[i].next != NULL)) fail_msg("%s", cases[i].value);
        if (found && !dx_slice_equal(target, dx_slice_str(cases[i].next)))
            fail_msg("%s gave \"%.*s\"", cases[i].value, DX_SLICE_ARG(target));
    }
}

static void links_are_walked_in_their_order(void **state) {
    (void)state;
    dx_slice rest = DX_SLICE("<a>; rel=x, <b>, oops, <c>;anchor=\"#z\"");
    dx_link link;
    assert_true(dx_link_next(&rest, &link));
    assert_true(dx_slice_equal(link.target, DX_SLICE("a")) && dx_link_has_relation(&link, DX_SLICE("X")) && !link.anchored);
    assert_true(dx_link_next(&rest, &link));
    assert_true(dx_slice_equal(link.target, DX_SLICE("b")) && link.relation.size == 0);
    assert_true(dx_link_next(&rest, &link));
    assert_true(dx_slice_equal(link.target, DX_SLICE("c")) && link.anchored);
    assert_false(dx_link_next(&rest, &link));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_link_is_found_in_what_servers_write),
        cmocka_unit_test(links_are_walked_in_their_order),
    };
    return cmocka_run_group_tests_name("codec/link", tests, NULL, NULL);
}
