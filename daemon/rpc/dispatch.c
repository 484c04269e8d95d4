#include "rpc/dispatch.h"

#include "history/methods.h"
#include "rpc/authorize.h"

#include <assert.h>

#include <stdlib.h>

/* Both arrays are sorted by name; names has one more, of unknown methods. */
struct dispatch {
    size_t count;
    const struct method **methods;
    const char **names;
    struct method_meters *meters;
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
        free(dispatch->names);
        method_meters_free(dispatch->meters);
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
    dispatch->names = calloc(count + 1, sizeof(*dispatch->names));
    dispatch->meters = dispatch->names ? method_meters_new(dispatch->names, count + 1) : NULL;
    if (!dispatch->methods || !dispatch->meters) {
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
        dispatch->names[i] = dispatch->methods[i]->name;
    }
    dispatch->names[count] = "(unknown)";
    return dispatch;
}

static int name_order(struct span name, const char *other)
{
    size_t size = strlen(other);
    size_t common = name.size < size ? name.size : size;
    int order = common ? memcmp(name.data, other, common) : 0;
    return order ? order : (name.size > size) - (name.size < size);
}

const struct method *dispatch_find(const struct dispatch *dispatch, struct span name, size_t *ret_index)
{
    size_t low = 0;
    size_t high = dispatch->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = name_order(name, dispatch->methods[middle]->name);
        if (order == 0) {
            *ret_index = middle;
            return dispatch->methods[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret_index = dispatch_unknown(dispatch);
    return NULL;
}

size_t dispatch_unknown(const struct dispatch *dispatch)
{
    return dispatch->count;
}

struct method_meters *dispatch_meters(const struct dispatch *dispatch)
{
    return dispatch->meters;
}
