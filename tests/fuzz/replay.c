// Runs a fuzz target over the files named on the command line, or all files of a directory named there: the ordinary suite replays each
// corpus so, with any compiler and every sanitizer. No file at all is a failure.
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static int replayed;

static void replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file != NULL);
    struct stat about;
    FUZZ_CHECK(fstat(fileno(file), &about) == 0);
    size_t size = (size_t)about.st_size;
    uint8_t *data = malloc(size ? size : 1); // exactly as large, so that the sanitizer sees a byte read past the end
    FUZZ_CHECK(data != NULL && fread(data, 1, size, file) == size);
    fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    replayed++;
}

static void replay_directory(const char *path) {
    DIR *dir = opendir(path);
    FUZZ_CHECK(dir != NULL);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.') continue;
        char file[4096];
        FUZZ_CHECK(snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file);
        replay_file(file);
    }
    closedir(dir);
}

int main(int count, char **names) {
    for (int i = 1; i < count; i++) {
        struct stat about;
        if (stat(names[i], &about) != 0) {
            perror(names[i]);
            return 1;
        }
        if (S_ISDIR(about.st_mode)) {
            replay_directory(names[i]);
        } else {
            replay_file(names[i]);
        }
    }
    printf("%d inputs replayed\n", replayed);
    return replayed ? 0 : 1;
}
