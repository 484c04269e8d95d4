#include "auth/peer_map.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

static const unsigned everything = SCOPE_READ | SCOPE_WRITE | SCOPE_SERVICE | SCOPE_ADMIN;

struct entry {
    uid_t uid;
    unsigned scopes;
    char user[PRINCIPAL_USER_BYTES];
    struct principal *principal; /* for when memory is short */
};

struct peer_map {
    size_t count;
    struct entry entries[];
};

static const struct role {
    const char *word;
    unsigned scopes;
    bool names_user;
} roles[] = {
    {"service", SCOPE_SERVICE | SCOPE_READ | SCOPE_WRITE, false},
    {"admin", SCOPE_ADMIN, false},
    {"user", SCOPE_READ | SCOPE_WRITE, true},
};

static const struct role *role_find(const char *word, size_t length)
{
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strlen(roles[i].word) == length && strncmp(roles[i].word, word, length) == 0) {
            return &roles[i];
        }
    }
    return NULL;
}

bool peer_rule_parse(const char *text, struct peer_rule *ret_rule)
{
    struct peer_rule rule = {.scopes = 0};
    size_t length = strcspn(text, ": ");
    if (length == 0 || length >= sizeof(rule.unix_user) || text[length] != ':') {
        return false;
    }
    memcpy(rule.unix_user, text, length);
    text += length + 1;
    text += strspn(text, " ");
    length = strcspn(text, " ");
    const struct role *role = role_find(text, length);
    if (!role) {
        return false;
    }
    text += length;
    text += strspn(text, " ");
    rule.scopes = role->scopes;
    if (role->names_user ? !principal_id_valid(text) : *text) {
        return false;
    }
    memcpy(rule.user, text, strlen(text));
    *ret_rule = rule;
    return true;
}

static int uid_find(const char *name, uid_t *ret_uid, struct error *error)
{
    char *end;
    errno = 0;
    uintmax_t number = strtoumax(name, &end, 10);
    if (name[0] >= '0' && name[0] <= '9' && !*end && !errno && number < (uid_t)-1) {
        *ret_uid = (uid_t)number;
        return 0;
    }
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[4096];
    if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || !found) {
        return error_set(error, ERROR_STARTUP, "peer = %s: there is no Unix user of this name or number", name);
    }
    *ret_uid = found->pw_uid;
    return 0;
}

/* Where the entry is; map->count when there is none. */
static size_t entry_find(const struct peer_map *map, uid_t uid)
{
    size_t at = 0;
    while (at < map->count && map->entries[at].uid != uid) {
        at++;
    }
    return at;
}

static struct principal *principal_of(uid_t uid, const struct entry *entry)
{
    char number[24];
    if (entry && entry->user[0]) {
        return principal_new(entry->scopes, entry->user, "user", entry->user);
    }
    snprintf(number, sizeof(number), "%ju", (uintmax_t)uid);
    return principal_new(entry ? entry->scopes : 0, "", "uid", number);
}

static int rule_add(struct peer_map *map, const char *text, struct error *error)
{
    struct peer_rule rule;
    uid_t uid;
    if (!peer_rule_parse(text, &rule)) {
        return error_set(error, ERROR_STARTUP,
                         "peer = %.100s: it must be UNIX-USER: service, UNIX-USER: admin or "
                         "UNIX-USER: user USER",
                         text);
    }
    int rc = uid_find(rule.unix_user, &uid, error);
    if (rc) {
        return rc;
    }
    size_t at = entry_find(map, uid);
    struct entry *entry = &map->entries[at];
    entry->uid = uid;
    map->count += at == map->count;
    entry->scopes |= rule.scopes;
    bool two_users = entry->user[0] && rule.user[0] && strcmp(entry->user, rule.user) != 0;
    if (rule.user[0]) {
        memcpy(entry->user, rule.user, sizeof(entry->user));
    }
    if (two_users || (entry->user[0] && (entry->scopes & SCOPE_SERVICE))) {
        return error_set(error, ERROR_STARTUP, "peer = %.100s: another line says that this Unix user is somebody else",
                         text);
    }
    return 0;
}

int peer_map_new(const char *const *rules, size_t count, uid_t own, struct peer_map **ret_map, struct error *error)
{
    const uid_t trusted[] = {0, own};
    struct peer_map *map = calloc(1, sizeof(*map) + (count + 2) * sizeof(map->entries[0]));
    if (!map) {
        return error_set(error, ERROR_STARTUP, "memory is too short to start");
    }
    for (size_t i = 0; i < count; i++) {
        int rc = rule_add(map, rules[i], error);
        if (rc) {
            peer_map_free(map);
            return rc;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        if (entry_find(map, trusted[i]) == map->count) {
            map->entries[map->count++] = (struct entry){.uid = trusted[i], .scopes = everything};
        }
    }
    for (size_t i = 0; i < map->count; i++) {
        struct entry *entry = &map->entries[i];
        entry->principal = principal_of(entry->uid, entry);
        if (!entry->principal) {
            peer_map_free(map);
            return error_set(error, ERROR_STARTUP, "memory is too short to start");
        }
    }
    *ret_map = map;
    return 0;
}

struct peer_map *peer_map_free(struct peer_map *map)
{
    for (size_t i = 0; map && i < map->count; i++) {
        principal_release(map->entries[i].principal);
    }
    free(map);
    return NULL;
}

struct principal *peer_map_find(const struct peer_map *map, uid_t uid)
{
    size_t at = entry_find(map, uid);
    const struct entry *entry = at < map->count ? &map->entries[at] : NULL;
    /* One for each connection, so that requests of several do not count their references in one place. */
    struct principal *principal = principal_of(uid, entry);
    return principal || !entry ? principal : principal_share(entry->principal);
}
