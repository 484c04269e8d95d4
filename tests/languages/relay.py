"""A Unix socket between a client and the daemon that loses an answer, and a daemon that is none."""
import socket
import threading

GREETING_BYTES = 8
DAEMON_GREETING = b"\0SP\0\0\x31\0\0"


def read(stream, size):
    """So many bytes, or None when the connection ends before."""
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            return None
        data += part
    return data


def read_frame(stream):
    head = read(stream, 9)
    return head and head + read(stream, int.from_bytes(head[1:], "big"))


class Peer:
    """Listens at path; each connection is served by serve(stream, number of the connection) on a thread of its own."""

    def __init__(self, path):
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.streams = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            self.streams.append(stream)
            threading.Thread(target=self.work, args=(stream, len(self.streams)), daemon=True).start()

    def work(self, stream, number):
        with stream:
            self.serve(stream, number)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class LosingRelay(Peer):
    """One request at a time; the first connection breaks when the daemon has answered its first request."""

    def __init__(self, path, daemon_path):
        self.daemon_path = daemon_path
        self.lost = 0
        super().__init__(path)

    def serve(self, stream, number):
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.connect(self.daemon_path)
            daemon.sendall(read(stream, GREETING_BYTES))
            stream.sendall(read(daemon, GREETING_BYTES))
            while request := read_frame(stream):
                daemon.sendall(request)
                answer = read_frame(daemon)
                if number == 1:
                    self.lost += 1
                    return
                stream.sendall(answer)


class AnsweringPeer(Peer):
    """Answers request by request with the bodies given, on whatever connection; None: the connection breaks, and "raw"
    bytes go out as they are."""

    def __init__(self, path, answers):
        self.answers = list(answers)
        super().__init__(path)

    def serve(self, stream, number):
        stream.sendall(DAEMON_GREETING)
        read(stream, GREETING_BYTES)
        while request := read_frame(stream):
            answer = self.answers.pop(0)
            if answer is None:
                return
            if isinstance(answer, tuple):
                stream.sendall(answer[1])
                continue
            body = request[9:13] + answer
            stream.sendall(b"\1" + len(body).to_bytes(8, "big") + body)
