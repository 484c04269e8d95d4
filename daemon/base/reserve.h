/* Large tables of which as a rule little is touched: pages of the kernel's own, which cost nothing until then. malloc
 * would sooner or later take them from memory that was in use before, which calloc has to clear and nobody gets back.
 */
#ifndef BASE_RESERVE_H
#define BASE_RESERVE_H

#include <stddef.h>

/* Returns size zeroed bytes that begin a page, or NULL when memory is short. */
void *reserve_new(size_t size);

/* Takes NULL too; the size is that of reserve_new. Returns NULL. */
void *reserve_free(void *memory, size_t size);

#endif
