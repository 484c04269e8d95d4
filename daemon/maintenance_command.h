/* `chatlogd check`, `restore` and `salvage`: what an operator does to data beside a daemon or without one. */
#ifndef MAINTENANCE_COMMAND_H
#define MAINTENANCE_COMMAND_H

#include <stdbool.h>

/* True when that is one of the commands. */
bool maintenance_is_command(const char *name);

/* argv[0] is the command's name. Returns the exit status. */
int maintenance_command(int argc, const char *const *argv);

#endif
