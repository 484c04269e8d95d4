/* Between the structs of chatlog.h and the generated ones. Knows no call and no connection. */
#include "convert.h"

#include "chatlog_limits.h"
#include "error.h"

#include <assert.h>
#include <string.h>

typedef Chatlog__V1__Conversation__MetadataEntry conversation_entry;
typedef Chatlog__V1__Message__MetadataEntry message_entry;

char *chatlog_convert_text(const char *text)
{
    char *unchanged; /* generated structs are not const, packing does not write to them */
    if (text == NULL)
        text = "";
    memcpy(&unchanged, &text, sizeof unchanged);
    return unchanged;
}

/* ---- For requests ----------------------------------------------------------------------------------------------- */

static int check_metadata(const struct chatlog_pair *pairs, size_t count, struct chatlog_error *error)
{
    if (count > 0 && pairs == NULL)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_REQUIRED",
                                 "metadata is NULL, but metadata_count is %zu", count);
    for (size_t i = 0; i < count; i++)
        if (pairs[i].key == NULL || pairs[i].value == NULL)
            return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_REQUIRED",
                                     "metadata[%zu] has a key or value that is NULL", i);
    return 0;
}

static conversation_entry **conversation_metadata(struct chatlog_arena *arena, const struct chatlog_pair *pairs,
                                                  size_t count)
{
    conversation_entry **list = chatlog_arena_get(arena, count, sizeof *list);
    conversation_entry *entries = chatlog_arena_get(arena, count, sizeof *entries);
    if (list == NULL || entries == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        chatlog__v1__conversation__metadata_entry__init(&entries[i]);
        entries[i].key = chatlog_convert_text(pairs[i].key);
        entries[i].value = chatlog_convert_text(pairs[i].value);
        list[i] = &entries[i];
    }
    return list;
}

static message_entry **message_metadata(struct chatlog_arena *arena, const struct chatlog_pair *pairs, size_t count)
{
    message_entry **list = chatlog_arena_get(arena, count, sizeof *list);
    message_entry *entries = chatlog_arena_get(arena, count, sizeof *entries);
    if (list == NULL || entries == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        chatlog__v1__message__metadata_entry__init(&entries[i]);
        entries[i].key = chatlog_convert_text(pairs[i].key);
        entries[i].value = chatlog_convert_text(pairs[i].value);
        list[i] = &entries[i];
    }
    return list;
}

int chatlog_convert_conversation(struct chatlog_arena *arena, const struct chatlog_conversation *conversation,
                                 Chatlog__V1__Conversation *ret_wire, struct chatlog_error *error)
{
    int code = CHATLOG_REQUIRE(error, {conversation->conversation_id, "conversation_id"});
    if (code == 0)
        code = check_metadata(conversation->metadata, conversation->metadata_count, error);
    if (code != 0)
        return code;
    conversation_entry **metadata = conversation_metadata(arena, conversation->metadata, conversation->metadata_count);
    if (metadata == NULL)
        return chatlog_error_memory(error);
    chatlog__v1__conversation__init(ret_wire);
    ret_wire->conversation_id = chatlog_convert_text(conversation->conversation_id);
    ret_wire->title = chatlog_convert_text(conversation->title);
    ret_wire->n_metadata = conversation->metadata_count;
    ret_wire->metadata = metadata;
    ret_wire->archived = conversation->archived;
    ret_wire->expire_time_us = conversation->expire_time_us;
    return 0;
}

static int check_content(const struct chatlog_message *message, struct chatlog_error *error)
{
    if (message->content_length > 0 && message->content == NULL)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_REQUIRED",
                                 "content is NULL, but content_length is %zu", message->content_length);
    if (message->content_length > CHATLOG_CAP_request_bytes)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "REQUEST_TOO_LARGE",
                                 "content has %zu bytes; a server takes at most %zu", message->content_length,
                                 (size_t)CHATLOG_CAP_request_bytes);
    return 0;
}

int chatlog_convert_message(struct chatlog_arena *arena, const struct chatlog_message *message,
                            Chatlog__V1__Message *ret_wire, struct chatlog_error *error)
{
    int code = check_content(message, error);
    if (code == 0)
        code = check_metadata(message->metadata, message->metadata_count, error);
    if (code != 0)
        return code;
    message_entry **metadata = message_metadata(arena, message->metadata, message->metadata_count);
    if (metadata == NULL)
        return chatlog_error_memory(error);
    chatlog__v1__message__init(ret_wire);
    ret_wire->seq = message->seq;
    ret_wire->message_id = chatlog_convert_text(message->message_id);
    ret_wire->role = chatlog_convert_text(message->role);
    ret_wire->content_type = chatlog_convert_text(message->content_type);
    ret_wire->author = chatlog_convert_text(message->author);
    ret_wire->token_count = message->token_count;
    ret_wire->sent_time_us = message->sent_time_us;
    ret_wire->n_metadata = message->metadata_count;
    ret_wire->metadata = metadata;
    ret_wire->content.len = message->content_length;
    memcpy(&ret_wire->content.data, &message->content, sizeof message->content);
    return 0;
}

int chatlog_convert_mask(unsigned fields, const char *const *names, size_t name_count, struct chatlog_mask *ret_mask,
                         struct chatlog_error *error)
{
    assert(name_count <= sizeof ret_mask->paths / sizeof ret_mask->paths[0]);
    if (fields == 0 || fields >> name_count != 0)
        return chatlog_error_set(error, CHATLOG_INVALID_ARGUMENT, "FIELD_INVALID",
                                 "fields is 0x%x; it must name one or more fields that can be updated", fields);
    *ret_mask = (struct chatlog_mask){0};
    for (size_t i = 0; i < name_count; i++)
        if ((fields >> i & 1) != 0)
            ret_mask->paths[ret_mask->count++] = chatlog_convert_text(names[i]);
    return 0;
}

/* ---- For results ------------------------------------------------------------------------------------------------ */

int chatlog_convert_conversation_back(struct chatlog_arena *arena, const Chatlog__V1__Conversation *wire,
                                      struct chatlog_conversation *ret, struct chatlog_error *error)
{
    struct chatlog_pair *pairs = chatlog_arena_get(arena, wire->n_metadata, sizeof *pairs);
    if (pairs == NULL)
        return chatlog_error_memory(error);
    for (size_t i = 0; i < wire->n_metadata; i++)
        pairs[i] = (struct chatlog_pair){wire->metadata[i]->key, wire->metadata[i]->value};
    *ret = (struct chatlog_conversation){
        .conversation_id = wire->conversation_id,
        .title = wire->title,
        .metadata = pairs,
        .metadata_count = wire->n_metadata,
        .archived = wire->archived != 0,
        .expire_time_us = wire->expire_time_us,
        .etag = wire->etag,
        .create_time_us = wire->create_time_us,
        .update_time_us = wire->update_time_us,
        .activity_time_us = wire->activity_time_us,
        .delete_time_us = wire->delete_time_us,
        .purge_time_us = wire->purge_time_us,
        .message_count = wire->message_count,
        .last_seq = wire->last_seq,
        .content_bytes = wire->content_bytes,
    };
    return 0;
}

int chatlog_convert_message_back(struct chatlog_arena *arena, const Chatlog__V1__Message *wire,
                                 struct chatlog_message *ret, struct chatlog_error *error)
{
    struct chatlog_pair *pairs = chatlog_arena_get(arena, wire->n_metadata, sizeof *pairs);
    if (pairs == NULL)
        return chatlog_error_memory(error);
    for (size_t i = 0; i < wire->n_metadata; i++)
        pairs[i] = (struct chatlog_pair){wire->metadata[i]->key, wire->metadata[i]->value};
    *ret = (struct chatlog_message){
        .message_id = wire->message_id,
        .role = wire->role,
        .content_type = wire->content_type[0] != '\0' ? wire->content_type : "text/plain",
        .author = wire->author,
        .token_count = wire->token_count,
        .sent_time_us = wire->sent_time_us,
        .metadata = pairs,
        .metadata_count = wire->n_metadata,
        .content = wire->content.data != NULL ? wire->content.data : (const void *)"",
        .content_length = wire->content.len,
        .seq = wire->seq,
        .create_time_us = wire->create_time_us,
        .update_time_us = wire->update_time_us,
        .revision = wire->revision,
        .content_size = wire->content_size,
    };
    return 0;
}
