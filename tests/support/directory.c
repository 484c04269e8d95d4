#include "support/directory.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPEN_DIRECTORIES = 16 };

char *directory_new(void)
{
    const char *parent = getenv(DIRECTORY_PARENT);
    char *path = NULL;
    if (asprintf(&path, "%s/chatlogd-test-XXXXXX", parent ? parent : "/tmp") < 0 || !mkdtemp(path)) {
        perror("directory_new");
        abort();
    }
    return path;
}

static int entry_remove(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status, (void)flag, (void)walk;
    return remove(path);
}

char *directory_remove(char *path)
{
    if (path) {
        nftw(path, entry_remove, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
        free(path);
    }
    return NULL;
}
