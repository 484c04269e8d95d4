/* Makes the calls that test_languages.py asks for with the TypeScript client: one JSON object a line, in and out. */
import { createInterface } from "node:readline";
import { fromJson, toJson, type DescMessage, type DescMethodUnary, type JsonValue } from "@bufbuild/protobuf";
import { Chatlogd, ChatlogError } from "./chatlogd.js";
import { HistoryService } from "./gen/chatlog/v1/history_service_pb.js";

interface Call {
  id: number;
  method: string;
  request: JsonValue;
  request_id?: string;
  traceparent?: string;
  timeout_ms?: number;
}

async function answer(chatlogd: Chatlogd, call: Call): Promise<object> {
  const method = HistoryService.methods.find((each) => each.name === call.method) as DescMethodUnary<DescMessage>;
  try {
    const reply = await chatlogd.call(method, fromJson(method.input, call.request),
      { requestId: call.request_id, traceparent: call.traceparent, timeoutMs: call.timeout_ms });
    return { id: call.id, reply: toJson(method.output, reply) };
  } catch (error) {
    if (!(error instanceof ChatlogError)) throw error;
    const { code, reason, message, details } = error;
    return { id: call.id, error: { code, reason, message, details } };
  }
}

const chatlogd = new Chatlogd({ path: process.argv[2], token: process.argv[3] });
const calls: Promise<void>[] = [];
for await (const line of createInterface(process.stdin))
  calls.push(answer(chatlogd, JSON.parse(line)).then((result) => console.log(JSON.stringify(result))));
await Promise.all(calls);
chatlogd.close();
