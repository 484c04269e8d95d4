/* Takes the place of libc's sendmsg() for libnng. Part of the executable, not of the library: only there the dynamic
 * linker finds it before libc's.
 *
 * nng before 1.6 stops listening on an ipc:// address for ever when one client connects and closes at once: EPIPE
 * while nng sends its handshake becomes NNG_ECLOSED, which the accept loop takes for its own end
 * (https://github.com/nanomsg/nng/issues/1518). ECONNRESET, which means the same to every caller, is not mistaken.
 * Harmless with a newer nng. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t sent = syscall(SYS_sendmsg, fd, message, flags);
    if (sent < 0 && errno == EPIPE) {
        errno = ECONNRESET;
    }
    return sent;
}
