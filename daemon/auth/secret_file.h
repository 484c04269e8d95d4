/* A secret of the daemon's own: random bytes in a file that only its user can read, made when it is first needed. */
#ifndef AUTH_SECRET_FILE_H
#define AUTH_SECRET_FILE_H

#include "base/error.h"

enum { SECRET_FILE_BYTES = 32 };

/* Reads directory/name, or makes it, durably; one that is damaged is made anew. One process at a time may. Returns 0 or
 * -ERROR_STARTUP. Blocks for the disk. */
int secret_file_open(const char *directory, const char *name, uint8_t ret_secret[static SECRET_FILE_BYTES],
                     struct error *error);

#endif
