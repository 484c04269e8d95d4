/* chatlog_fault_hold_reader DIRECTORY: opens the data of a running daemon, takes a snapshot, says "held" and waits to
 * be killed. chatlog_fault_hold_reader DIRECTORY list: prints the readers that LMDB knows, one a line, its process
 * first. */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check(int rc, const char *what)
{
    if (rc) {
        fprintf(stderr, "chatlog_fault_hold_reader: %s: %s\n", what, mdb_strerror(rc));
        exit(EXIT_FAILURE);
    }
}

static int line_print(const char *line, void *arg)
{
    (void)arg;
    fputs(line, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    MDB_env *env;
    MDB_txn *txn;
    check(argc == 2 || argc == 3 ? 0 : EINVAL, "usage: DIRECTORY [list]");
    check(mdb_env_create(&env), "mdb_env_create");
    check(mdb_env_open(env, argv[1], MDB_RDONLY, 0600), "mdb_env_open");
    if (argc == 3) {
        mdb_reader_list(env, line_print, NULL);
        mdb_env_close(env);
        return EXIT_SUCCESS;
    }
    check(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "mdb_txn_begin");
    puts("held");
    fflush(stdout);
    pause();
    return EXIT_SUCCESS;
}
