/* From the library's structs to the exchange form, and when two messages are the same in it. */
#include "cli/exchange.h"

#include "cli/json.h"

#include <assert.h>
#include <string.h>

static const char *text_of(const char *text)
{
    return text ? text : "";
}

static bool text_equal(const char *a, const char *b)
{
    return strcmp(text_of(a), text_of(b)) == 0;
}

bool exchange_pairs_equal(const struct chatlog_pair *a, size_t a_count, const struct chatlog_pair *b, size_t b_count)
{
    if (a_count != b_count) {
        return false;
    }
    for (size_t i = 0; i < a_count; i++) {
        size_t j = 0;
        while (j < b_count && !text_equal(a[i].key, b[j].key)) {
            j++;
        }
        if (j == b_count || !text_equal(a[i].value, b[j].value)) {
            return false;
        }
    }
    return true;
}

bool exchange_labels_equal(const struct chatlog_message *a, const struct chatlog_message *b)
{
    return text_equal(a->message_id, b->message_id) && text_equal(a->author, b->author) &&
           a->token_count == b->token_count && a->sent_time_us == b->sent_time_us &&
           exchange_pairs_equal(a->metadata, a->metadata_count, b->metadata, b->metadata_count);
}

static json_t *json_of(const struct chatlog_message *message)
{
    return json_loadb(message->content, message->content_length, JSON_READ_FLAGS, NULL);
}

bool exchange_content_equal(const struct chatlog_message *a, const struct chatlog_message *b)
{
    if (!text_equal(a->role, b->role) || !text_equal(a->content_type, b->content_type)) {
        return false;
    }
    if (a->content_length == b->content_length &&
        (a->content_length == 0 || memcmp(a->content, b->content, a->content_length) == 0)) {
        return true;
    }
    if (!text_equal(a->content_type, "application/json")) {
        return false;
    }
    json_t *a_value = json_of(a);
    json_t *b_value = json_of(b);
    bool equal = json_equal(a_value, b_value);
    json_decref(a_value);
    json_decref(b_value);
    return equal;
}

json_t *exchange_write(const char *user_id, const struct chatlog_conversation *conversation)
{
    json_t *line = memory_need(json_object());
    json_put(line, "user_id", json_string(user_id));
    json_put(line, "conversation_id", json_string(conversation->conversation_id));
    json_put(line, "title", json_string(text_of(conversation->title)));
    json_put_pairs(line, "metadata", conversation->metadata, conversation->metadata_count);
    if (conversation->archived || conversation->expire_time_us) {
        json_t *labels = memory_need(json_object());
        if (conversation->archived) {
            json_put(labels, "archived", json_true());
        }
        if (conversation->expire_time_us) {
            json_put(labels, "expire_time_us", json_integer(conversation->expire_time_us));
        }
        json_put(line, "chatlog", labels);
    }
    return line;
}

static bool message_has_labels(const struct chatlog_message *message)
{
    return *text_of(message->message_id) || *text_of(message->author) || message->token_count ||
           message->sent_time_us || message->metadata_count;
}

static void message_put_labels(json_t *object, const struct chatlog_message *message)
{
    json_t *labels = memory_need(json_object());
    json_put_text(labels, "message_id", message->message_id);
    json_put_text(labels, "author", message->author);
    if (message->token_count) {
        json_put(labels, "token_count", json_number(message->token_count));
    }
    if (message->sent_time_us) {
        json_put(labels, "sent_time_us", json_integer(message->sent_time_us));
    }
    if (message->metadata_count) {
        json_put_pairs(labels, "metadata", message->metadata, message->metadata_count);
    }
    json_put(object, "chatlog", labels);
}

/* The form a message would have if it came from a plain file; NULL when it has none. */
static json_t *message_plain(const struct chatlog_message *message)
{
    if (text_equal(message->content_type, "application/json")) {
        json_t *value = json_of(message);
        if (json_is_object(value)) {
            return value;
        }
        json_decref(value);
        return NULL;
    }
    json_t *content = json_stringn(message->content_length ? message->content : "", message->content_length);
    if (!content) {
        return NULL; /* not UTF-8 */
    }
    json_t *object = memory_need(json_object());
    json_put(object, "role", json_string(text_of(message->role)));
    json_put(object, "content", content);
    return object;
}

static bool message_reads_back(json_t *object, const struct chatlog_message *message)
{
    struct pool pool = {NULL};
    struct chatlog_message read;
    struct exchange_problem problem;
    bool same = exchange_read_message(object, &pool, &read, &problem) == 0 && !message_has_labels(&read) &&
                exchange_content_equal(&read, message);
    pool_free(&pool);
    return same;
}

json_t *exchange_write_message(const struct chatlog_message *message)
{
    assert(message->content_type && *message->content_type); /* in results it is always set */
    json_t *object = message_plain(message);
    if (object && !message_reads_back(object, message)) {
        json_decref(object);
        object = NULL;
    }
    if (!object) {
        object = memory_need(json_object());
        json_put(object, "role", json_string(text_of(message->role)));
        json_put(object, "content_type", json_string(message->content_type));
        json_put(object, "content_base64", json_base64(message->content, message->content_length));
    }
    if (message_has_labels(message)) {
        message_put_labels(object, message);
    }
    return object;
}
