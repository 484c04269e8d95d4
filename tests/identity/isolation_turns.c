/* From one operation to the next. */
#include "identity/isolation_request.h"

#include "chatlog/v1/envelope.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 600000 }; /* the most there is: a test may be stopped for a while */

/* How often each is drawn, of all weights. */
static const struct {
    isolation_operation *draw;
    unsigned weight;
    bool probes;
} operations[] = {
    {isolation_draw_append, 20, false},
    {isolation_draw_list_messages, 16, false},
    {isolation_draw_get_message, 8, false},
    {isolation_draw_labels, 10, false},
    {isolation_draw_get, 6, false},
    {isolation_draw_list, 5, false},
    {isolation_draw_delete, 3, false},
    {isolation_draw_undelete, 3, false},
    {isolation_draw_update_message, 6, false},
    {isolation_draw_delete_message, 4, false},
    {isolation_draw_pop, 4, false},
    {isolation_draw_forget, 1, false},
    {isolation_draw_again, 4, false},
    {isolation_probe_conversation, 3, true},
    {isolation_probe_message, 2, true},
    {isolation_probe_page, 2, true},
    {isolation_probe_right, 3, true},
};

enum { OPERATIONS = sizeof(operations) / sizeof(operations[0]), WEIGHTS = 100 };

static void turn_draw(struct isolation_user *user)
{
    uint64_t left = isolation_draw(user, WEIGHTS);
    size_t i = 0;
    if (user->listing) {
        isolation_draw_list(user);
        return;
    }
    while (left >= operations[i].weight) {
        left -= operations[i].weight;
        i++;
    }
    user->probes += operations[i].probes;
    operations[i].draw(user);
}

void isolation_turn_begin(struct isolation_user *user, struct buffer *out)
{
    struct isolation_turn *turn = &user->turn;
    struct buffer payload = turn->payload;
    buffer_clear(&payload);
    memset(turn, 0, sizeof(*turn));
    turn->payload = payload;
    turn->reason = "";
    turn_draw(user);
    if (turn->changes && isolation_one_in(user, 3)) {
        snprintf(turn->request_id, sizeof(turn->request_id), "r%u", isolation_number(user));
    }
    buffer_clear(out);
    isolation_put_text(out, 1, turn->method);
    wire_put_bytes(out, 2, buffer_span(&turn->payload));
    wire_put_uint(out, 3, TIMEOUT_MS);
    isolation_put_text(out, 4, turn->request_id);
    isolation_put_text(out, 5, user->authorization);
}

/* Keeps what a change with a request_id brought, to send it again. */
static void turn_remember(const struct isolation_turn *turn, struct span payload)
{
    struct isolation_conversation *conversation = turn->conversation;
    if (turn->changes && turn->request_id[0] && conversation->exists) {
        conversation->method = turn->method;
        snprintf(conversation->request_id, sizeof(conversation->request_id), "%s", turn->request_id);
        buffer_clear(&conversation->payload);
        buffer_append(&conversation->payload, turn->payload.data, turn->payload.size);
        buffer_clear(&conversation->answer);
        buffer_append(&conversation->answer, payload.data, payload.size);
    }
}

static void turn_check(struct isolation_user *user, const Chatlog__V1__Response *response)
{
    const struct isolation_turn *turn = &user->turn;
    struct span payload = span_of(response->payload.data, response->payload.len);
    if (strcmp(response->reason, turn->reason) != 0) {
        isolation_complain(user, "\"%s\" (%s) instead of \"%s\"", response->reason, response->message, turn->reason);
    } else if (response->replayed != turn->replays) {
        isolation_complain(user, "replayed: %d", response->replayed);
    } else if (turn->reason[0] == '\0' && turn->check) {
        turn->check(user, payload);
    } else if (payload.size > 0) {
        isolation_complain(user, "a payload of %zu bytes, though it was refused or purged", payload.size);
    }
    if (turn->reason[0] == '\0') {
        turn_remember(turn, payload);
    }
}

bool isolation_turn_end(struct isolation_user *user, struct span bytes)
{
    if (isolation_is_foreign(&user->marker, bytes)) {
        user->foreign++;
        isolation_complain(user, "the answer holds a marker of another user");
    }
    Chatlog__V1__Response *response = chatlog__v1__response__unpack(NULL, bytes.size, bytes.data);
    bool again = response && (strcmp(response->reason, "PURGE_RUNNING") == 0 || /* of his own */
                              strcmp(response->reason, "QUEUE_FULL") == 0);
    if (!response) {
        isolation_complain(user, "the answer is no Response");
    } else if (!again) {
        turn_check(user, response);
    }
    chatlog__v1__response__free_unpacked(response, NULL);
    return !again;
}
