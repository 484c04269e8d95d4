/* Page tokens: good for the key, list, user and filters they were made with, and for nothing else. */
#include "base/wire.h"
#include "chatlog/v1/admin_service.pb-c.h"
#include "chatlog/v1/history_service.pb-c.h"
#include "history/page_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct list {
    uint8_t key;
    const ProtobufCMessageDescriptor *request;
    const char *user;
    unsigned filters;
};

static const struct list own = {1, &chatlog__v1__list_users_request__descriptor, "ann", 2};

static struct call call_of(const struct list *list, struct service *service, ProtobufCMessage *request)
{
    memset(service->page_key, list->key, sizeof(service->page_key));
    request->descriptor = list->request;
    struct call call = {.service = service, .request = request, .arena = arena_new(4096)};
    call.op.user = span_of_string(list->user);
    return call;
}

/* The caller frees it. */
static char *token_make(const struct list *list, struct span position)
{
    struct service service = {.version = ""};
    ProtobufCMessage request = {.n_unknown_fields = 0};
    struct call call = call_of(list, &service, &request);
    page_token_put(&call, 2, list->filters, position);
    struct span payload = buffer_span(&call.payload);
    struct wire_field field;
    assert_true(wire_next(&payload, &field) == 1 && field.number == 2);
    char *token = strndup((const char *)field.bytes.data, field.bytes.size);
    assert_non_null(token);
    buffer_free(&call.payload);
    arena_free(&call.arena);
    return token;
}

static bool token_opens(const struct list *list, const char *token, struct span position)
{
    struct service service = {.version = ""};
    ProtobufCMessage request = {.n_unknown_fields = 0};
    struct call call = call_of(list, &service, &request);
    struct span found;
    int rc = page_token_open(&call, token, list->filters, &found);
    assert_true(rc == 0 || rc == -ERROR_PAGE_TOKEN_INVALID);
    assert_true(rc != 0 || span_equal(found, position));
    arena_free(&call.arena);
    return rc == 0;
}

static void a_token_opens_for_what_it_was_made_with_and_for_nothing_else(void **state)
{
    (void)state;
    const struct span position = span_of("\0\xff position", 11);
    static const struct list others[] = {
        {2, &chatlog__v1__list_users_request__descriptor, "ann", 2},
        {1, &chatlog__v1__list_conversations_request__descriptor, "ann", 2},
        {1, &chatlog__v1__list_users_request__descriptor, "an", 2},
        {1, &chatlog__v1__list_users_request__descriptor, "annx", 2},
        {1, &chatlog__v1__list_users_request__descriptor, "", 2},
        {1, &chatlog__v1__list_users_request__descriptor, "ann", 3},
    };
    char *token = token_make(&own, position);
    assert_true(token_opens(&own, token, position));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(token_opens(&others[i], token, position));
    }
    for (size_t i = 0; token[i]; i++) {
        char saved = token[i];
        token[i] = saved == 'f' ? 'e' : 'f';
        assert_false(token_opens(&own, token, position));
        token[i] = '\0'; /* and cut there */
        assert_true(i == 0 || !token_opens(&own, token, position));
        token[i] = saved;
    }
    free(token);
}

static void what_moves_from_the_user_to_the_position_is_another_token(void **state)
{
    (void)state;
    const struct list shorter = {1, own.request, "an", 2};
    char *token = token_make(&own, span_of("x", 1));
    char *moved = token_make(&shorter, span_of("nx", 2));
    assert_int_not_equal(strncmp(token, moved, 32), 0); /* the codes */
    free(token);
    free(moved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_opens_for_what_it_was_made_with_and_for_nothing_else),
        cmocka_unit_test(what_moves_from_the_user_to_the_position_is_another_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
