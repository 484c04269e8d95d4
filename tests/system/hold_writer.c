/* Makes the writer of a running daemon hang: takes LMDB's lock for writers on its data directory, as a second writer
 * would, and keeps it until SIGTERM. usage: chatlog_hold_writer DIRECTORY; says "held" once it has it. */
#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int rc, const char *what)
{
    if (rc) {
        fprintf(stderr, "%s: %s\n", what, mdb_strerror(rc));
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    MDB_env *env;
    MDB_txn *txn;
    sigset_t signals;
    int number;
    check(argc == 2 ? 0 : EINVAL, "one directory is needed");
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    check(mdb_env_create(&env), "mdb_env_create");
    check(mdb_env_open(env, argv[1], 0, 0600), "mdb_env_open");
    check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
    puts("held");
    fflush(stdout);
    sigwait(&signals, &number);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return EXIT_SUCCESS;
}
