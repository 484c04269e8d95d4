#include "support/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

uint64_t trial_scaled(uint64_t count)
{
    const char *text = getenv("CHATLOG_FAULT_SCALE");
    double scale = text ? strtod(text, NULL) : 1;
    double scaled = (double)count * (scale > 0 ? scale : 1);
    return scaled < 1 ? 1 : (uint64_t)scaled;
}

uint64_t trial_seed(void)
{
    const char *text = getenv("CHATLOG_SEED");
    uint32_t seed = 0;
    if (text) {
        seed = (uint32_t)strtoul(text, NULL, 10);
    } else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
        abort();
    }
    printf("CHATLOG_SEED=%u\n", seed);
    fflush(stdout);
    return seed;
}

void trial_report(const char *test, uint64_t trials, const char *load, uint64_t faults, uint64_t bad,
                  const char *control)
{
    char row[1024];
    const char *path = getenv("CHATLOG_FAULT_REPORT");
    snprintf(row, sizeof(row),
             "{\"test\": \"%s\", \"trials\": %llu, \"load\": \"%s\", \"faults\": %llu, \"bad\": %llu, "
             "\"control\": \"%s\"}\n",
             test, (unsigned long long)trials, load, (unsigned long long)faults, (unsigned long long)bad, control);
    fputs(row, stdout);
    FILE *file = path ? fopen(path, "ae") : NULL;
    if (file) {
        fputs(row, file);
        fclose(file);
    }
}
