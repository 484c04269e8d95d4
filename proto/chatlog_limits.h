/* The limits of chatlogd: one list for the daemon, the client library and AdminService.GetServerInfo.
 * Sizes are in bytes. A row: X(name, default, hard cap, meaning). A row whose cap equals its default is fixed; the
 * others can be set by the configuration option of the same name (with '-' for '_'), from 1 to the cap. */
#ifndef CHATLOG_LIMITS_H
#define CHATLOG_LIMITS_H

#define CHATLOG_KIB 1024u
#define CHATLOG_MIB (1024u * 1024u)

#define CHATLOG_LIMITS(X)                                                                                              \
    X(id_bytes, 128, 128, "a user, conversation, message or request ID")                                               \
    X(role_bytes, 64, 64, "a message's role")                                                                          \
    X(content_type_bytes, 128, 128, "a message's content type")                                                        \
    X(author_bytes, 128, 128, "a message's author")                                                                    \
    X(title_bytes, 1024, 1024, "a conversation's title")                                                               \
    X(metadata_pairs, 64, 64, "pairs in the metadata of a message or conversation")                                    \
    X(metadata_key_bytes, 64, 64, "a metadata key")                                                                    \
    X(metadata_value_bytes, 1024, 1024, "a metadata value")                                                            \
    X(mask_paths, 16, 16, "paths in an update mask")                                                                   \
    X(page_token_bytes, 1024, 1024, "a page token")                                                                    \
    X(token_bytes, 4096, 4096, "a token")                                                                              \
    X(append_messages, 1000, 1000, "messages in one append, page or pop")                                              \
    X(page_default, 50, 50, "entries of a page when the request does not say")                                         \
    X(replace_messages, 100000, 100000, "messages dropped by one replace_after_seq")                                   \
    X(message_bytes, 4 * CHATLOG_MIB, 64 * CHATLOG_MIB, "a message's content")                                         \
    X(request_bytes, 8 * CHATLOG_MIB, 128 * CHATLOG_MIB, "a request, and the messages of a reply")                     \
    X(timeout_ms, 600000, 600000, "milliseconds a request may wait")                                                   \
    X(connections, 1000, 60000, "open connections")                                                                    \
    X(requests, 1024, 16384, "requests worked on at once")                                                             \
    X(connection_requests, 256, 16384, "unanswered requests of one connection")                                        \
    X(send_timeout_ms, 5000, 60000, "milliseconds a client may take to read an answer")                                \
    X(queue_requests, 4096, 65536, "changes waiting for the writer")                                                   \
    X(queue_bytes, 64 * CHATLOG_MIB, 1024 * CHATLOG_MIB, "bytes of the changes waiting for the writer")

/* The values without a configuration, as constants: CHATLOG_LIMIT_id_bytes and so on. */
#define CHATLOG_LIMIT_CONSTANT(name, value, cap, meaning) CHATLOG_LIMIT_##name = (value), CHATLOG_CAP_##name = (cap),
enum { CHATLOG_LIMITS(CHATLOG_LIMIT_CONSTANT) };
#undef CHATLOG_LIMIT_CONSTANT

#endif
