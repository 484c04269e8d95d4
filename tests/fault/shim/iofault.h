/* What the shim writes about a run when IOFAULT_RECORD names a file: one record after the other, in the order in which
 * things happened to the data file and answers left. Read by the tests that build power cuts from it.
 *
 * libiofault.so is put before a daemon with LD_PRELOAD. Its environment:
 *   IOFAULT_RECORD=FILE   record
 *   IOFAULT_FAIL=CLASS:N:ACTION[:VALUE],...   what happens at the N-th call of a class ("N+": and at every later one)
 *       CLASS   write (of pages), sync, meta (write of a meta page), disk (any of those three, and the rename
 *               that gives a new data file its name), malloc, mmap, backup (write, sync or rename of a backup's
 *               files), backup_sync (the syncs alone)
 *       ACTION  error (errno VALUE, nothing done), late (done, then errno VALUE), short (half is written), exit, half
 *               (half is written, then exit), abort, drop (0, nothing done), stall (VALUE milliseconds, then done)
 *   IOFAULT_MET=FILE      created when a fault was met
 *   IOFAULT_CLOCK=FILE    two int64 that are added to the wall clock and the monotonic clock, in ns; may change
 *   IOFAULT_BACKUP=FILE   record of the backups' files: open, write (one after the other), sync, rename; `offset` is
 *       the descriptor; the bytes of an open and of a rename are the name
 *   IOFAULT_LMDB=nosync | nometasync | lie | ignore | park | leak | brim | stale   a broken store, as a control:
 * commits are not synced; their meta pages are not; every LIE_EVERY-th is given up and called done; failed ones are
 * called done; a snapshot is never given back; each transaction leaves some memory behind; the map is smaller than was
 * asked for; readers that have died are left in the table */
#ifndef FAULT_IOFAULT_H
#define FAULT_IOFAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum iofault_kind {
    IOFAULT_WRITE = 'W',  /* bytes written at an offset; on disk after the next sync, perhaps before */
    IOFAULT_DIRECT = 'D', /* the same through O_DSYNC: on disk now */
    IOFAULT_SYNC = 'S',   /* what was written before is on disk */
    IOFAULT_RENAME = 'R', /* the data file has its name; on disk after the next IOFAULT_NAMES, perhaps before */
    IOFAULT_NAMES = 'N',  /* the names in the data directory are on disk */
    IOFAULT_OPEN = 'O',   /* of a backup: its directory or one of its files */
    IOFAULT_ANSWER = 'A', /* the first bytes of an answer, about to leave */
};

struct iofault_record {
    uint32_t kind;
    uint32_t size; /* of the bytes that follow */
    uint64_t offset;
};

enum { IOFAULT_ANSWER_BYTES = 32, IOFAULT_EXIT_STATUS = 99 };

#endif
