/* Calls the daemon's rpc in the test's own process: requests are put together field by field, so that a test can say
 * anything a hostile client can. */
#ifndef SUPPORT_RPC_CLIENT_H
#define SUPPORT_RPC_CLIENT_H

#include "auth/session.h"
#include "base/buffer.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/log.h"
#include "chatlog/v1/envelope.pb-c.h"
#include "rpc/rpc.h"

/* A field of a request; an array of them ends with number 0. */
struct field {
    uint32_t number;
    const char *text;        /* a string, bytes; or NULL */
    uint64_t value;          /* a number, when text and sub are NULL */
    const struct field *sub; /* a sub-message */
    unsigned repeat;         /* how many times text stands in the string, or sub in the list; 0 counts as 1 */
};

/* A daemon without its sockets, on a directory of its own. */
struct rpc_fixture {
    char *directory;
    struct limits limits;
    struct counters counters;
    struct log log;
    struct store *store;
    struct rpc *rpc;
    struct authority *authority;
    struct session session; /* of root: service and admin */
};

struct rpc_fixture *rpc_fixture_new(void);
struct rpc_fixture *rpc_fixture_free(struct rpc_fixture *fixture);

/* Makes rpc, authority and session on fixture->store, limits, counters and log. */
void rpc_fixture_serve(struct rpc_fixture *fixture);
void rpc_fixture_end(struct rpc_fixture *fixture);

/* Between the two the directory can be changed. */
void rpc_fixture_close(struct rpc_fixture *fixture);
void rpc_fixture_open(struct rpc_fixture *fixture);

struct buffer fields_encode(const struct field *fields);

/* Sends the bytes of a Request, waits for the Response. Free it with chatlog__v1__response__free_unpacked. */
Chatlog__V1__Response *rpc_send(struct rpc_fixture *fixture, struct span request);

/* Calls "chatlog.v1.HistoryService/" + method, or the method itself when it has a '/'. request_id may be NULL. */
Chatlog__V1__Response *rpc_call(struct rpc_fixture *fixture, const char *method, const struct field *fields,
                                const char *request_id);

/* Calls and fails the test unless the answer has this reason ("" for success). */
void rpc_expect(struct rpc_fixture *fixture, const char *method, const struct field *fields, const char *reason);

#endif
