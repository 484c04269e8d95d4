/* `chatlog top`: the daemon at work, on a terminal until q is pressed; elsewhere one frame. The only file that knows
 * ncurses. */
#include "cli/commands.h"
#include "cli/memory.h"
#include "cli/report.h"
#include "cli/top.h"

#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MILLISECONDS = 1000 };

static int sample_take(struct session *session, struct top_sample *ret, struct chatlog_error *error)
{
    struct top_sample sample = {.migration = {.state = CHATLOG_MIGRATION_UNKNOWN}};
    int code = chatlog_get_stats(session->client, &session->call, &sample.stats, error);
    if (code != 0) {
        return code;
    }
    code = chatlog_get_migration(session->client, &session->call, &sample.migration, error);
    if (code != 0 && code != CHATLOG_UNIMPLEMENTED) {
        chatlog_stats_free(&sample.stats);
        return code;
    }
    *ret = sample;
    return 0;
}

static void sample_free(struct top_sample *sample)
{
    chatlog_stats_free(&sample->stats);
    chatlog_migration_free(&sample->migration);
}

static void screen_show(const struct session *session, const struct top_sample *before, const struct top_sample *now)
{
    char *text = NULL;
    size_t size;
    FILE *memory = memory_need(open_memstream(&text, &size));
    top_frame(memory, session->url, before, now);
    fputs("\nq ends", memory);
    if (fclose(memory) == 0) {
        erase();
        char *rest = text;
        for (int row = 0; row < LINES && rest; row++) {
            mvaddnstr(row, 0, strsep(&rest, "\n"), COLS);
        }
        refresh();
    }
    free(text);
}

/* Returns 0 when q was pressed, or the code of a call that failed. */
static int screen_run(struct session *session, struct top_sample *before, unsigned seconds, struct chatlog_error *error)
{
    struct top_sample now;
    int key = ERR;
    screen_show(session, NULL, before);
    while (key != 'q' && key != 'Q') {
        timeout((int)seconds * MILLISECONDS);
        key = getch();
        int code = sample_take(session, &now, error);
        if (code != 0) {
            return code;
        }
        screen_show(session, before, &now);
        sample_free(before);
        *before = now;
    }
    return 0;
}

static int plain_run(struct session *session, const struct top_sample *before, unsigned seconds,
                     struct chatlog_error *error)
{
    struct top_sample now;
    nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
    int code = sample_take(session, &now, error);
    if (code == 0) {
        top_frame(session->out, session->url, before, &now);
        sample_free(&now);
    }
    return code;
}

int command_top(struct session *session)
{
    const struct options *options = session->options;
    unsigned seconds = options->interval.given ? (unsigned)options->interval.value : 2;
    struct top_sample before;
    struct chatlog_error error;
    int code = sample_take(session, &before, &error);
    if (code != 0) {
        return session_fail(session, &error);
    }
    SCREEN *screen = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) ? newterm(NULL, stdout, stdin) : NULL;
    if (screen) {
        cbreak();
        noecho();
        curs_set(0);
        code = screen_run(session, &before, seconds, &error);
        endwin();
        delscreen(screen);
    } else {
        code = plain_run(session, &before, seconds, &error);
    }
    sample_free(&before);
    return code != 0 ? session_fail(session, &error) : EXIT_SUCCESS;
}
