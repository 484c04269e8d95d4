#include "cli/token_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

char *token_file_read(const char *path, size_t most, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(most + 3) : NULL; /* the line end, a byte too many, and the NUL */
    size_t size = text ? fread(text, 1, most + 2, file) : 0;
    int reason = file && ferror(file) ? errno : 0;
    if (size > 0 && text[size - 1] == '\n') {
        size--;
    }
    reason = !reason && size > most ? EFBIG : reason;
    reason = file && text ? reason : errno;
    if (file) {
        fclose(file);
    }
    if (reason) {
        free(text);
        errno = reason;
        return NULL;
    }
    text[size] = '\0';
    *ret_size = size;
    return text;
}
