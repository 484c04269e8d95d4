#include "support/made_token.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { P256_NUMBER_BYTES = 32, SIGNATURE_MAX = 2 * P256_NUMBER_BYTES };

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "made_token: %s failed\n", what);
        abort();
    }
}

static void pem_take(BIO *memory, char ret[MADE_PEM_BYTES])
{
    int size = BIO_read(memory, ret, MADE_PEM_BYTES - 1);
    require(size > 0, "writing a key");
    ret[size] = '\0';
}

struct made_keys made_keys_new(const char *curve)
{
    struct made_keys keys;
    EVP_PKEY *pair = EVP_EC_gen(curve);
    BIO *memory = BIO_new(BIO_s_mem());
    require(pair && memory && PEM_write_bio_PrivateKey(memory, pair, NULL, NULL, 0, NULL, NULL), "making a key");
    pem_take(memory, keys.private_key);
    require(PEM_write_bio_PUBKEY(memory, pair), "making a key");
    pem_take(memory, keys.public_key);
    BIO_free(memory);
    EVP_PKEY_free(pair);
    for (size_t i = 0; i < MADE_SECRET_BYTES; i += 8) {
        snprintf(keys.secret + i, 9, "%08x", arc4random());
    }
    return keys;
}

/* Appends base64url without padding; returns the new end. */
static char *part_put(char *out, const void *data, size_t size)
{
    char *start = out;
    out += EVP_EncodeBlock((unsigned char *)out, data, (int)size);
    while (size > 0 && out[-1] == '=') {
        out--;
    }
    *out = '\0';
    for (char *c = start; *c; c++) {
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    }
    return out;
}

static size_t sign_es256(const char *text, size_t size, const char *key, uint8_t ret[SIGNATURE_MAX])
{
    uint8_t der[128];
    size_t der_size = sizeof(der);
    BIO *memory = BIO_new_mem_buf(key, -1);
    EVP_PKEY *pair = PEM_read_bio_PrivateKey(memory, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    require(pair && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pair) == 1 &&
                EVP_DigestSign(context, der, &der_size, (const uint8_t *)text, size) == 1,
            "signing");
    const uint8_t *start = der;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &start, (long)der_size);
    require(numbers && BN_bn2binpad(ECDSA_SIG_get0_r(numbers), ret, P256_NUMBER_BYTES) > 0 &&
                BN_bn2binpad(ECDSA_SIG_get0_s(numbers), ret + P256_NUMBER_BYTES, P256_NUMBER_BYTES) > 0,
            "signing");
    ECDSA_SIG_free(numbers);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pair);
    BIO_free(memory);
    return SIGNATURE_MAX;
}

char *made_token(const char *header, const char *claims, enum made_signature signature, const char *key)
{
    uint8_t code[EVP_MAX_MD_SIZE];
    size_t code_size = 0;
    char *token = malloc(2 * (strlen(header) + strlen(claims)) + 2 * sizeof(code) + 16);
    require(token != NULL, "malloc");
    char *end = part_put(token, header, strlen(header));
    *end++ = '.';
    end = part_put(end, claims, strlen(claims));
    size_t signed_size = (size_t)(end - token);
    if (signature == MADE_HS256) {
        unsigned size;
        require(HMAC(EVP_sha256(), key, (int)strlen(key), (const uint8_t *)token, signed_size, code, &size), "HMAC");
        code_size = size;
    } else if (signature == MADE_ES256) {
        code_size = sign_es256(token, signed_size, key, code);
    }
    *end++ = '.';
    *end = '\0';
    if (code_size > 0) {
        part_put(end, code, code_size);
    }
    return token;
}

char *made_token_for(const char *algorithm, const char *kid, const char *user, const char *scope, const char *audience,
                     int64_t expires_in_s, enum made_signature signature, const char *key)
{
    char header[256];
    char claims[1024];
    snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\"}", algorithm, kid);
    snprintf(claims, sizeof(claims), "{\"sub\":\"%s\",\"scope\":\"%s\",\"aud\":\"%s\",\"exp\":%lld}", user, scope,
             audience, (long long)(time(NULL) + expires_in_s));
    return made_token(header, claims, signature, key);
}

char *made_file(const char *directory, const char *name, const char *text)
{
    char *path = NULL;
    require(asprintf(&path, "%s/%s", directory, name) > 0, "asprintf");
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text) && close(file) == 0, path);
    return path;
}
