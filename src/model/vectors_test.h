// Running files of the JSON-Schema-Test-Suite: an array of groups, each a schema with instances that are valid or not.
#ifndef DX_MODEL_VECTORS_TEST_H
#define DX_MODEL_VECTORS_TEST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct vector_count {
    size_t groups, passed, failed;
} vector_count;

// The suite's folder, or NULL when no directory of DX_VECTORS has it.
const char *vectors_folder(void);
// Runs one file ("allOf.json") below `folder`; prints each case that fails.
void vectors_run(const char *folder, const char *file, bool assert_formats, vector_count *count);
// Runs every .json file directly in `folder`.
void vectors_run_all(const char *folder, bool assert_formats, vector_count *count);

#endif
