/* What a disk may hold after a power cut: a record of the shim, played back to any point. */
#ifndef FAULT_DISK_IMAGE_H
#define FAULT_DISK_IMAGE_H

#include "fault/shim/iofault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISK_SECTOR_BYTES = 512 }; /* written whole or not at all */

/* One entry of the record. */
struct disk_event {
    enum iofault_kind kind;
    const uint8_t *bytes;
    size_t size;
    uint64_t offset;
};

/* What is on disk for sure, and what was written since the last sync and may be there or not. */
struct disk {
    uint8_t *record; /* the file */
    struct disk_event *events;
    size_t event_count;
    size_t played;
    uint8_t *durable;
    size_t durable_size;
    size_t capacity;
    size_t *loose; /* numbers of events */
    size_t loose_count;
    enum disk_name { DISK_UNNAMED, DISK_NAME_LOOSE, DISK_NAMED } name; /* has the data file the name it is opened by? */
};

/* Which of the loose writes a power cut leaves. */
enum disk_cut {
    DISK_CUT_ALL,     /* every one: the process was killed */
    DISK_CUT_NONE,    /* none */
    DISK_CUT_WRITES,  /* some writes, each of them whole */
    DISK_CUT_SECTORS, /* some sectors */
    DISK_CUT_COUNT,
};

/* Reads the record; ends the process when it is none. */
struct disk disk_open(const char *path);
void disk_close(struct disk *disk);

/* Plays the next event. Answers are the caller's business. */
const struct disk_event *disk_play(struct disk *disk);

/* Writes the data directory's data file as a power cut now leaves it, under its own name or the one it was made under;
 * `random` decides what is left to chance. */
void disk_cut_write(const struct disk *disk, enum disk_cut cut, uint64_t random, const char *directory);

#endif
