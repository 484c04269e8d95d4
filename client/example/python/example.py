"""Stores a question and its answer in chatlogd, then reads the conversation back."""
import asyncio
import sys

from chatlog.v1 import history_service_pb2 as history
from chatlogd import Chatlogd, ChatlogError

TURNS = (("user", "When does the ferry leave?"), ("assistant", "At 9:40 from pier 2."))


async def main() -> None:
    async with Chatlogd(*sys.argv[1:2]) as chatlogd:
        for role, text in TURNS:
            turn = history.AppendMessagesRequest(user_id="alice", conversation_id="trip", create_if_missing=True)
            turn.messages.add(role=role, content=text.encode())
            await chatlogd.call(turn, history.AppendMessagesResponse, request_id=f"update-17-{role}")
        newest = history.ListMessagesRequest(user_id="alice", conversation_id="trip", limit=20)
        page = await chatlogd.call(newest, history.ListMessagesResponse)
        for message in page.messages:
            print(f"{message.role}: {message.content.decode()}")


try:
    asyncio.run(main())
except ChatlogError as error:
    sys.exit(f"{error.code} / {error.reason}: {error.message}")
