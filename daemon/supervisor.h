/* Tells the service manager how the daemon is (sd_notify(3)): ready once every listener has answered a request, how a
 * migration goes, alive while the listeners answer and the store's writer goes on, stopping. A manager that set a
 * watchdog ends a daemon that it hears nothing from. Without a manager ($NOTIFY_SOCKET) nothing is done. */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "base/error.h"
#include "base/log.h"
#include "store/store.h"

#include <stddef.h>

struct supervisor;

struct supervisor_config {
    struct store *store;     /* all of these live as long as the supervisor */
    const char *const *urls; /* those that are listened on */
    size_t url_count;
    const struct log *log;
};

/* Asks every listener, says READY and starts a thread that goes on watching. Without a manager *ret_supervisor is NULL.
 * Fails with ERROR_STARTUP when a listener does not answer within some seconds. */
int supervisor_start(const struct supervisor_config *config, struct supervisor **ret_supervisor, struct error *error);

/* Around reading settings again. Both do nothing with NULL. */
void supervisor_reload_begin(struct supervisor *supervisor);
void supervisor_reload_end(struct supervisor *supervisor);

/* Says STOPPING and ends the thread; to be called before the listeners and the store are closed. Takes NULL. Returns
 * NULL. */
struct supervisor *supervisor_stop(struct supervisor *supervisor);

#endif
