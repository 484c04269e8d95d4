/* Everything a store holds, as bytes: the same content gives the same image, whatever way it is kept. And a content of
 * every kind to take images of. Must not know an engine. */
#ifndef SUPPORT_STORE_IMAGE_H
#define SUPPORT_STORE_IMAGE_H

#include "support/store_client.h"

/* Reads it through every read there is: lists, conversations, messages by place, by number and by message_id. May be
 * called by any thread; ends the process when a list or a page does not come to an end. Free it with buffer_free. */
struct buffer image_take(struct client *client);

/* Fails the test when the store's content is another than in the image. */
void image_expect(struct client *client, const struct buffer *wanted, const char *what);

/* Users that are prefixes of each other, IDs of 1 and 128 bytes, edits, pops, deletions, expiry, remembered requests, a
 * conversation of `messages` messages. The clock is moved on. */
void image_fill(struct client *client, size_t messages);

/* Fails the test unless the requests image_fill had remembered are answered again. */
void image_replay(struct client *client);

/* Puts the client's store away and opens an empty one in an older layout, to be kept so. */
void image_begin_old(struct client *client, uint32_t layout);

/* Opens the closed store again so that it is migrated, this many records a commit (0: as many as come). */
void image_migrate(struct client *client, size_t slice_records);

/* Waits until a migration has moved something. */
void image_wait_moving(struct client *client);

/* Waits until no migration is under way any more. Fails the test when one halts or does not end. */
struct store_migration image_wait_migrated(struct client *client);

#endif
