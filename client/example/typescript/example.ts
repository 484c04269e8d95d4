/* Stores a question and its answer in chatlogd, then reads the conversation back. */
import { Chatlogd, ChatlogError } from "./chatlogd.js";
import { HistoryService } from "./gen/chatlog/v1/history_service_pb.js";

const { appendMessages, listMessages } = HistoryService.method;
const trip = { userId: "alice", conversationId: "trip" };
const turns = [["user", "When does the ferry leave?"], ["assistant", "At 9:40 from pier 2."]] as const;
const chatlogd = new Chatlogd({ path: process.argv[2] });
try {
  for (const [role, text] of turns) {
    const turn = { ...trip, createIfMissing: true, messages: [{ role, content: Buffer.from(text) }] };
    await chatlogd.call(appendMessages, turn, { requestId: `update-17-${role}` });
  }
  const page = await chatlogd.call(listMessages, { ...trip, limit: 20 });
  for (const message of page.messages) console.log(`${message.role}: ${Buffer.from(message.content)}`);
} catch (error) {
  if (!(error instanceof ChatlogError)) throw error;
  console.error(`${error.code} / ${error.reason}: ${error.message}`);
  process.exitCode = 1;
} finally {
  chatlogd.close();
}
