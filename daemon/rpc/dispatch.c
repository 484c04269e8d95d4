#include "rpc/dispatch.h"

#include "history/methods.h"
#include "rpc/authorize.h"

#include <assert.h>

#include <stdlib.h>

/* Both arrays are sorted by name; counts has two more: unknown methods, and the end. */
struct dispatch {
    size_t count;
    const struct method **methods;
    struct method_count *counts;
};

static int method_order(const void *a, const void *b)
{
    const struct method *const *left = a;
    const struct method *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

struct dispatch *dispatch_free(struct dispatch *dispatch)
{
    if (dispatch) {
        free(dispatch->methods);
        free(dispatch->counts);
        free(dispatch);
    }
    return NULL;
}

struct dispatch *dispatch_new(void)
{
    struct dispatch *dispatch = calloc(1, sizeof(*dispatch));
    if (!dispatch) {
        return NULL;
    }
    size_t count = 0;
    for (const struct method *const *group = method_groups; *group; group++) {
        for (const struct method *row = *group; row->name; row++) {
            count++;
        }
    }
    dispatch->methods = calloc(count, sizeof(struct method *));
    dispatch->counts = calloc(count + 2, sizeof(*dispatch->counts));
    if (!dispatch->methods || !dispatch->counts) {
        return dispatch_free(dispatch);
    }
    for (const struct method *const *group = method_groups; *group; group++) {
        for (const struct method *row = *group; row->name; row++) {
            assert(authorize_row_valid(row));
            dispatch->methods[dispatch->count++] = row;
        }
    }
    qsort(dispatch->methods, count, sizeof(struct method *), method_order);
    for (size_t i = 0; i < count; i++) {
        dispatch->counts[i].name = dispatch->methods[i]->name;
    }
    dispatch->counts[count].name = "(unknown)";
    return dispatch;
}

static int name_order(struct span name, const char *other)
{
    size_t size = strlen(other);
    size_t common = name.size < size ? name.size : size;
    int order = common ? memcmp(name.data, other, common) : 0;
    return order ? order : (name.size > size) - (name.size < size);
}

const struct method *dispatch_find(struct dispatch *dispatch, struct span name, struct method_count **ret_count)
{
    size_t low = 0;
    size_t high = dispatch->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = name_order(name, dispatch->methods[middle]->name);
        if (order == 0) {
            *ret_count = &dispatch->counts[middle];
            return dispatch->methods[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret_count = &dispatch->counts[dispatch->count];
    return NULL;
}

const struct method_count *dispatch_counts(const struct dispatch *dispatch)
{
    return dispatch->counts;
}
