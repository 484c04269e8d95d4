/* Runs a fuzz target over files instead of made-up bytes: the corpus, as a test. */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static void replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1);
    if (!file || !data || fread(data, 1, size, file) != size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    printf("%s: %zu bytes\n", path, size);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

/* Returns how many files it ran. */
static unsigned replay_directory(const char *directory)
{
    unsigned count = 0;
    DIR *entries = opendir(directory);
    if (!entries) {
        perror(directory);
        exit(1);
    }
    for (const struct dirent *entry = readdir(entries); entry; entry = readdir(entries)) {
        char path[PATH_MAX];
        struct stat status;
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
            replay_file(path, (size_t)status.st_size);
            count++;
        }
    }
    closedir(entries);
    return count;
}

int main(int count, char **directories)
{
    unsigned files = 0;
    for (int i = 1; i < count; i++) {
        files += replay_directory(directories[i]);
    }
    printf("%u files\n", files);
    return files == 0; /* a corpus that is not there is no success */
}
