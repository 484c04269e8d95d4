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

static void row_tell(const char *row)
{
    const char *path = getenv("CHATLOG_FAULT_REPORT");
    FILE *file = path ? fopen(path, "ae") : NULL;
    puts(row);
    if (file) {
        fprintf(file, "%s\n", row);
        fclose(file);
    }
}

void trial_report(const char *test, uint64_t trials, uint64_t faults, uint64_t bad, const char *note)
{
    char row[1024];
    snprintf(row, sizeof(row),
             "{\"test\": \"%s\", \"trials\": %llu, \"load\": {}, \"faults\": %llu, \"bad\": %llu, "
             "\"note\": \"%s\"}",
             test, (unsigned long long)trials, (unsigned long long)faults, (unsigned long long)bad, note);
    row_tell(row);
}

void trial_report_control(unsigned number, const char *name, bool caught)
{
    char row[256];
    snprintf(row, sizeof(row), "{\"control_of\": \"%u\", \"name\": \"%s\", \"caught\": %s}", number, name,
             caught ? "true" : "false");
    row_tell(row);
}
