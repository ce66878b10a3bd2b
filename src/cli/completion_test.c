// What completion reads from the help of commands and from definitions, and that every command's help can be read.
#include "cli/completion.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const dx_command call = {"call", "call an endpoint",
                                "Usage: duplex call [--fast] FILE NAME [k=v]...\n"
                                "       duplex call --list FILE\n\n"
                                "Calls.\n\n"
                                "  -o, --output json|yaml|raw   the form; it's json\n"
                                "  --fast                       at once\n"
                                "  --record FILE                where to: a file\n"
                                "  --times=N                    how often\n\n"
                                "Examples:\n  duplex call api.json api.get\n",
                                NULL};
static const dx_command tool = {
    "tool", "a tool", "Usage: duplex tool start|stop FILE [--name NAME]\n       duplex tool show-all\n       duplex tool show-all NAME\n",
    NULL};
static const dx_command *const made_up[] = {&call, &tool, NULL};

static const char *text_of(dx_buffer *buffer) {
    dx_buffer_byte(buffer, '\0');
    assert_int_equal(dx_buffer_status(buffer), DX_OK);
    return buffer->data;
}

static void options_are_read_from_the_help(void **state) {
    (void)state;
    static const char *const expected[][3] = {{"-o", "json|yaml|raw", "the form; it's json"},
                                              {"--output", "json|yaml|raw", "the form; it's json"},
                                              {"--fast", "", "at once"},
                                              {"--record", "FILE", "where to: a file"},
                                              {"--times", "N", "how often"}};
    dx_slice rest = dx_slice_str(call.usage);
    dx_completion_word word;
    for (size_t i = 0; i < DX_COUNT_OF(expected); i++) {
        assert_true(dx_completion_option(&rest, &word));
        assert_true(dx_slice_equal(word.text, dx_slice_str(expected[i][0])));
        assert_true(dx_slice_equal(word.takes, dx_slice_str(expected[i][1])));
        assert_true(dx_slice_equal(word.about, dx_slice_str(expected[i][2])));
    }
    assert_false(dx_completion_option(&rest, &word));
}

static void actions_and_names_are_read_from_usage_lines(void **state) {
    (void)state;
    dx_buffer out;
    dx_buffer_init(&out, NULL, 4096);
    dx_completion_actions(&out, &tool);
    assert_string_equal(text_of(&out), "start stop show-all");
    dx_buffer_clear(&out);
    dx_completion_actions(&out, &call);
    assert_string_equal(text_of(&out), "");
    dx_buffer_deinit(&out);
    assert_true(dx_completion_takes_names(&call));
    assert_false(dx_completion_takes_names(&tool));
}

static void the_help_of_every_command_can_be_read(void **state) {
    (void)state;
    for (const dx_command *const *at = dx_commands; *at; at++) {
        dx_slice usage = dx_slice_str((*at)->usage), rest = usage;
        dx_completion_word word;
        assert_true(dx_slice_starts(usage, DX_SLICE("Usage: duplex ")));
        while (dx_completion_option(&rest, &word)) {
            assert_true(word.text.size > 1 && word.about.size > 0);
            assert_true(dx_slice_find(word.text, ' ') == SIZE_MAX && dx_slice_find(word.text, ',') == SIZE_MAX);
        }
    }
    assert_false(dx_completion_takes_names(&dx_cmd_import));
    dx_buffer out;
    dx_buffer_init(&out, NULL, 4096);
    dx_completion_actions(&out, &dx_cmd_completion);
    assert_string_equal(text_of(&out), "bash zsh fish");
    dx_buffer_clear(&out);
    dx_completion_actions(&out, &dx_cmd_cert);
    assert_string_equal(text_of(&out), "self-signed show");
    dx_buffer_deinit(&out);
}

static void names_are_read_from_whatever_can_be_read(void **state) {
    (void)state;
    const char *const cases[][2] = {
        {"{\"apis\":{\"a\":{\"endpoints\":{\"v1\":{\"get\":{},\"put\":1}}},\"b-2\":{\"endpoints\":{\"v1\":{\"x\":{}},\"v2\":{\"x\":{},\"y_"
         "z\":{}}}}}}",
         "a.get\na.put\nb-2.x\nb-2.v1.x\nb-2.v2.x\nb-2.v2.y_z\n"},
        {"{\"apis\":{\"$(rm)\":{\"endpoints\":{\"v1\":{\"get\":{}}}},\"a\":{\"endpoints\":{\"v1\":{\"`x`\":{},\"\":{},\"ok\":{}}}}}}",
         "a.ok\n"},
        {"{\"apis\":{\"a\":{\"default_version\":\"v2\",\"endpoints\":{\"v1\":{\"x\":{}},\"v2\":{\"y\":{}}}}}}", "a.v1.x\na.y\na.v2.y\n"},
        {"{\"a\":{\"base_url\":\"http://x\",\"endpoints\":{\"v1\":{\"x\":{}}}}}", "a.x\n"},
        {"{\"apis\":[]}", ""},
        {"{\"apis\":{\"a\":1,\"b\":{\"endpoints\":[]},\"c\":{\"endpoints\":{\"v1\":[1]}}}}", ""},
        {"no json", ""},
        {"", ""},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_arena *arena = dx_arena_create(1 << 20);
        dx_buffer out;
        dx_buffer_init(&out, arena, 4096);
        dx_completion_names(&out, arena, dx_slice_str(cases[i][0]));
        assert_string_equal(text_of(&out), cases[i][1]);
        dx_arena_destroy(arena);
    }
}

static void descriptions_are_quoted(void **state) {
    (void)state;
    dx_buffer out;
    dx_buffer_init(&out, NULL, 4096);
    dx_completion_quote(&out, DX_SLICE("it's: \\"), false, true);
    assert_string_equal(text_of(&out), "it'\\''s\\: \\");
    dx_buffer_clear(&out);
    dx_completion_quote(&out, DX_SLICE("it's: \\"), true, false);
    assert_string_equal(text_of(&out), "it\\'s: \\\\");
    dx_buffer_deinit(&out);
}

static void scripts_know_commands_options_and_names(void **state) {
    (void)state;
    dx_buffer out;
    dx_buffer_init(&out, NULL, 1 << 20);
    dx_completion_bash(&out, made_up);
    const char *script = text_of(&out);
    assert_non_null(strstr(script, "compgen -W 'call tool help"));
    assert_non_null(strstr(script, "options='-o --output --fast --record --times --help'"));
    assert_non_null(strstr(script, "values='-o --output --record --times '"));
    assert_non_null(strstr(script, "compgen -W 'json yaml raw'"));
    dx_buffer_clear(&out);
    dx_completion_fish(&out, made_up);
    script = text_of(&out);
    assert_non_null(strstr(script, "-n '__duplex_in call' -l record -r -F -d 'where to: a file'"));
    assert_non_null(strstr(script, "-n '__duplex_in call' -s o -x -a 'json yaml raw' -d 'the form; it\\'s json'"));
    assert_non_null(strstr(script, "-n '__duplex_named call' -f -a '(__duplex_names)'"));
    dx_buffer_clear(&out);
    dx_completion_zsh(&out, made_up);
    script = text_of(&out);
    assert_non_null(strstr(script, "'--record:where to\\: a file'"));
    dx_buffer_deinit(&out);
}

// --- the scripts in their shells ------------------------------------------------------------------------------------------------

typedef struct shell {
    const char *name, *run; // `run` completes the words in $WORDS by the script $SCRIPT, and prints what there is
    void (*write)(dx_buffer *out, const dx_command *const *commands);
} shell;

static const shell shells[] = {
    {"bash",
     "bash --norc -c 'source \"$SCRIPT\"; IFS=\"|\" read -ra COMP_WORDS <<< \"$WORDS\"; [[ $WORDS == *\"|\" ]] && COMP_WORDS+=(\"\");"
     "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _duplex; printf \"%s\\n\" \"${COMPREPLY[@]}\"'",
     dx_completion_bash},
    {"zsh",
     "zsh -f -c 'compadd() { shift; print -l -- $@ }; _describe() { print -l -- ${(P)2} }; _files() { print files }; source \"$SCRIPT\";"
     "words=(\"${(@s:|:)WORDS}\"); CURRENT=$#words; _duplex'",
     dx_completion_zsh},
    {"fish", "fish --no-config -c 'source $SCRIPT; complete -C (string replace -a \"|\" \" \" -- $WORDS)'", dx_completion_fish},
};

static void write_text(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void expect_completion(const shell *in, const char *words, const char *expected, bool found) {
    char out[8192];
    assert_int_equal(setenv("WORDS", words, 1), 0);
    FILE *from = popen(in->run, "r");
    assert_non_null(from);
    out[0] = '\n';
    size_t size = 1 + fread(out + 1, 1, sizeof out - 2, from);
    out[size] = '\0';
    assert_int_equal(pclose(from), 0);
    if ((strstr(out, expected) != NULL) != found) fail_msg("%s: %s: %s", in->name, words, out);
}

static void shells_complete_by_their_scripts(void **state) {
    (void)state;
    char folder[] = "/tmp/duplex-completion-XXXXXX", path[64], search[4096];
    dx_buffer script;
    assert_non_null(mkdtemp(folder));
    snprintf(search, sizeof search, "%s:%s", folder, getenv("PATH"));
    setenv("PATH", search, 1);
    setenv("HOME", folder, 1);
    snprintf(path, sizeof path, "%s/duplex", folder);
    write_text(path, "#!/bin/sh\n[ \"$1 $2 $3\" = 'completion --names my.json' ] && printf 'api.get\\napi.put\\n'\n", 0700);
    snprintf(search, sizeof search, "%s/script", folder);
    setenv("SCRIPT", search, 1);
    for (size_t i = 0; i < DX_COUNT_OF(shells); i++) {
        char there[64];
        snprintf(there, sizeof there, "command -v %s >/dev/null 2>&1", shells[i].name);
        if (system(there) != 0) continue;
        dx_buffer_init(&script, NULL, 1 << 20);
        shells[i].write(&script, made_up);
        write_text(search, text_of(&script), 0600);
        dx_buffer_deinit(&script);
        expect_completion(&shells[i], "duplex|ca", "\ncall", true);
        expect_completion(&shells[i], "duplex|call|--", "\n--fast", true);
        expect_completion(&shells[i], "duplex|call|--", "\n--name", false);
        expect_completion(&shells[i], "duplex|call|--output|", "\nyaml", true);
        expect_completion(&shells[i], "duplex|call|my.json|a", "\napi.put", true);
        expect_completion(&shells[i], "duplex|call|--fast|my.json|a", "\napi.get", true);
        expect_completion(&shells[i], "duplex|call|a", "\napi.get", false);
        expect_completion(&shells[i], "duplex|tool|s", "\nshow-all", true);
        expect_completion(&shells[i], "duplex|tool|start|my.json|a", "\napi.get", false);
    }
    unlink(search);
    unlink(path);
    assert_int_equal(system("rm -rf \"$HOME\""), 0); // fish leaves its own there
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read_from_the_help),
        cmocka_unit_test(actions_and_names_are_read_from_usage_lines),
        cmocka_unit_test(the_help_of_every_command_can_be_read),
        cmocka_unit_test(names_are_read_from_whatever_can_be_read),
        cmocka_unit_test(descriptions_are_quoted),
        cmocka_unit_test(scripts_know_commands_options_and_names),
        cmocka_unit_test(shells_complete_by_their_scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
