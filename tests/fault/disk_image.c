#include "fault/disk_image.h"

#include "support/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 512 };

static _Noreturn void disk_fail(const char *what)
{
    perror(what);
    exit(2);
}

static void *memory_new(size_t size)
{
    void *memory = calloc(1, size + 1);
    if (!memory) {
        disk_fail("memory");
    }
    return memory;
}

static uint8_t *file_take(const char *path, size_t *ret_size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) {
        disk_fail(path);
    }
    *ret_size = (size_t)status.st_size;
    uint8_t *bytes = memory_new(*ret_size);
    for (size_t at = 0; at < *ret_size;) {
        ssize_t count = read(fd, bytes + at, *ret_size - at);
        if (count <= 0) {
            disk_fail(path);
        }
        at += (size_t)count;
    }
    close(fd);
    return bytes;
}

struct disk disk_open(const char *path)
{
    size_t size;
    struct disk disk = {.record = file_take(path, &size)};
    struct iofault_record head;
    disk.events = memory_new((size / sizeof(head) + 1) * sizeof(*disk.events));
    disk.loose = memory_new((size / sizeof(head) + 1) * sizeof(*disk.loose));
    for (size_t at = 0; at + sizeof(head) <= size; at += sizeof(head) + head.size) {
        memcpy(&head, disk.record + at, sizeof(head));
        if (head.size > size - at - sizeof(head)) {
            break; /* the last one, cut off with the process */
        }
        disk.events[disk.event_count++] =
            (struct disk_event){(enum iofault_kind)head.kind, disk.record + at + sizeof(head), head.size, head.offset};
        if (head.kind != IOFAULT_ANSWER && head.offset + head.size > disk.capacity) {
            disk.capacity = head.offset + head.size;
        }
    }
    disk.durable = memory_new(disk.capacity);
    return disk;
}

void disk_close(struct disk *disk)
{
    free(disk->record);
    free(disk->events);
    free(disk->loose);
    free(disk->durable);
    *disk = (struct disk){0};
}

static void write_apply(const struct disk_event *event, uint8_t *image, size_t *size)
{
    memcpy(image + event->offset, event->bytes, event->size);
    *size = event->offset + event->size > *size ? event->offset + event->size : *size;
}

const struct disk_event *disk_play(struct disk *disk)
{
    const struct disk_event *event = &disk->events[disk->played];
    switch (event->kind) {
    case IOFAULT_WRITE:
        disk->loose[disk->loose_count++] = disk->played;
        break;
    case IOFAULT_DIRECT:
        write_apply(event, disk->durable, &disk->durable_size);
        break;
    case IOFAULT_SYNC:
        for (size_t i = 0; i < disk->loose_count; i++) {
            write_apply(&disk->events[disk->loose[i]], disk->durable, &disk->durable_size);
        }
        disk->loose_count = 0;
        break;
    case IOFAULT_RENAME:
        disk->name = DISK_NAME_LOOSE;
        break;
    case IOFAULT_NAMES:
        disk->name = disk->name == DISK_UNNAMED ? DISK_UNNAMED : DISK_NAMED;
        break;
    case IOFAULT_OPEN:
    case IOFAULT_ANSWER:
        break;
    }
    disk->played++;
    return event;
}

/* Each sector that the write touches is new or old as a whole. */
static void sectors_apply(const struct disk_event *event, uint64_t random, uint8_t *image, size_t *size)
{
    for (size_t at = 0; at < event->size;) {
        size_t left = DISK_SECTOR_BYTES - (event->offset + at) % DISK_SECTOR_BYTES;
        left = left < event->size - at ? left : event->size - at;
        if (history_random(random ^ (event->offset + at)) % 2) {
            write_apply(&(struct disk_event){IOFAULT_WRITE, event->bytes + at, left, event->offset + at}, image, size);
        }
        at += left;
    }
}

static void file_store(const uint8_t *image, size_t size, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        disk_fail(path);
    }
    for (size_t at = 0; at < size;) {
        ssize_t count = write(fd, image + at, size - at);
        if (count <= 0) {
            disk_fail(path);
        }
        at += (size_t)count;
    }
    close(fd);
}

/* Where the data file is: nowhere, where it was made, or where it belongs. */
enum where { NOWHERE, MADE, NAMED };

static enum where where_is(const struct disk *disk, enum disk_cut cut, uint64_t random)
{
    bool renamed =
        disk->name == DISK_NAMED || (disk->name == DISK_NAME_LOOSE && cut != DISK_CUT_NONE && random % 4 < 2);
    return renamed ? NAMED : cut == DISK_CUT_NONE && disk->name == DISK_UNNAMED ? NOWHERE : MADE;
}

static void image_store(const uint8_t *image, size_t size, const char *directory, enum where where)
{
    char made_in[PATH_BYTES];
    char made[PATH_BYTES];
    char named[PATH_BYTES];
    snprintf(made_in, sizeof(made_in), "%s/new", directory);
    snprintf(made, sizeof(made), "%s/new/data.mdb", directory);
    snprintf(named, sizeof(named), "%s/data.mdb", directory);
    unlink(made);
    rmdir(made_in);
    unlink(named);
    if (where == MADE) {
        mkdir(made_in, 0700);
    }
    if (where != NOWHERE) {
        file_store(image, size, where == MADE ? made : named);
    }
}

void disk_cut_write(const struct disk *disk, enum disk_cut cut, uint64_t random, const char *directory)
{
    uint8_t *image = memory_new(disk->capacity);
    size_t size = disk->durable_size;
    memcpy(image, disk->durable, disk->durable_size);
    for (size_t i = 0; i < disk->loose_count; i++) {
        const struct disk_event *event = &disk->events[disk->loose[i]];
        bool kept = cut == DISK_CUT_ALL || (cut == DISK_CUT_WRITES && history_random(random + i) % 2);
        if (kept) {
            write_apply(event, image, &size);
        } else if (cut == DISK_CUT_SECTORS) {
            sectors_apply(event, random + i, image, &size);
        }
    }
    if (random % 2 && disk->loose_count > 0 &&
        cut != DISK_CUT_NONE) { /* the file's size got there, its bytes did not */
        const struct disk_event *last = &disk->events[disk->loose[disk->loose_count - 1]];
        size = last->offset + last->size > size ? last->offset + last->size : size;
    }
    image_store(image, size, directory, where_is(disk, cut, random));
    free(image);
}
