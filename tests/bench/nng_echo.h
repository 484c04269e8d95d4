/* The server of the ceiling row nng_echo: this program, when it is started with this option and an URL. */
#ifndef BENCH_NNG_ECHO_H
#define BENCH_NNG_ECHO_H

#define ECHO_SERVER_OPTION "--echo-server"

/* Serves until the process is killed. */
void echo_serve(const char *url) __attribute__((noreturn));

#endif
