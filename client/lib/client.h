/* What a struct chatlog consists of. */
#ifndef CHATLOG_LIB_CLIENT_H
#define CHATLOG_LIB_CLIENT_H

#include "scheduler.h"

struct chatlog {
    char *url;
    struct chatlog_scheduler scheduler;
};

#endif
