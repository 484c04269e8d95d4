/* The methods of chatlog.v1 that this library calls by name: one row each. */
#ifndef CHATLOG_LIB_METHODS_H
#define CHATLOG_LIB_METHODS_H

#include <protobuf-c/protobuf-c.h>

/* X(constant, service/method, prefix of the generated response, kind) */
#define CHATLOG_METHODS(X)                                                                                             \
    X(CREATE_CONVERSATION, "chatlog.v1.HistoryService/CreateConversation",                                             \
      chatlog__v1__create_conversation_response__descriptor, CHANGE)                                                   \
    X(GET_CONVERSATION, "chatlog.v1.HistoryService/GetConversation",                                                   \
      chatlog__v1__get_conversation_response__descriptor, READ)                                                        \
    X(UPDATE_CONVERSATION, "chatlog.v1.HistoryService/UpdateConversation",                                             \
      chatlog__v1__update_conversation_response__descriptor, CHANGE)                                                   \
    X(DELETE_CONVERSATION, "chatlog.v1.HistoryService/DeleteConversation",                                             \
      chatlog__v1__delete_conversation_response__descriptor, CHANGE)                                                   \
    X(UNDELETE_CONVERSATION, "chatlog.v1.HistoryService/UndeleteConversation",                                         \
      chatlog__v1__undelete_conversation_response__descriptor, CHANGE)                                                 \
    X(LIST_CONVERSATIONS, "chatlog.v1.HistoryService/ListConversations",                                               \
      chatlog__v1__list_conversations_response__descriptor, READ)                                                      \
    X(APPEND_MESSAGES, "chatlog.v1.HistoryService/AppendMessages", chatlog__v1__append_messages_response__descriptor,  \
      CHANGE)                                                                                                          \
    X(LIST_MESSAGES, "chatlog.v1.HistoryService/ListMessages", chatlog__v1__list_messages_response__descriptor, READ)  \
    X(GET_MESSAGE, "chatlog.v1.HistoryService/GetMessage", chatlog__v1__get_message_response__descriptor, READ)        \
    X(UPDATE_MESSAGE, "chatlog.v1.HistoryService/UpdateMessage", chatlog__v1__update_message_response__descriptor,     \
      CHANGE)                                                                                                          \
    X(DELETE_MESSAGE, "chatlog.v1.HistoryService/DeleteMessage", chatlog__v1__delete_message_response__descriptor,     \
      CHANGE)                                                                                                          \
    X(POP_MESSAGES, "chatlog.v1.HistoryService/PopMessages", chatlog__v1__pop_messages_response__descriptor, CHANGE)   \
    X(FORGET_USER, "chatlog.v1.HistoryService/ForgetUser", chatlog__v1__forget_user_response__descriptor, REPEATABLE)  \
    X(GET_SERVER_INFO, "chatlog.v1.AdminService/GetServerInfo", chatlog__v1__get_server_info_response__descriptor,     \
      READ)                                                                                                            \
    X(GET_STATS, "chatlog.v1.AdminService/GetStats", chatlog__v1__get_stats_response__descriptor, READ)                \
    X(GET_MIGRATION, "chatlog.v1.AdminService/GetMigration", chatlog__v1__get_migration_response__descriptor, READ)    \
    X(LIST_USERS, "chatlog.v1.AdminService/ListUsers", chatlog__v1__list_users_response__descriptor, READ)             \
    X(LIST_AUDIT_EVENTS, "chatlog.v1.AdminService/ListAuditEvents",                                                    \
      chatlog__v1__list_audit_events_response__descriptor, READ)                                                       \
    X(BACKUP, "chatlog.v1.AdminService/Backup", chatlog__v1__backup_response__descriptor, ONCE)                        \
    X(VERIFY, "chatlog.v1.AdminService/Verify", chatlog__v1__verify_response__descriptor, ONCE)                        \
    X(GET_DESCRIPTOR_SET, "chatlog.v1.AdminService/GetDescriptorSet",                                                  \
      chatlog__v1__get_descriptor_set_response__descriptor, READ)                                                      \
    X(CHECK_HEALTH, "grpc.health.v1.Health/Check", grpc__health__v1__health_check_response__descriptor, READ)

#define CHATLOG_METHOD_ENUM(constant, name, reply, kind) METHOD_##constant,
enum chatlog_method_id { CHATLOG_METHODS(CHATLOG_METHOD_ENUM) METHOD_COUNT };
#undef CHATLOG_METHOD_ENUM

enum chatlog_method_kind {
    METHOD_READ,       /* may be sent again */
    METHOD_CHANGE,     /* may be sent again with the same request_id */
    METHOD_REPEATABLE, /* a change that may be sent again as it is */
    METHOD_ONCE,       /* is not sent again */
};

struct chatlog_method {
    const char *name;
    const ProtobufCMessageDescriptor *reply;
    enum chatlog_method_kind kind;
};

const struct chatlog_method *chatlog_method_get(enum chatlog_method_id id);

/* NULL when the library does not know it. */
const struct chatlog_method *chatlog_method_find(const char *name);

#endif
