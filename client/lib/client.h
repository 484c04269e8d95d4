/* What a struct chatlog consists of. */
#ifndef CHATLOG_LIB_CLIENT_H
#define CHATLOG_LIB_CLIENT_H

#include "connection.h"
#include "scheduler.h"

struct chatlog {
    struct chatlog_connection connection;
    struct chatlog_scheduler scheduler;
};

#endif
