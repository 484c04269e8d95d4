#include "token_reload.h"

#include <stdio.h>
#include <stdlib.h>

/* An event on its way to the disk. */
struct note {
    struct store_op op;
    const struct log *log;
    char actor[sizeof("uid:4294967295")];
};

static void note_lost(const struct log *log, const char *reason)
{
    log_warning(log, "the audit trail has no event of this SIGHUP: %s", reason);
}

static void note_done(struct store_op *op, const struct error *error, struct store_result *result)
{
    struct note *note = op->arg;
    (void)result;
    if (error) {
        note_lost(note->log, error->message);
    }
    free(note);
}

/* At most as many are under way as the store's queue takes. */
static void note_put(const struct token_reload *reload, enum store_action action, const siginfo_t *signal)
{
    struct note *note = calloc(1, sizeof(*note));
    if (!note) {
        note_lost(reload->log, "memory is short");
        return;
    }
    if (signal->si_code <= 0) { /* a process sent it, not the kernel */
        snprintf(note->actor, sizeof(note->actor), "uid:%u", (unsigned)signal->si_uid);
    }
    note->log = reload->log;
    note->op = (struct store_op){.verb = STORE_NOTE_EVENT,
                                 .actor = span_of_string(note->actor),
                                 .note.action = action,
                                 .size = sizeof(*note),
                                 .done = note_done,
                                 .arg = note};
    store_run(reload->store, &note->op);
}

void token_reload(const struct token_reload *reload, const siginfo_t *signal)
{
    struct error error;
    if (authority_reload(reload->authority, &error)) {
        log_event(reload->log, LOG_LEVEL_ERROR, TOKENS_KEPT, "SIGHUP: the token keys stay as they were: %s",
                  error.message);
        note_put(reload, STORE_ACTION_RELOAD_TOKENS_FAILED, signal);
    } else {
        log_event(reload->log, LOG_LEVEL_INFO, TOKENS_RELOADED, "SIGHUP: %zu token keys were read again",
                  reload->key_count);
        note_put(reload, STORE_ACTION_RELOAD_TOKENS, signal);
    }
}
