/* chatlog_bench: chatlogd beside what a team would otherwise take, on this machine. */
#include "bench/nng_echo.h"
#include "bench/programmes.h"

#include <string.h>

int main(int count, char **arguments)
{
    static void (*const programmes[])(const struct settings *, const struct corpus *) = {
        [PROGRAMME_COMPARE] = compare_run,
        [PROGRAMME_GROWTH] = growth_run,
        [PROGRAMME_FOLD] = fold_run,
        [PROGRAMME_BESIDE] = beside_run,
    };
    if (count == 3 && strcmp(arguments[1], ECHO_SERVER_OPTION) == 0) {
        echo_serve(arguments[2]);
    }
    struct settings settings = settings_parse(count, arguments);
    struct corpus corpus = corpus_read(settings.text);
    programmes[settings.programme](&settings, &corpus);
    corpus_free(&corpus);
    return 0;
}
