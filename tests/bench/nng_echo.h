/* The server of the ceiling row nng_echo: this program, when it is started with this option and an URL. */
#ifndef BENCH_NNG_ECHO_H
#define BENCH_NNG_ECHO_H

#define NNG_ECHO_OPTION "--nng-echo-server"

/* Serves until the process is killed. */
void nng_echo_serve(const char *url) __attribute__((noreturn));

#endif
