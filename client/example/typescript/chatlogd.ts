/* A client of chatlogd for Node.js, small enough to copy into your project. No library: the proto files are the
 * reference of all methods, and their comments say what each field means.
 *
 * One Chatlogd is one connection to the Unix socket, made when it is needed and again when it was lost; any number of
 * calls may wait on it at once. Needs @bufbuild/protobuf, and the code that protoc-gen-es makes of the contract. */
import { randomInt, randomUUID } from "node:crypto";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Code, RequestSchema, ResponseSchema, type Response } from "./gen/chatlog/v1/envelope_pb.js";

const GREETING = Buffer.from("\0SP\0\0\x30\0\0", "latin1"); // of a REQ socket
const DAEMON_GREETING = Buffer.from("\0SP\0\0\x31\0\0", "latin1"); // of a REP socket
const MAX_REPLY_BYTES = 160 << 20; // no answer is larger

/* code and reason are words to compare ("NOT_FOUND", "CONVERSATION_NOT_FOUND"), message is for people. */
export class ChatlogError extends Error {
  constructor(readonly code: string, readonly reason: string, message: string,
    readonly details: Readonly<Record<string, string>> = {}) {
    super(message);
  }
}

export interface Options { path?: string; token?: string; maxBytes?: number }
export interface CallOptions { requestId?: string; traceparent?: string; timeoutMs?: number }
interface Waiting { answer(response: Response): void; lose(error: Error): void }

export class Chatlogd {
  token: string; // a new one counts for later calls
  private readonly path: string;
  private readonly maxBytes: number;
  private readonly waiting = new Map<number, Waiting>();
  private count = randomInt(2 ** 31);
  private socket: Socket | undefined;
  private closed = false;

  /* maxBytes: of a request; the daemon's limit request_bytes, where it is not the default. */
  constructor({ path = "/run/chatlogd/chatlogd.sock", token = "", maxBytes = 8 << 20 }: Options = {}) {
    this.path = path;
    this.token = token;
    this.maxBytes = maxBytes;
  }

  close(): void {
    this.closed = true;
    this.socket?.destroy();
  }

  /* Calls a method. Until the time is over it is tried again when the connection was lost or the daemon says that this
   * is worth it: with the same request_id, so that a change is made once. Give your own requestId where you might call
   * again yourself, after a crash for example. */
  async call<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, request: MessageInitShape<I>,
    { requestId = randomUUID(), traceparent = "", timeoutMs = 30_000 }: CallOptions = {}): Promise<MessageShape<O>> {
    const body = toBinary(RequestSchema, create(RequestSchema, {
      method: `${method.parent.typeName}/${method.name}`, requestId, traceparent, timeoutMs,
      payload: toBinary(method.input, create(method.input, request)),
      authorization: this.token && `Bearer ${this.token}`,
    }));
    if (body.length > this.maxBytes) // the daemon would close the connection, which other calls share
      throw new ChatlogError("INVALID_ARGUMENT", "REQUEST_TOO_LARGE",
        `the request has ${body.length} bytes; at most ${this.maxBytes} are allowed`, { limit: `${this.maxBytes}` });
    const deadline = performance.now() + timeoutMs;
    const unanswered: Error[] = [];
    for (let attempt = 0; ; attempt++) {
      let pause = Math.min(20 * 2 ** attempt, 1000);
      let refused: ChatlogError | undefined;
      try {
        const response = await this.exchange(body, deadline - performance.now());
        if (response.code === Code.OK) return fromBinary(method.output, response.payload);
        const code = Code[response.code] ?? `CODE_${response.code}`; // one that this contract does not know
        refused = new ChatlogError(code, response.reason, response.message, response.details);
        if (!("retry_delay_ms" in refused.details)) throw refused;
        pause = Math.max(pause, Number(refused.details["retry_delay_ms"]) || 0);
      } catch (error) {
        if (error instanceof ChatlogError) throw error;
        unanswered.push(error as Error);
      }
      pause *= 1 + Math.random() / 2;
      if (performance.now() + pause >= deadline) {
        if (refused && unanswered.length === 0) throw refused;
        throw new ChatlogError("DEADLINE_EXCEEDED", "NO_ANSWER", `no answer from ${this.path} in ${timeoutMs} ms ` +
          `(${unanswered.at(-1)?.message}); a change may have been made: a call with the same requestId tells ` +
          `(${requestId})`);
      }
      await sleep(pause);
    }
  }

  private async exchange(body: Uint8Array, timeoutMs: number): Promise<Response> {
    const socket = (this.socket ??= this.dial());
    const number = 2 ** 31 + (this.count++ % 2 ** 31); // the highest bit ends SP's header
    const head = Buffer.alloc(13);
    head.writeUInt8(1); // a message
    head.writeBigUInt64BE(BigInt(4 + body.length), 1); // the length of what follows
    head.writeUInt32BE(number, 9); // the answer repeats it
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Response>((answer, lose) => {
        this.waiting.set(number, { answer, lose });
        timer = setTimeout(() => lose(new Error("it is still waited for")), timeoutMs);
        socket.write(head);
        socket.write(body);
      });
    } finally {
      clearTimeout(timer);
      this.waiting.delete(number);
    }
  }

  private dial(): Socket {
    if (this.closed) throw new ChatlogError("CANCELLED", "CLIENT_CLOSED", "the client is closed");
    const socket = connect(this.path);
    const receiver = this.receive();
    let wanted = receiver.next().value;
    let why: NodeJS.ErrnoException = new Error("the connection was lost");
    socket.write(GREETING);
    socket.on("readable", () => {
      try {
        for (let bytes; (bytes = socket.read(wanted))?.length === wanted; ) wanted = receiver.next(bytes).value;
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on("error", (error) => { why = error; });
    socket.on("close", () => {
      this.socket = undefined;
      const lost = why.code === "EACCES" ? new ChatlogError("UNAVAILABLE", "SERVER_UNREACHABLE", why.message) : why;
      for (const { lose } of this.waiting.values()) lose(lost);
    });
    return socket;
  }

  /* Asks for so many bytes with each yield, and gets them. */
  private *receive(): Generator<number, never, Buffer> {
    if (!(yield DAEMON_GREETING.length).equals(DAEMON_GREETING)) throw new Error("this is no REP socket");
    for (;;) {
      const head = yield 9;
      const length = Number(head.readBigUInt64BE(1));
      if (head[0] !== 1 || length < 4 || length > MAX_REPLY_BYTES) throw new Error("this is no answer");
      const message = yield length;
      this.waiting.get(message.readUInt32BE())?.answer(fromBinary(ResponseSchema, message.subarray(4)));
    }
  }
}
