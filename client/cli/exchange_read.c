/* From a line of JSON to the library's structs. Nothing is dropped: what has no place is an error. */
#include "cli/exchange.h"

#include "chatlog_limits.h"
#include "cli/base64.h"
#include "cli/json.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* The types a member may have, as a set. */
enum {
    TYPE_TEXT = 1 << JSON_STRING,
    TYPE_OBJECT = 1 << JSON_OBJECT,
    TYPE_ARRAY = 1 << JSON_ARRAY,
    TYPE_INTEGER = 1 << JSON_INTEGER,
    TYPE_BOOLEAN = 1 << JSON_TRUE | 1 << JSON_FALSE,
};

/* A member an object may have; a table ends in a row without a name. */
struct member {
    const char *name;
    unsigned types;
    bool needed;
};

static const struct member line_members[] = {
    {"user_id", TYPE_TEXT, true},
    {"conversation_id", TYPE_TEXT, true},
    {"title", TYPE_TEXT, false},
    {"metadata", TYPE_OBJECT, false},
    {"messages", TYPE_ARRAY, true},
    {"chatlog", TYPE_OBJECT, false},
    {NULL, 0, false},
};

static const struct member line_label_members[] = {
    {"archived", TYPE_BOOLEAN, false},
    {"expire_time_us", TYPE_INTEGER, false},
    {NULL, 0, false},
};

static const struct member message_label_members[] = {
    {"message_id", TYPE_TEXT, false},      {"author", TYPE_TEXT, false},     {"token_count", TYPE_INTEGER, false},
    {"sent_time_us", TYPE_INTEGER, false}, {"metadata", TYPE_OBJECT, false}, {NULL, 0, false},
};

static int problem_set(struct exchange_problem *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int problem_set(struct exchange_problem *problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof(problem->text), format, arguments);
    va_end(arguments);
    return -1;
}

static const char *types_name(unsigned types)
{
    switch (types) {
    case TYPE_TEXT:
        return "a string";
    case TYPE_OBJECT:
        return "an object";
    case TYPE_ARRAY:
        return "an array";
    case TYPE_INTEGER:
        return "an integer";
    default:
        return "true or false";
    }
}

static const struct member *member_find(const struct member *members, const char *name)
{
    for (const struct member *member = members; member->name; member++) {
        if (strcmp(member->name, name) == 0) {
            return member;
        }
    }
    return NULL;
}

/* Exactly the members of the table: none unknown, none of another type, none missing. where is "" or "chatlog.". */
static int members_check(json_t *object, const struct member *members, const char *where,
                         struct exchange_problem *problem)
{
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *name = json_object_iter_key(at);
        const struct member *member = member_find(members, name);
        if (!member) {
            return problem_set(problem, "unknown member \"%s%.100s\"", where, name);
        }
        if (!(member->types & 1u << json_typeof(json_object_iter_value(at)))) {
            return problem_set(problem, "\"%s%s\" is not %s", where, name, types_name(member->types));
        }
    }
    for (const struct member *member = members; member->name; member++) {
        if (member->needed && !json_object_get(object, member->name)) {
            return problem_set(problem, "\"%s\" is missing", member->name);
        }
    }
    return 0;
}

static bool text_has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        utf8proc_int32_t point = 0;
        utf8proc_ssize_t width =
            utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(length - i), &point);
        if (width <= 0 || utf8proc_category(point) == UTF8PROC_CATEGORY_CC) {
            return true;
        }
        i += (size_t)width;
    }
    return false;
}

/* A string of least..most bytes without control characters. */
static int text_read(const json_t *value, const char *name, size_t least, size_t most, const char **ret_text,
                     struct exchange_problem *problem)
{
    size_t length = json_string_length(value);
    if (length < least) {
        return problem_set(problem, "\"%s\" is empty", name);
    }
    if (length > most) {
        return problem_set(problem, "\"%s\" has %zu bytes, the limit is %zu", name, length, most);
    }
    if (text_has_control(json_string_value(value), length)) {
        return problem_set(problem, "\"%s\" has a control character", name);
    }
    *ret_text = json_string_value(value);
    return 0;
}

static int text_read_member(const json_t *object, const char *name, size_t most, const char **ret_text,
                            struct exchange_problem *problem)
{
    const json_t *value = json_object_get(object, name);
    return value ? text_read(value, name, 0, most, ret_text, problem) : 0;
}

static int integer_read(const json_t *object, const char *name, int64_t largest, int64_t *ret_value,
                        struct exchange_problem *problem)
{
    const json_t *value = json_object_get(object, name);
    if (!value) {
        return 0;
    }
    if (json_integer_value(value) < 0 || json_integer_value(value) > largest) {
        return problem_set(problem, "\"%s\" is not a number from 0 to %lld", name, (long long)largest);
    }
    *ret_value = json_integer_value(value);
    return 0;
}

static int pair_read(const char *name, const json_t *value, struct chatlog_pair *ret_pair,
                     struct exchange_problem *problem)
{
    size_t length = strlen(name);
    if (length == 0 || length > CHATLOG_LIMIT_metadata_key_bytes) {
        return problem_set(problem, "a metadata key has %zu bytes; 1 to %d are allowed", length,
                           (int)CHATLOG_LIMIT_metadata_key_bytes);
    }
    if (!json_is_string(value)) {
        return problem_set(problem, "metadata \"%.64s\" is not a string", name);
    }
    if (json_string_length(value) > CHATLOG_LIMIT_metadata_value_bytes) {
        return problem_set(problem, "metadata \"%.64s\" has %zu bytes, the limit is %d", name,
                           json_string_length(value), (int)CHATLOG_LIMIT_metadata_value_bytes);
    }
    if (strlen(json_string_value(value)) != json_string_length(value)) {
        return problem_set(problem, "metadata \"%.64s\" has the character U+0000", name);
    }
    *ret_pair = (struct chatlog_pair){.key = name, .value = json_string_value(value)};
    return 0;
}

static int pairs_read(const json_t *object, struct pool *pool, const struct chatlog_pair **ret_pairs, size_t *ret_count,
                      struct exchange_problem *problem)
{
    json_t *map = json_object_get(object, "metadata");
    size_t count = json_object_size(map);
    if (count > CHATLOG_LIMIT_metadata_pairs) {
        return problem_set(problem, "metadata has %zu pairs, the limit is %d", count,
                           (int)CHATLOG_LIMIT_metadata_pairs);
    }
    struct chatlog_pair *pairs = pool_alloc(pool, count * sizeof(*pairs));
    size_t i = 0;
    for (void *at = json_object_iter(map); at; at = json_object_iter_next(map, at)) {
        if (pair_read(json_object_iter_key(at), json_object_iter_value(at), &pairs[i++], problem) < 0) {
            return -1;
        }
    }
    *ret_pairs = pairs;
    *ret_count = count;
    return 0;
}

/* The role of an application/json message is what its member says, when that can be a role. */
static const char *role_of(const json_t *object)
{
    const json_t *role = json_object_get(object, "role");
    size_t length = json_is_string(role) ? json_string_length(role) : 0;
    bool usable =
        length > 0 && length <= CHATLOG_LIMIT_role_bytes && !text_has_control(json_string_value(role), length);
    return usable ? json_string_value(role) : "";
}

static bool message_is_text(const json_t *object, size_t size)
{
    const json_t *role = json_object_get(object, "role");
    return size == 2 && json_is_string(role) && json_is_string(json_object_get(object, "content")) &&
           strcmp(role_of(object), json_string_value(role)) == 0 &&
           strlen(json_string_value(role)) == json_string_length(role);
}

static bool message_is_base64(const json_t *object, size_t size)
{
    return size == 3 && json_is_string(json_object_get(object, "role")) &&
           json_is_string(json_object_get(object, "content_type")) &&
           json_is_string(json_object_get(object, "content_base64"));
}

static int message_read_base64(const json_t *object, struct pool *pool, struct chatlog_message *message,
                               struct exchange_problem *problem)
{
    const json_t *content = json_object_get(object, "content_base64");
    if (text_read(json_object_get(object, "role"), "role", 0, CHATLOG_LIMIT_role_bytes, &message->role, problem) < 0 ||
        text_read(json_object_get(object, "content_type"), "content_type", 1, CHATLOG_LIMIT_content_type_bytes,
                  &message->content_type, problem) < 0) {
        return -1;
    }
    void *data = pool_alloc(pool, json_string_length(content) / 4 * 3);
    if (!base64_decode(json_string_value(content), json_string_length(content), data, &message->content_length)) {
        return problem_set(problem, "\"content_base64\" is not base64");
    }
    message->content = data;
    return 0;
}

/* The object without its member "chatlog", in compact form. */
static void message_read_json(json_t *object, struct pool *pool, struct chatlog_message *message)
{
    json_t *whole = memory_need(json_copy((json_t *)(uintptr_t)object)); /* shallow, and only reads */
    json_object_del(whole, "chatlog");
    size_t size = json_dumpb(whole, NULL, 0, JSON_COMPACT);
    char *data = pool_alloc(pool, size);
    memory_need(json_dumpb(whole, data, size, JSON_COMPACT) == size ? data : NULL);
    json_decref(whole);
    message->role = role_of(object);
    message->content_type = "application/json";
    message->content = data;
    message->content_length = size;
}

static int message_read_labels(json_t *labels, struct pool *pool, struct chatlog_message *message,
                               struct exchange_problem *problem)
{
    int64_t token_count = 0;
    if (!json_is_object(labels)) {
        return problem_set(problem, "\"chatlog\" is not an object");
    }
    if (members_check(labels, message_label_members, "chatlog.", problem) < 0 ||
        text_read_member(labels, "message_id", CHATLOG_LIMIT_id_bytes, &message->message_id, problem) < 0 ||
        text_read_member(labels, "author", CHATLOG_LIMIT_author_bytes, &message->author, problem) < 0 ||
        integer_read(labels, "token_count", UINT32_MAX, &token_count, problem) < 0 ||
        integer_read(labels, "sent_time_us", INT64_MAX, &message->sent_time_us, problem) < 0 ||
        pairs_read(labels, pool, &message->metadata, &message->metadata_count, problem) < 0) {
        return -1;
    }
    message->token_count = (uint32_t)token_count;
    return 0;
}

int exchange_read_message(json_t *object, struct pool *pool, struct chatlog_message *ret_message,
                          struct exchange_problem *ret_problem)
{
    struct chatlog_message message = {.message_id = NULL};
    if (!json_is_object(object)) {
        return problem_set(ret_problem, "it is not an object");
    }
    json_t *labels = json_object_get(object, "chatlog");
    if (labels && message_read_labels(labels, pool, &message, ret_problem) < 0) {
        return -1;
    }
    size_t size = json_object_size(object) - (labels ? 1 : 0);
    if (message_is_text(object, size)) {
        const json_t *content = json_object_get(object, "content");
        message.role = json_string_value(json_object_get(object, "role"));
        message.content_type = "text/plain";
        message.content = json_string_value(content);
        message.content_length = json_string_length(content);
    } else if (message_is_base64(object, size)) {
        if (message_read_base64(object, pool, &message, ret_problem) < 0) {
            return -1;
        }
    } else {
        message_read_json(object, pool, &message);
    }
    *ret_message = message;
    return 0;
}

static int line_read_messages(const json_t *array, uint64_t message_bytes, struct exchange_conversation *line,
                              struct exchange_problem *problem)
{
    line->message_count = json_array_size(array);
    line->messages = pool_alloc(&line->pool, line->message_count * sizeof(*line->messages));
    for (size_t i = 0; i < line->message_count; i++) {
        struct exchange_problem why;
        if (exchange_read_message(json_array_get(array, i), &line->pool, &line->messages[i], &why) < 0) {
            return problem_set(problem, "message %zu: %.400s", i + 1, why.text);
        }
        if (line->messages[i].content_length > message_bytes) {
            return problem_set(problem, "message %zu: its content has %zu bytes, the server's limit is %llu", i + 1,
                               line->messages[i].content_length, (unsigned long long)message_bytes);
        }
    }
    return 0;
}

static int line_read(uint64_t message_bytes, struct exchange_conversation *line, struct exchange_problem *problem)
{
    json_t *root = line->root;
    struct chatlog_conversation *conversation = &line->conversation;
    json_t *labels = json_object_get(root, "chatlog");
    if (!json_is_object(root)) {
        return problem_set(problem, "the line is not a JSON object");
    }
    if (members_check(root, line_members, "", problem) < 0 ||
        text_read(json_object_get(root, "user_id"), "user_id", 1, CHATLOG_LIMIT_id_bytes, &line->user_id, problem) <
            0 ||
        text_read(json_object_get(root, "conversation_id"), "conversation_id", 1, CHATLOG_LIMIT_id_bytes,
                  &conversation->conversation_id, problem) < 0 ||
        text_read_member(root, "title", CHATLOG_LIMIT_title_bytes, &conversation->title, problem) < 0 ||
        pairs_read(root, &line->pool, &conversation->metadata, &conversation->metadata_count, problem) < 0) {
        return -1;
    }
    if (labels && (members_check(labels, line_label_members, "chatlog.", problem) < 0 ||
                   integer_read(labels, "expire_time_us", INT64_MAX, &conversation->expire_time_us, problem) < 0)) {
        return -1;
    }
    conversation->archived = json_is_true(json_object_get(labels, "archived"));
    return line_read_messages(json_object_get(root, "messages"), message_bytes, line, problem);
}

int exchange_read(const char *line, size_t length, uint64_t message_bytes,
                  struct exchange_conversation *ret_conversation, struct exchange_problem *ret_problem)
{
    assert(line || length == 0);
    json_error_t error;
    struct exchange_conversation read = {.root = json_loadb(line, length, JSON_READ_FLAGS, &error)};
    if (!read.root) {
        bool overflow = json_error_code(&error) == json_error_numeric_overflow;
        return problem_set(ret_problem, "malformed JSON at byte %d: %s%s", error.position, error.text,
                           overflow ? " (integers must fit in 64 bits, other numbers in 64-bit floating point)" : "");
    }
    if (line_read(message_bytes, &read, ret_problem) < 0) {
        exchange_free(&read);
        return -1;
    }
    *ret_conversation = read;
    return 0;
}

void exchange_free(struct exchange_conversation *conversation)
{
    pool_free(&conversation->pool);
    json_decref(conversation->root);
    *conversation = (struct exchange_conversation){.root = NULL};
}
