/* Small files that hold a secret: a token to show, or a key to sign one with. */
#ifndef CLI_TOKEN_FILE_H
#define CLI_TOKEN_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Reads the whole file into memory that the caller frees, without the line end that may close it; a NUL that does not
 * count follows. NULL when it cannot be read or has more than `most` bytes; errno says why (EFBIG for the latter). */
char *token_file_read(const char *path, size_t most, size_t *ret_size);

#endif
