#!/usr/bin/env python3
"""Writes tests/fuzz/corpus: where the fuzzer starts from, and what ctest replays. Inputs that once broke something are
added to the folders by hand, under a name that tells what they broke."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))

# As in fuzz_rpc.c.
METHODS = """CreateConversation GetConversation UpdateConversation DeleteConversation UndeleteConversation
    ListConversations AppendMessages ListMessages GetMessage UpdateMessage DeleteMessage PopMessages ForgetUser
    GetServerInfo GetStats ListUsers GetDescriptorSet Check GetMigration ListAuditEvents
    Backup Verify""".split()
WITH_REQUEST_ID = 128


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(*fields):
    """fields: (number, int or str or bytes)"""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def request(name, *fields, request_id=False):
    payload = message(*fields)
    selector = METHODS.index(name) + 1 + (WITH_REQUEST_ID if request_id else 0)
    return bytes([selector]) + len(payload).to_bytes(2, "little") + payload


def raw(data):
    return b"\0" + len(data).to_bytes(2, "little") + data


def pair(key, value):
    return message((1, key), (2, value))


OWNER = ((1, "ann"), (2, "c1"))
HELLO = message((6, "m-1"), (7, "user"), (8, "text/plain"), (10, 3), (11, 1700000000000000), (12, pair("k", "v")),
                (13, "Grüße"))
ANSWER = message((7, "assistant"), (8, "application/json"), (9, "bot"), (13, '{"role":"assistant","content":null}'))
APPEND = request("AppendMessages", *OWNER, (3, HELLO), (3, ANSWER), (4, 1))

RPC = {
    "append": APPEND,
    "append_replayed": 2 * request("AppendMessages", *OWNER, (3, ANSWER), (4, 1), request_id=True),
    "append_replace": APPEND + request("AppendMessages", *OWNER, (3, ANSWER), (5, 2), (6, 1)),
    "create_update": request("CreateConversation", (1, "ann"),
                             (2, message((1, "c2"), (2, "Title"), (3, pair("a", "b")))))
                     + request("UpdateConversation", (1, "ann"), (2, message((1, "c2"), (2, "New"), (4, 1))),
                               (3, "title"), (3, "archived"), request_id=True),
    "delete_undelete": APPEND + request("DeleteConversation", *OWNER) + request("UndeleteConversation", *OWNER)
                       + request("DeleteConversation", *OWNER, (4, 1)) + request("GetConversation", *OWNER),
    "expire": request("CreateConversation", (1, "ann"), (2, message((1, "c3"), (5, 1)))),
    "forget": APPEND + request("ForgetUser", (1, "ann")),
    "list": APPEND + request("ListConversations", (1, "ann"), (2, 1), (4, 3), (5, 1)) + request("ListUsers", (1, 1)),
    "list_token": request("ListConversations", (1, "ann"), (3, "8299999999999999")) + request("ListUsers", (2, "ann")),
    "messages": APPEND + request("ListMessages", *OWNER) + request("ListMessages", *OWNER, (3, 2), (6, 1))
                + request("ListMessages", *OWNER, (4, 1), (8, 1)) + request("ListMessages", *OWNER, (5, 1), (7, 10)),
    "message": APPEND + request("GetMessage", *OWNER, (3, 1)) + request("GetMessage", *OWNER, (4, "m-1"), (5, 2))
               + request("UpdateMessage", *OWNER, (3, message((1, 1), (13, "new"))), (4, "content"), (5, 1))
               + request("DeleteMessage", *OWNER, (3, 1)),
    "pop": APPEND + request("PopMessages", *OWNER, (3, 1), (4, 2)),
    "admin": request("GetServerInfo") + request("GetStats") + request("GetDescriptorSet") + request("Check"),
    "jobs": APPEND + request("Backup", (1, "nightly")) + request("Backup", (1, "../up")) + request("Verify"),
    "audit": APPEND + request("PopMessages", *OWNER, (3, 1)) + request("ListAuditEvents", (4, 1))
             + request("ListAuditEvents", (1, "ann"), (2, 1), (3, 1700000000000000))
             + request("ListAuditEvents", (5, "00112233445566770000000000000000")),
    "envelope": raw(message((1, "chatlog.v1.HistoryService/GetConversation"), (2, message(*OWNER)), (3, 1000),
                            (4, "r"))),
    "unknown_method": raw(message((1, "chatlog.v1.HistoryService/Nothing"))),
    "empty": raw(b""),
    "empty_fields": raw(message((2, b"\x12\x00" * 50))),
    "nul_in_id": request("GetConversation", (1, "a\0b"), (2, "c1")),
    "not_utf8": request("GetConversation", (1, b"\xff\xfe"), (2, "c1")),
}

CONVERSATION_RECORD = message((1, "c1"), (2, "Title"), (3, pair("a", "b")), (3, pair("c", "d")), (4, 1), (5, 7),
                              (6, "12"), (7, 1), (8, 2), (9, 3), (10, 4), (11, 5), (12, 6), (13, 7), (14, 8))
MESSAGE_RECORD = message((1, 1), (2, 2), (3, 3), (4, 1), (5, 5), (6, "m-1"), (7, "user"), (8, "text/plain"), (9, "ann"),
                         (10, 2), (11, 9), (12, pair("a", "b")), (13, "hello"))
EVENT_RECORD = message((1, 1), (2, 11), (3, "bot"), (4, "ann"), (5, "c1"), (6, 2), (7, 3), (8, "r"), (9, 4), (10, 5),
                       (11, 6), (12, 7), (13, "00ff"), (14, 1), (15, 2))
RECORD = {
    "event": b"\2" + EVENT_RECORD,
    "event_small": b"\2" + message((2, 2)),
    "message": b"\0" + MESSAGE_RECORD,
    "message_cut": b"\0" + MESSAGE_RECORD[:-3],
    "message_twice": b"\0" + MESSAGE_RECORD + MESSAGE_RECORD,
    "conversation": b"\1" + CONVERSATION_RECORD,
    "conversation_small": b"\1" + message((1, "c1"), (6, "1"), (7, 1)),
}

KEYS = {
    "conversation": b"\3ann\0c1",
    "message": b"\3ann\0c1\0" + b"0000000007",
    "message_of_user": b"\3annann\0" + b"0000000007",
    "position": b"\3ann" + b"8299999999999999\0c1",
    "deadline": b"\0" + b"1700000000000000\0ann\0c1",
    "user": b"\3ann",
    "seq": b"\0" + b"9999999999",
    "event": b"\0\0\6\x0a\x24\x18\x1e\x40\0" + bytes(7) + b"\1",
}

HASH = bytes(range(16))
JOURNAL = message((1, 5), (2, 2), (3, 10), (4, 1700000000000000), (5, 1700000000000000), (6, 1), (7, "r"),
                  (8, HASH + message((1, 1), (4, "5"))), (15, MESSAGE_RECORD), (15, message((1, 2), (13, "again"))))
MARKER = (b"chatlogM" + b"".join(number.to_bytes(2, "little") for number in (1, 3, 3, 3, 3, 0)) + bytes(4)
          + (1700000000000000).to_bytes(8, "little") + bytes(range(16)) + bytes(72))
ENTRY = {
    "recency": b"\0" + message((1, 2), (2, 1), (3, 1700000000000000)),
    "purge": b"\1" + message((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 1), (7, 2), (8, 7), (9, 9), (13, 11)),
    "stats": b"\2" + message((1, 1), (2, 2), (3, 3), (4, 4)),
    "request": b"\3" + HASH + message((1, 1), (2, 2), (3, 1700000000000000), (4, "5"), (5, MESSAGE_RECORD), (5, "")),
    "request_cut": b"\3" + HASH[:-1],
    "request_etag_long": b"\3" + HASH + message((4, "1" * 24)),
    "migration": b"\4" + message(*((number, number) for number in range(1, 22)), (22, "ann"), (23, "c1"), (24, "why")),
    "migration_key_long": b"\4" + message((22, "a" * 512)),
    "migration_error_long": b"\4" + message((24, "a" * 128)),
    "numbers": b"\5" + message((1, 7), (2, 9)),
    "numbers_none": b"\5",
    "marker": b"\6" + MARKER,
    "marker_cut": b"\6" + MARKER[:-1],
    "journal": b"\7" + JOURNAL,
    "journal_cut": b"\7" + JOURNAL[:-2],
    "journal_no_messages": b"\7" + message((1, 5)),
    "journal_messages_first": b"\7" + message((15, MESSAGE_RECORD), (1, 5)),
}

WIRE = {
    "all_types": b"\x08\x96\x01" + b"\x11" + bytes(8) + b"\x1a\x03abc" + b"\x25" + bytes(4),
    "group": b"\x0b\x0c",
    "field_0": b"\x00\x01",
    "long_varint": b"\x08" + b"\xff" * 10 + b"\x01",
    "past_the_end": b"\x0a\xff\xff\xff\xff\x0f",
}

IMPORT = {
    "plain": b'{"user_id":"u","conversation_id":"c","title":"t","metadata":{"k":"v"},"messages":['
             b'{"role":"user","content":"hi"},{"role":"assistant","content":"Gr\xc3\xbc\xc3\x9fe \\ud83d\\ude00"}]}\n',
    "labels": b'{"user_id":"u","conversation_id":"c","messages":[{"role":"user","content":"hi","chatlog":{"message_id":'
              b'"m","author":"a","token_count":4294967295,"sent_time_us":9223372036854775807,"metadata":{"k":"v"}}}],'
              b'"chatlog":{"archived":true,"expire_time_us":1}}',
    "base64": b'{"user_id":"u","conversation_id":"c","messages":[{"role":"user","content_type":"image/png",'
              b'"content_base64":"AP8="},{"role":"","content_type":"application/json","content_base64":"e30="},'
              b'{"role":"a","content_type":"text/plain","content_base64":"/w=="}]}',
    "json": b'{"user_id":"u","conversation_id":"c","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":'
            b'"x","function":{"name":"f","arguments":"{}"}}]},{"type":"reasoning","n":[1,-2.5e300,true,{"a":{}}]},{}]}',
    "two_lines": b'{"user_id":"u","conversation_id":"c","messages":[]}\n\r\n\n'
                 b'{"user_id":"u","conversation_id":"c","messages":[{"role":"u","content":"x"}]}\r\n',
    "nul": b'{"user_id":"u\\u0000","conversation_id":"c","messages":[]}\n{"user_id":"u","conversation_id":"c",'
           b'"messages":[{"role":"r\\u0000","content":"\\u0000"},{"role":"user","content":"\\u0000"}]}',
    "twice": b'{"user_id":"u","user_id":"v","conversation_id":"c","messages":[]}',
    "unknown_member": b'{"user_id":"u","conversation_id":"c","messages":[],"more":1}',
    "wrong_types": b'{"user_id":1,"conversation_id":[],"messages":{}}\n{"user_id":"u","conversation_id":"c","messages":'
                   b'[7]}\n[]\n7\n"u"\nnull',
    "numbers": b'{"user_id":"u","conversation_id":"c","messages":[{"n":1e400}]}\n{"user_id":"u","conversation_id":"c",'
               b'"messages":[{"n":18446744073709551616}]}\n{"user_id":"u","conversation_id":"c","messages":'
               b'[{"n":[-0,0.1,1E5]}]}',
    "not_utf8": b'{"user_id":"\xff","conversation_id":"c","messages":[]}\n\xef\xbb\xbf{}',
    "control": b'{"user_id":"a\\u0085","conversation_id":"c","messages":[]}\n{"user_id":"a","conversation_id":"c",'
               b'"messages":[{"role":"a\\u0007","content":"x"},{"role":"user","content":"a\\n\\u001b[31m\\u009b"}]}',
    "deep": b'{"user_id":"u","conversation_id":"c","messages":[{"x":' + b"[" * 3000 + b"]" * 3000 + b"}]}",
    "cut": b'{"user_id":"u","conversation_id":"c","messages":[{"role":"user","con',
}

HEADER = b'{"alg":"HS256","typ":"JWT","kid":"h"}\n'
CLAIMS = b'"aud":"chatlogd","exp":1700000060,"nbf":1699999999}'
TOKEN = {
    "user": b"\1" + HEADER + b'{"sub":"ann","scope":"history:read history:write",' + CLAIMS,
    "service": b"\1" + HEADER + b'{"scope":"service admin",' + CLAIMS,
    "audiences": b"\1" + HEADER + b'{"sub":"a","scope":"admin","exp":1.7e9,"aud":["x","chatlogd",[],7]}',
    "expired": b"\1" + HEADER + b'{"sub":"ann","scope":"admin","aud":"chatlogd","exp":1}',
    "no_scope": b"\1" + HEADER + b'{"sub":"ann\\u0001",' + CLAIMS,
    "deep": b"\1" + HEADER + b'{"x":' + b"[" * 1000 + b"]" * 1000 + b"," + CLAIMS,
    "alg_none": b'\1{"alg":"none","kid":"h"}\n{"sub":"ann",' + CLAIMS,
    "other_key": b'\1{"alg":"HS256","kid":"e"}\n{"sub":"ann",' + CLAIMS,
    "crit": b'\1{"alg":"HS256","kid":"h","crit":["b64"]}\n{"sub":"ann",' + CLAIMS,
    "cut": b"\2" + HEADER + b'{"sub":"ann","scope":"admin",' + CLAIMS,
    "unsigned": b"\0eyJhbGciOiJub25lIiwia2lkIjoiaCJ9.eyJzdWIiOiJhIn0.",
    "es256": b"\0eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJzdWIiOiJhIn0." + b"A" * 86,
    "es256_short": b"\0eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJzdWIiOiJhIn0.AAAA",
    "dots": b"\0a.b.c",
    "lines": b"\3" + b"1000: user ann\na:ES256:/run/key.pem",
    "lines_bad": b"\3" + b"bot : root\n:HS256:",
}

CONFIG = {
    "small": b"[chatlogd]\ndata-dir = /d\n",
    "all": b"# comment\n[chatlogd]\ndata-dir = /var/lib/chatlogd\nlisten = ipc:///run/c.sock\n"
           b"listen = tcp://0.0.0.0:7311\npeer = 1000: service\npeer = bot: user ann\ntoken-key = a:HS256:/k\n"
           b"token-key = b:ES256:/k.pem\ntoken-audience = app\nmap-size = 2T\ndisk-reserve = 64M\n"
           b"deleted-retention = 36h\nmigrate = hold\nlog-level = debug\nconnections = 5\nqueue-bytes = 1G\n",
    "section": b"[other]\ndata-dir = /d\n",
    "twice": b"[chatlogd]\ndata-dir = /d\ndata-dir = /e\n",
    "open_without_key": b"[chatlogd]\ndata-dir = /d\nlisten = tcp://[::]:1\n",
    "nul": b"[chatlogd]\ndata-dir = /d\0\n",
    "long": b"[chatlogd]\ndata-dir = /" + b"a" * 3000,
    "continued": b"[chatlogd]\ndata-dir = /d\n  more\n\tlisten : ipc:///a ; b\n\xef\xbb\xbf[x",
}


def lz4_sequence(literals, offset=0, match=0):
    """One sequence of an LZ4 block; without a match the last."""
    def length(value):
        return b"" if value < 15 else b"\xff" * ((value - 15) // 255) + bytes([(value - 15) % 255])
    token = min(len(literals), 15) << 4 | (min(match - 4, 15) if match else 0)
    out = bytes([token]) + length(len(literals)) + literals
    return out + (offset.to_bytes(2, "little") + length(match - 4) if match else b"")


def run(count, first_seq, raw_size, block):
    return b"\0" + b"\0\1" + varint(count) + varint(first_seq) + varint(raw_size) + block


RUN_MESSAGES = message((1, message((1, 5), (13, "hello"))), (1, message((1, 6), (13, "hello again"))))
ALIKE = [message((1, message((1, seq), (13, "again and again")))) for seq in (1, 2)]
RUN = {
    "run": run(2, 5, len(RUN_MESSAGES), lz4_sequence(RUN_MESSAGES)),
    "run_with_match": run(2, 1, 2 * len(ALIKE[0]), lz4_sequence(ALIKE[0] + ALIKE[1][:4], len(ALIKE[0]), 10)
                          + lz4_sequence(ALIKE[1][14:])),
    "run_cut": run(2, 5, len(RUN_MESSAGES), lz4_sequence(RUN_MESSAGES))[:-3],
    "run_count_wrong": run(3, 5, len(RUN_MESSAGES), lz4_sequence(RUN_MESSAGES)),
    "run_expanding": run(1, 1, 65536, lz4_sequence(b"\x0a", 1, 65530) + lz4_sequence(b"\x0a\2\x08\1\0")),
    "run_size_huge": run(1, 1, 1 << 63, lz4_sequence(RUN_MESSAGES)),
    "raw": b"\1" + varint(2) + varint(5) + RUN_MESSAGES,
    "raw_not_ascending": b"\1" + varint(2) + varint(2) + ALIKE[1] + ALIKE[0],
}


def main():
    for target, inputs in {"rpc": RPC, "record": RECORD, "keys": KEYS, "wire": WIRE, "run": RUN, "entry": ENTRY,
                           "token": TOKEN, "import": IMPORT,
                           "config": CONFIG}.items():
        folder = os.path.join(HERE, "corpus", target)
        os.makedirs(folder, exist_ok=True)
        for name, data in inputs.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
