/* `chatlogd migrate`: what an operator does about key layouts without a daemon. */
#ifndef MIGRATE_COMMAND_H
#define MIGRATE_COMMAND_H

/* argv[0] is "migrate". Returns the exit status. */
int migrate_command(int argc, const char *const *argv);

#endif
