#include "bench/system.h"

#include <sys/resource.h>

const struct system *const systems[SYSTEMS] = {&system_chatlogd, &system_redis,    &system_postgresql,
                                               &system_sqlite,   &system_nng_echo, &system_lmdb_journal};

void system_rest(const struct system *system, void *instance)
{
    if (system->rest) {
        system->rest(instance);
    }
}

void system_load(const struct system *system, void *instance, const struct dataset *dataset)
{
    system->load(instance, dataset);
    system_rest(system, instance);
}

static struct server *server_of(const struct system *system, void *instance)
{
    return system->server ? system->server(instance) : NULL;
}

static double cpu_us(const struct system *system, void *instance)
{
    struct server *server = server_of(system, instance);
    if (server) {
        return server_cpu_us(server);
    }
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double memory_bytes(const struct system *system, void *instance)
{
    struct server *server = server_of(system, instance);
    if (server) {
        return server_memory_bytes(server);
    }
    return system->memory ? system->memory(instance) : 0;
}

struct system_result system_measure(const struct system *system, void *instance, const struct load_plan *plan)
{
    if (system->open) {
        system->open(instance, plan->in_flight);
    }
    double before_us = cpu_us(system, instance);
    struct load *load = load_new(plan);
    system->run(instance, load);
    double used_us = cpu_us(system, instance) - before_us;
    struct system_result result = {.load = load_result(load), .memory_bytes = memory_bytes(system, instance)};
    result.cpu_us = result.load.operations > 0 ? used_us / (double)result.load.operations : 0;
    if (system->close) {
        system->close(instance);
    }
    load_free(load);
    return result;
}

void system_fill(const struct system *system, void *instance, const struct dataset *dataset, unsigned in_flight)
{
    system_measure(system, instance, &(struct load_plan){.dataset = dataset, .in_flight = in_flight});
}

void system_pause(const struct system *system, void *instance, bool paused)
{
    struct server *server = server_of(system, instance);
    if (server) {
        server_pause(server, paused);
    }
}
