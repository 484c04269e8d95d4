/* The adversarial golden data: what a migration could stumble over. */
#ifndef GOLDEN_FILL_H
#define GOLDEN_FILL_H

#include "chatlog.h"

#include <stdio.h>

/* Fills an empty daemon, and writes every change that has a request ID to `requests`: the encoded Request, one a line,
 * in hex. What it makes last expires at once. Ends the program when a change is refused. */
void fill_adversarial(struct chatlog *client, FILE *requests);

#endif
