/* What a struct chatlog consists of. */
#ifndef CHATLOG_LIB_CLIENT_H
#define CHATLOG_LIB_CLIENT_H

#include "scheduler.h"

#include "chatlog_limits.h"

#include <pthread.h>

#define CHATLOG_TOKEN_SCHEME "Bearer "

enum { CHATLOG_AUTHORIZATION_SIZE = sizeof CHATLOG_TOKEN_SCHEME + CHATLOG_LIMIT_token_bytes };

struct chatlog {
    char *url;
    pthread_mutex_t token_lock;                     /* of the next */
    char authorization[CHATLOG_AUTHORIZATION_SIZE]; /* of calls begun from now on; "": none */
    struct chatlog_scheduler scheduler;
};

#endif
