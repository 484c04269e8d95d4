/* Every metric the daemon tells, under "chatlogd_" and its name: what the README's table and the rendering are made
 * from. METRICS_NUMBERS have one value each, the field of struct metrics_snapshot of that name; unit: `one`, or
 * `seconds` for a field in microseconds. METRICS_FAMILIES have labels or buckets, and a function each in metrics.c. */
#ifndef METRICS_METRICS_LIST_H
#define METRICS_METRICS_LIST_H

/* X(name, type, unit, help) */
#define METRICS_NUMBERS(X)                                                                                             \
    X(start_time_seconds, gauge, seconds, "When the daemon started, since 1970.")                                      \
    X(ready, gauge, one, "1 while /readyz says yes: changes are taken.")                                               \
    X(layout, gauge, one, "The key layout the data has.")                                                              \
    X(users, gauge, one, "Users that have conversations.")                                                             \
    X(conversations, gauge, one, "Conversations stored, deleted ones until they are purged.")                          \
    X(messages, gauge, one, "Messages stored.")                                                                        \
    X(content_bytes, gauge, one, "Bytes of the messages' content.")                                                    \
    X(data_used_bytes, gauge, one, "Bytes of the data file that hold data.")                                           \
    X(data_free_bytes, gauge, one, "Bytes of the data file that are free for reuse.")                                  \
    X(data_file_bytes, gauge, one, "Size of the data file.")                                                           \
    X(data_map_bytes, gauge, one, "The largest size the data file may reach: map-size.")                               \
    X(disk_free_bytes, gauge, one, "Free on the disk beyond disk-reserve; at 0 changes are refused.")                  \
    X(readers, gauge, one, "Snapshots of the data that are open now.")                                                 \
    X(reader_slots, gauge, one, "Reader slots of LMDB that were ever used at once, of 128.")                           \
    X(commits_total, counter, one, "Commits, those of folding, purging and migration included.")                       \
    X(changes_total, counter, one, "Changes that clients asked for and that are committed.")                           \
    X(queue_requests, gauge, one, "Changes that wait for their commit.")                                               \
    X(queue_bytes, gauge, one, "Bytes of the changes that wait for their commit.")                                     \
    X(journal_entries, gauge, one, "Appends that wait in the journal to be folded.")                                   \
    X(journal_bytes, gauge, one, "Bytes of the journal.")                                                              \
    X(journal_folds_total, counter, one, "Conversations whose appends were folded.")                                   \
    X(migration_messages, gauge, one, "Messages there when the last migration began.")                                 \
    X(migration_moved_messages, gauge, one, "Of these, messages moved.")                                               \
    X(migration_conversations, gauge, one, "Conversations there when the last migration began.")                       \
    X(migration_moved_conversations, gauge, one, "Of these, conversations moved.")                                     \
    X(migration_quarantined, gauge, one, "Records that the last migration could not read and put in quarantine.")      \
    X(damaged_records_total, counter, one, "Answers DATA_LOSS: a stored record's checksum or form is wrong.")          \
    X(audit_events_total, counter, one, "Events written to the audit trail.")                                          \
    X(tokens_verified_total, counter, one, "Tokens that held; one that a connection repeats counts once.")             \
    X(tokens_refused_total, counter, one, "Tokens that did not hold.")                                                 \
    X(connections, gauge, one, "Connections open now.")                                                                \
    X(connections_accepted_total, counter, one, "Connections taken.")                                                  \
    X(slow_requests_total, counter, one, "Requests that took longer than slow-request.")

/* X(name, type, labels, help) */
#define METRICS_FAMILIES(X)                                                                                            \
    X(build_info, gauge, version nng lmdb, "Versions of chatlogd and of the libraries it runs on.")                    \
    X(migration_state, gauge, state, "1 for the state of the migration between key layouts, 0 for the others.")        \
    X(connections_refused_total, counter, reason, "Connections not taken, or closed for what the client did.")         \
    X(requests_total, counter, method code, "Requests answered; those that name no method are of (unknown).")          \
    X(request_duration_seconds, histogram, method, "From a request's arrival to its answer.")                          \
    X(commit_changes, histogram, none, "Changes in one commit.")                                                       \
    X(commit_duration_seconds, histogram, none, "How long a commit took, its sync included.")

#endif
