/* What a store should hold, as a plain list: applies the same operations and says where an answer or the store's
 * content differs. Knows the contract, must not know an engine. */
#ifndef SUPPORT_STORE_MODEL_H
#define SUPPORT_STORE_MODEL_H

#include "support/store_client.h"

struct model;

struct model *model_new(void);
struct model *model_free(struct model *model);

/* The last_seq of a conversation; 0 when there is none. */
uint64_t model_last_seq(struct model *model, const char *user, const char *conversation);

/* Does to the model what `op` should have done to the store at clock_now(), and fails the test when `answer` is not
 * what the contract says. */
void model_apply(struct model *model, const struct store_op *op, const struct answer *answer);

/* Fail the test when the store differs from the model. */
void model_compare_conversation(struct model *model, struct client *client, const char *user, const char *conversation);
void model_compare_list(struct model *model, struct client *client, const char *user);
void model_compare_stats(struct model *model, struct client *client);

#endif
