/* What a test may say about the audit trail of a store. Main thread only. */
#ifndef SUPPORT_STORE_EVENTS_H
#define SUPPORT_STORE_EVENTS_H

#include "support/store_client.h"

/* The newest events, at most 1000, of one user or (NULL) of all. */
const struct answer *events_of(struct client *client, const char *user);

/* The trail has exactly these events, newest first, a line each: "UPDATE_MESSAGE bob alice/c 2-2 0 r1" is the action,
 * who, whose conversation, the sequence numbers, how many messages were removed, the request_id. */
void assert_events(struct client *client, const char *user, const char *wanted);

/* Waits until there are exactly so many (fewer than 1000). Fails the test when it does not come. */
void events_wait(struct client *client, size_t count);

#endif
