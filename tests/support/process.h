/* Another process of the same test program, for what only two processes can show. */
#ifndef SUPPORT_PROCESS_H
#define SUPPORT_PROCESS_H

#include <stdio.h>
#include <sys/types.h>

struct process {
    pid_t id;
    FILE *output; /* what it prints */
};

/* Runs this program again as "PROGRAM MODE ARGUMENT". It ends with its parent at the latest. Ends the test on
 * failure. */
struct process process_start(const char *mode, const char *argument);

/* Reads a line without its newline into text. Fails the test when the process ended instead. */
void process_read_line(struct process *process, char *text, size_t size);

/* Ends it as kill -9 does, and waits until it is gone. */
void process_kill(struct process *process);

#endif
