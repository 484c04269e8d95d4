"""Makes the calls that test_languages.py asks for with the Python client: one JSON object a line, in and out."""
import asyncio
import json
import sys

from chatlog.v1 import admin_service_pb2, history_service_pb2
from chatlogd import Chatlogd, ChatlogError
from google.protobuf.json_format import MessageToDict, ParseDict


async def answer(chatlogd, call):
    module = history_service_pb2 if hasattr(history_service_pb2, call["method"] + "Request") else admin_service_pb2
    request = ParseDict(call["request"], getattr(module, call["method"] + "Request")())
    options = {"timeout": call["timeout_ms"] / 1000} if "timeout_ms" in call else {}
    try:
        reply = await chatlogd.call(request, getattr(module, call["method"] + "Response"),
                                    request_id=call.get("request_id", ""),
                                    traceparent=call.get("traceparent", ""), **options)
        result = {"reply": MessageToDict(reply)}
    except ChatlogError as error:
        result = {"error": {"code": error.code, "reason": error.reason, "message": error.message,
                            "details": error.details}}
    print(json.dumps({"id": call["id"], **result}), flush=True)


async def main(path, token):
    loop = asyncio.get_running_loop()
    calls = set()
    async with Chatlogd(path, token=token) as chatlogd:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            calls.add(asyncio.create_task(answer(chatlogd, json.loads(line))))
        await asyncio.gather(*calls)


asyncio.run(main(*sys.argv[1:]))
