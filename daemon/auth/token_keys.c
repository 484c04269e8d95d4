#include "auth/token_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const algorithm_names[TOKEN_ALGORITHM_COUNT] = {[TOKEN_HS256] = "HS256", [TOKEN_ES256] = "ES256"};

const char *token_algorithm_name(enum token_algorithm algorithm)
{
    return algorithm_names[algorithm];
}

static bool kid_valid(const char *kid, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return length > 0 && length < TOKEN_KID_BYTES && strspn(kid, allowed) >= length;
}

bool token_key_spec_parse(const char *text, struct token_key_spec *ret_spec)
{
    struct token_key_spec spec = {.algorithm = TOKEN_ALGORITHM_COUNT};
    size_t length = strcspn(text, ":");
    if (strlen(text) >= TOKEN_KEY_SPEC_BYTES || !kid_valid(text, length) || text[length] != ':') {
        return false;
    }
    memcpy(spec.kid, text, length);
    text += length + 1;
    length = strcspn(text, ":");
    for (enum token_algorithm one = 0; one < TOKEN_ALGORITHM_COUNT; one++) {
        if (strlen(algorithm_names[one]) == length && strncmp(text, algorithm_names[one], length) == 0) {
            spec.algorithm = one;
        }
    }
    if (spec.algorithm == TOKEN_ALGORITHM_COUNT || text[length] != ':' || text[length + 1] != '/') {
        return false;
    }
    spec.path = text + length + 1;
    *ret_spec = spec;
    return true;
}

static int key_fail(struct error *error, const struct token_key_spec *spec, const char *why)
{
    return error_set(error, ERROR_STARTUP, "token key %s, %.120s: %s", spec->kid, spec->path, why);
}

/* Reads the whole file, as what it is: no key is a device, a pipe or large. */
static int file_read(const struct token_key_spec *spec, struct token_key *key, struct error *error)
{
    struct stat status;
    int file = open(spec->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return key_fail(error, spec, strerror(errno));
    }
    int rc = 0;
    if (fstat(file, &status) || !S_ISREG(status.st_mode) || status.st_size > TOKEN_KEY_FILE_BYTES) {
        rc = key_fail(error, spec, "it must be a file of at most 16 KiB");
    } else if (spec->algorithm == TOKEN_HS256 && (status.st_mode & S_IROTH)) {
        rc = key_fail(error, spec, "every user of this machine can read the secret; take that right away (chmod o-r)");
    } else {
        key->bytes = calloc(1, TOKEN_KEY_FILE_BYTES + 1);
        ssize_t size = key->bytes ? read(file, key->bytes, TOKEN_KEY_FILE_BYTES) : -1;
        rc = size < 0 ? key_fail(error, spec, strerror(errno)) : 0;
        key->size = size < 0 ? 0 : (size_t)size;
    }
    close(file);
    return rc;
}

static int secret_check(const struct token_key_spec *spec, struct token_key *key, struct error *error)
{
    if (key->size > 0 && key->bytes[key->size - 1] == '\n') {
        key->size--;
    }
    return key->size >= TOKEN_SECRET_BYTES ? 0
                                           : key_fail(error, spec,
                                                      "an HS256 secret must have at least 32 bytes; "
                                                      "`openssl rand -hex 32` makes one");
}

static int public_key_check(const struct token_key_spec *spec, const struct token_key *key, struct error *error)
{
    char curve[32] = "";
    size_t length;
    BIO *memory = BIO_new_mem_buf(key->bytes, (int)key->size);
    EVP_PKEY *public_key = memory ? PEM_read_bio_PUBKEY(memory, NULL, NULL, NULL) : NULL;
    bool fits = public_key && EVP_PKEY_get_base_id(public_key) == EVP_PKEY_EC &&
                EVP_PKEY_get_utf8_string_param(public_key, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof(curve), &length) &&
                strcmp(curve, "prime256v1") == 0;
    EVP_PKEY_free(public_key);
    BIO_free(memory);
    return fits ? 0
                : key_fail(error, spec,
                           "it is no public key of the curve P-256 in PEM; `openssl ec -in PRIVATE -pubout` "
                           "makes one");
}

static int key_load(const char *text, struct token_keys *keys, struct error *error)
{
    struct token_key_spec spec;
    if (!token_key_spec_parse(text, &spec)) {
        return error_set(error, ERROR_STARTUP, "token-key = %.100s: it must be KID:HS256:/FILE or KID:ES256:/FILE",
                         text);
    }
    if (token_keys_find(keys, spec.kid)) {
        return key_fail(error, &spec, "another key has the same KID");
    }
    struct token_key *key = &keys->keys[keys->count++];
    memcpy(key->kid, spec.kid, sizeof(key->kid));
    key->algorithm = spec.algorithm;
    int rc = file_read(&spec, key, error);
    if (rc) {
        return rc;
    }
    return spec.algorithm == TOKEN_HS256 ? secret_check(&spec, key, error) : public_key_check(&spec, key, error);
}

int token_keys_load(const char *const *specs, size_t count, struct token_keys **ret_keys, struct error *error)
{
    struct token_keys *keys = calloc(1, sizeof(*keys) + count * sizeof(keys->keys[0]));
    if (!keys) {
        return error_set(error, ERROR_STARTUP, "memory is too short for the token keys");
    }
    for (size_t i = 0; i < count; i++) {
        int rc = key_load(specs[i], keys, error);
        if (rc) {
            token_keys_free(keys);
            return rc;
        }
    }
    *ret_keys = keys;
    return 0;
}

struct token_keys *token_keys_free(struct token_keys *keys)
{
    for (size_t i = 0; keys && i < keys->count; i++) {
        if (keys->keys[i].bytes) {
            OPENSSL_cleanse(keys->keys[i].bytes, TOKEN_KEY_FILE_BYTES);
            free(keys->keys[i].bytes);
        }
    }
    free(keys);
    return NULL;
}

const struct token_key *token_keys_find(const struct token_keys *keys, const char *kid)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->keys[i].kid, kid) == 0) {
            return &keys->keys[i];
        }
    }
    return NULL;
}
