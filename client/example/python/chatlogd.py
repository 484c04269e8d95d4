"""A client of chatlogd for asyncio, small enough to copy into your project. No library: the proto files are the
reference of all methods, and their comments say what each field means.

One Chatlogd is one connection to the Unix socket, made when it is needed and again when it was lost; any number of
calls may wait on it at once. Needs Python 3.11, the package protobuf, and the code that protoc makes of the contract.
"""
import asyncio
import itertools
import random
import struct
import uuid
from typing import TypeVar

from google.protobuf.message import Message

from chatlog.v1 import envelope_pb2

Reply = TypeVar("Reply", bound=Message)
GREETING, DAEMON_GREETING = b"\0SP\0\0\x30\0\0", b"\0SP\0\0\x31\0\0"  # of a REQ and a REP socket
FRAME = struct.Struct("!BQI")  # 1: a message; the length of what follows; the number that its answer repeats
MAX_BYTES = 8 << 20  # of a request: the daemon's limit request_bytes, where it is not set otherwise
MAX_REPLY_BYTES = 160 << 20  # more than any answer has


class ChatlogError(Exception):
    """code and reason are words to compare ("NOT_FOUND", "CONVERSATION_NOT_FOUND"), message is for people."""

    def __init__(self, code: str, reason: str, message: str, details: dict[str, str] | None = None):
        super().__init__(f"{code} / {reason}: {message}")
        self.code, self.reason, self.message, self.details = code, reason, message, details or {}


class Chatlogd:
    """For one event loop; closed by close() or at the end of "async with". A new token counts for later calls."""

    def __init__(self, path: str = "/run/chatlogd/chatlogd.sock", *, token: str = "", max_bytes: int = MAX_BYTES):
        self.path, self.token, self.max_bytes = path, token, max_bytes
        self._numbers = itertools.count(random.getrandbits(30))
        self._waiting: dict[int, asyncio.Future[envelope_pb2.Response]] = {}
        self._dialling = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._receiver: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> "Chatlogd":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self._closed = True
        if self._receiver:
            self._receiver.cancel()
            await asyncio.wait([self._receiver])

    async def call(self, request: Message, reply: type[Reply], *, request_id: str = "", traceparent: str = "",
                   timeout: float = 30.0) -> Reply:
        """Calls the method whose request this is. Until the time is over it is tried again when the connection was
        lost or the daemon says that this is worth it: with the same request_id, so that a change is made once. Give
        your own request_id where you might call again yourself, after a crash for example.
        """
        (service,) = request.DESCRIPTOR.file.services_by_name.values()
        method = next(each.name for each in service.methods if each.input_type == request.DESCRIPTOR)
        envelope = envelope_pb2.Request(
            method=f"{service.full_name}/{method}", payload=request.SerializeToString(),
            request_id=request_id or uuid.uuid4().hex, authorization=self.token and f"Bearer {self.token}",
            traceparent=traceparent, timeout_ms=max(1, int(timeout * 1000)))
        body = envelope.SerializeToString()
        if len(body) > self.max_bytes:  # the daemon would close the connection, which other calls share
            raise ChatlogError("INVALID_ARGUMENT", "REQUEST_TOO_LARGE",
                               f"the request has {len(body)} bytes; at most {self.max_bytes} are allowed",
                               {"limit": str(self.max_bytes)})
        unanswered, refused, why = 0, None, "it is still waited for"
        try:
            async with asyncio.timeout(timeout) as limit:
                for attempt in itertools.count():
                    pause = min(0.02 * 2 ** min(attempt, 6), 1.0)
                    unanswered += 1
                    try:
                        response = await self._exchange(body)
                    except PermissionError as error:
                        raise ChatlogError("UNAVAILABLE", "SERVER_UNREACHABLE", str(error)) from error
                    except OSError as error:
                        why = str(error)
                    else:
                        unanswered -= 1
                        if response.code == envelope_pb2.CODE_OK:
                            return reply.FromString(response.payload)
                        refused = ChatlogError(code_name(response.code), response.reason, response.message,
                                               dict(response.details))
                        if "retry_delay_ms" not in refused.details:
                            raise refused
                        pause = max(pause, int(refused.details["retry_delay_ms"]) / 1000)
                    pause *= random.uniform(1, 1.5)
                    if asyncio.get_running_loop().time() + pause >= (limit.when() or 0):
                        raise TimeoutError
                    await asyncio.sleep(pause)
        except TimeoutError as error:
            if refused and not unanswered:
                raise refused from error
            raise ChatlogError("DEADLINE_EXCEEDED", "NO_ANSWER",
                               f"no answer from {self.path} in {timeout:g} s ({why}); a change may have been made: "
                               f"a call with the same request_id tells ({envelope.request_id})") from error
        raise AssertionError("the loop ends by itself")

    async def _exchange(self, body: bytes) -> envelope_pb2.Response:
        async with self._dialling:
            writer = self._writer or await self._connect()
        number = next(self._numbers) % (1 << 31) | 1 << 31  # the highest bit ends SP's header
        answer: asyncio.Future[envelope_pb2.Response] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            writer.write(FRAME.pack(1, 4 + len(body), number) + body)
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _connect(self) -> asyncio.StreamWriter:
        if self._closed:
            raise ChatlogError("CANCELLED", "CLIENT_CLOSED", "the client is closed")
        reader, writer = await asyncio.open_unix_connection(self.path)
        writer.write(GREETING)
        self._writer, self._receiver = writer, asyncio.create_task(self._receive(reader, writer))
        return writer

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        error: Exception = ConnectionError("the client was closed")
        try:
            if await reader.readexactly(len(DAEMON_GREETING)) != DAEMON_GREETING:
                raise ConnectionError("this is no REP socket")
            while True:
                kind, length, number = FRAME.unpack(await reader.readexactly(FRAME.size))
                if kind != 1 or not 4 <= length <= MAX_REPLY_BYTES:
                    raise ConnectionError("this is no answer")
                response = envelope_pb2.Response.FromString(await reader.readexactly(length - 4))
                answer = self._waiting.get(number)
                if answer and not answer.done():  # else its caller has given up
                    answer.set_result(response)
        except Exception as lost:
            error = ConnectionError(f"the connection was lost: {lost}")
        finally:
            self._writer = None
            writer.close()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(error)


def code_name(code: int) -> str:
    """5 -> "NOT_FOUND"; a code that this version of the contract does not know keeps its number."""
    name = envelope_pb2.Code.DESCRIPTOR.values_by_number.get(code)
    return name.name.removeprefix("CODE_") if name else f"CODE_{code}"
