/* A store in a fresh directory with a clock the test sets, and a synchronous way to ask it. */
#ifndef SUPPORT_STORE_CLIENT_H
#define SUPPORT_STORE_CLIENT_H

#include "base/clock.h"
#include "support/store_answer.h"
#include "support/store_ops.h"

enum { CLIENT_WAIT_SECONDS = 60 }; /* for an answer; far longer than any takes */

/* From soft deletion to purge. */
#define CLIENT_RETENTION_US (INT64_C(3600) * CLOCK_SECOND_US)

/* When the clock of every test begins: 2023-11-14T22:13:20Z. */
#define CLIENT_EPOCH_US INT64_C(1700000000000000)

struct client;

/* For cmocka: *state is a struct client with an open store. */
int client_setup(void **state);
int client_teardown(void **state);
#define store_test(name) cmocka_unit_test_setup_teardown(name, client_setup, client_teardown)

/* Another store in its own directory. */
struct client *client_new(void);

/* A store in somebody else's directory, which lives longer and is left where it is. */
struct client *client_new_in(const char *directory);

/* Closes the store if it is open, and removes its own directory. Returns NULL. */
struct client *client_free(struct client *client);

/* Close and open the same directory. Between the two the config and the limits may be changed. */
void client_close(struct client *client);
void client_open(struct client *client);
void client_reopen(struct client *client);
struct store_config *client_config(struct client *client);
struct limits *client_limits(struct client *client);
struct store *client_store(struct client *client);

/* Runs an operation and waits for its answer, which lives until client_release or client_free. May be called by any
 * thread. Ends the process when no answer comes. */
const struct answer *client_run(struct client *client, struct store_op op);

/* The same, again and again while the answer is PURGE_RUNNING or QUEUE_FULL. */
const struct answer *client_run_patiently(struct client *client, struct store_op op);

/* Begins an operation; client_wait waits for its answer. */
struct answer *client_start(struct client *client, struct store_op op);
const struct answer *client_wait(struct client *client, struct answer *answer);

/* Waits for the answers of everything begun. */
void client_wait_all(struct client *client);

/* Frees all answers; none may be under way. */
void client_release(struct client *client);

/* Appends messages "message 1", "message 2" ... (by their place in this call) with role "user", 1000 in a batch,
 * creating the conversation if need be. Fails the test when one is refused. */
void client_fill(struct client *client, const char *user, const char *conversation, size_t count);

/* Waits until the store holds exactly this much, as its own GET_STATS says. Fails the test when it does not come. */
void client_wait_until_stored(struct client *client, uint64_t users, uint64_t conversations, uint64_t messages);

/* The wall clock of all stores of this process. */
void clock_set(int64_t wall_us);
void clock_advance(int64_t by_us);
int64_t clock_now(void);

#endif
