#!/usr/bin/env python3
"""Shows each rule of scripts/lint.py a tree that breaks it and one that does not. A rule without both is an error."""
import unittest

import lint

FUNCTION = "/* A file. */\nint many_lines(int a,\n               int b)\n{\n%s}\n"
REFERENCE = """# x
<!-- reasons -->
| Reason | Code | Meaning |
|---|---|---|
| `QUEUE_FULL` | RESOURCE_EXHAUSTED | too many; retry |
<!-- /reasons -->
<!-- limits -->
| Limit | Default | At most | What it limits |
|---|---|---|---|
| `message_bytes` | 4 MiB | 64 MiB | a message's content |
| `timeout_ms` | 600,000 | fixed | milliseconds a request may wait |
<!-- /limits -->
<!-- events -->
| Event | MESSAGE_ID | When |
|---|---|---|
| `start` | `0a` | it starts |
<!-- /events -->
<!-- metrics -->
| Metric | Type | Labels | Meaning |
|---|---|---|---|
| `chatlogd_users` | gauge |  | Users. |
| `chatlogd_requests_total` | counter | method, code | Requests. |
<!-- /metrics -->
"""
README = """# x
<!-- example -->
```c
/* Example. */
int main(void);
```
<!-- /example -->
<!-- python -->
```python
import asyncio
```
<!-- /python -->
<!-- typescript -->
```typescript
const a = 1;
```
<!-- /typescript -->
"""
SOURCES = {
    "daemon/base/error.h": '#define ERROR_REASONS(X) \\\n    X(QUEUE_FULL, RESOURCE_EXHAUSTED, "too many; retry")\n',
    "proto/chatlog_limits.h": (
        "/* A row: X(name, default, hard cap, meaning). */\n"
        '    X(message_bytes, 4 * CHATLOG_MIB, 64 * CHATLOG_MIB, "a message\'s content") \\\n'
        '    X(timeout_ms, 600000, 600000, "milliseconds a request may wait")\n'),
    "daemon/base/log.h": '    X(START, 0a, "it starts")\n',
    "daemon/metrics/metrics_list.h": (
        "/* X(name, type, unit, help) */\n"
        '    X(users, gauge, one, "Users.") \\\n    X(requests_total, counter, method code, "Requests.")\n'),
    "client/example/example.c": "/* Example. */\nint main(void);\n",
    "client/example/python/example.py": "import asyncio\n",
    "client/example/typescript/example.ts": "const a = 1;\n",
}


def includes(path, *names):
    return {path: "/* A file. */\n" + "".join(f"#include {name}\n" for name in names)}


def documents(old="", new=""):
    return {"README.md": README.replace(old, new), "docs/reference.md": REFERENCE.replace(old, new), **SOURCES}


# Rule -> (trees it must find exactly one fault in, trees it must find none in).
CASES = {
    "long_function": (
        [{"a.c": FUNCTION % ("    a++;\n" * 67)},
         {"a.c": FUNCTION % ("    a++; /*\n}\n*/\n" * 24)},
         {"a.py": "def f():\n" + "    pass\n" * 70},
         {"a.sh": "#!/usr/bin/env bash\nf() {\n" + "    :\n" * 69 + "}\n"}],
        [{"a.c": FUNCTION % ("    a++;\n" * 66)},
         {"a.c": "static const int table[] = {\n" + "    1,\n" * 200 + "};\n"},
         {"a.py": "def f():\n" + "    pass\n" * 69},
         {"a.sh": "#!/usr/bin/env bash\nf() {\n" + "    :\n" * 68 + "}\n"}]),
    "forbidden_include": (
        [includes("daemon/base/a.c", '"store/store.h"'),
         includes("daemon/base/a.c", "<lmdb.h>"),
         includes("daemon/store/a.c", "<lmdb.h>"),
         includes("daemon/store/a.c", '"history/call.h"'),
         includes("daemon/store/lmdb/a.c", '"chatlog/v1/message.pb-c.h"'),
         includes("daemon/history/a.c", '"store/lmdb/keys.h"'),
         includes("daemon/history/a.c", '"rpc/rpc.h"'),
         includes("daemon/rpc/a.c", '"server.h"'),
         includes("daemon/rpc/a.c", "<nng/nng.h>"),
         includes("daemon/server.c", '"store/store.h"'),
         includes("daemon/server_pipe.c", '"history/call.h"'),
         includes("daemon/config.c", '"rpc/rpc.h"'),
         includes("daemon/main.c", "<nng/nng.h>"),
         includes("daemon/other.c", "<stdio.h>"),
         includes("client/include/chatlog.h", '"chatlog/v1/message.pb-c.h"'),
         includes("client/lib/a.c", '"base/span.h"'),
         includes("client/lib/a.c", '"cli/json.h"'),
         includes("client/lib/a.c", "<jansson.h>"),
         includes("client/cli/a.c", "<nng/nng.h>"),
         includes("client/lib/a.c", "<nng/nng.h>"),
         includes("client/cli/a.c", '"lib/call.h"'),
         includes("client/example/example.c", "<jansson.h>"),
         includes("client/example/example.c", '"chatlog_limits.h"'),
         includes("tests/store/test_a.c", "<lmdb.h>"),
         includes("tests/integration/test_a.c", '"store/store.h"')],
        [includes("daemon/base/a.c", "<stdio.h>", "<sys/stat.h>", '"base/span.h"', '"chatlog_limits.h"'),
         includes("daemon/store/lmdb/a.c", "<lmdb.h>", '"store/store.h"', '"store/lmdb/layouts/layout_1.h"'),
         includes("daemon/rpc/a.c", '"history/call.h"', '"chatlog/v1/envelope.pb-c.h"', '"store/store.h"'),
         includes("daemon/server.c", "<nng/protocol/reqrep0/rep.h>", '"rpc/rpc.h"', '"base/log.h"'),
         includes("daemon/main.c", '"rpc/rpc.h"', '"server.h"', '"config.h"', '"store/store.h"'),
         includes("client/lib/a.c", '"chatlog.h"', '"chatlog/v1/message.pb-c.h"'),
         includes("client/cli/a.c", "<jansson.h>", '"chatlog.h"', '"cli/printer.h"'),
         includes("tests/store/test_a.c", "<cmocka.h>", '"support/directory.h"', '"store/store.h"')]),
    "included_source": (
        [includes("tests/unit/test_a.c", '"rpc/rpc.c"')],
        [includes("tests/unit/test_a.c", '"rpc/rpc.h"')]),
    "library_out_of_place": (
        [{"daemon/history/a.c": "MDB_txn *txn;\n"},
         {"daemon/store/a.c": "    mdb_txn_abort(txn);\n"},
         {"daemon/rpc/a.c": "    nng_msg_free(message);\n"},
         {"daemon/main.c": "    log(nng_version());\n"},
         {"daemon/server.h": "nng_socket socket;\n"},
         {"client/cli/a.c": "    return NNG_ECLOSED;\n"}],
        [{"daemon/store/lmdb/a.c": "    mdb_txn_abort(txn);\n"},
         {"daemon/server_internal.h": "nng_socket socket;\n"},
         {"daemon/server.c": '#include "nng_like.h"\n    nng_close(socket);\n'},
         {"daemon/main.c": '#include "nng_like.h"\nconfig.nng_version = "nng_msg"; /* nng_close() */\n'}]),
    "leftover": (
        [{"a.c": "/* TO" "DO: more */\n"}, {"a.md": "FIX" "ME\n"}, {"a.sh": "# XX" "X\n"}],
        [{"a.sh": "mktemp a.XXXXXX\n", "a.c": "int todos;\n"}]),
    "dead_code": ([{"a.c": "#if 0\n#endif\n"}], [{"a.c": "#if 01 + 1\n#endif\n#ifdef A\n#endif\n"}]),
    "struct_typedef": (
        [{"a.h": "typedef struct a a_t;\n"}, {"a.c": "typedef enum\n{ A } a;\n"}],
        [{"a.h": "typedef int (*compare)(struct a *a);\n/* typedef struct */\n"}]),
    "no_opening": (
        [{"a.c": "#include <stdio.h>\n"}, {"a.h": "int a;\n", "a.c": "int a;\n"}],
        [{"a.c": "/* Reads. */\n#include <stdio.h>\n", "b.py": "1\n"}, {"a.h": "/* Reads. */\n", "a.c": "int a;\n"}]),
    "wide_line": (
        [{"a.c": "x" * 121 + "\n"}, {"a.md": "x" * 121 + "\n"}],
        [{"a.c": "ü" * 120 + "\n", "a.md": "|" * 200 + "\n", "a.jsonl": "x" * 200 + "\n"}]),
    "blank_space": (
        [{"a.md": "a \nb\n"}, {"a.c": "a\r\n"}, {"a.c": "a"}, {"a.py": "if 1:\n\tb\n"}],
        [{"a.c": "a\n\n    b\n", "empty": ""}]),
    "unregistered_test": (
        [{"tests/unit/codec.c": ""}, {"tests/unit/deep/test_a.c": ""}, {"tests/fault/test_a.c": ""},
         {"daemon/fuzz_a.c": ""},
         {"tests/cli/import.py": "class A(unittest.TestCase):\n    def test_it(self):\n        pass\n"},
         {"tests/unit/test_a.c": "static void never_run(void **state)\n{\n}\n"}],
        [{"tests/unit/test_a.c": "static void it_runs(void **state)\n{\n}\nint main(void)\n{\n    x(it_runs);\n}\n"},
         {"tests/cli/test_a.py": "class A(unittest.TestCase):\n    def test_it(self):\n        pass\n"},
         {"tests/fault/test_a.py": "class A(unittest.TestCase):\n    def test_it(self):\n        pass\n"},
         {"tests/cli/daemon.py": "class A(unittest.TestCase):\n    pass\n", "tests/support/a.c": ""}]),
    "registry_host": (
        [{"a.sh": "curl https://registry.npm" "js.org/x\n"}, {"b.md": "see py" "pi.org\n"}],
        [{"a.md": "https://nng.nanomsg.org and npm\n"}]),
    "missing_path": (
        [{"README.md": "[a](ARCHITECTURE.md)\n"}, {"docs/a.md": "[a](b.md#there)\n", "b.md": "\n"},
         {"a.md": "| what | daemon/base/a.h, and daemon/base/b.h |\n", "daemon/base/a.h": ""},
         {"a.md": "see daemon/rpc/*.c\n", "daemon/base/a.c": ""}],
        [{"README.md": "[a](docs/b.md#there), [b](docs), [c](#here), [d](https://a.org/x)\n", "docs/b.md": "\n"},
         {"a.md": "see daemon/*/a.c, daemon/base/a.c; other/place. (build/proto/x)\n", "daemon/base/a.c": ""}]),
    "unknown_metric": (
        [{**SOURCES, "systemd/a.json": "rate(chatlogd_requests[1m])\n"},
         {**SOURCES, "README.md": "`chatlogd_users_bucket`\n"}],
        [{**SOURCES, "systemd/a.json": "rate(chatlogd_requests_total[1m])\n", "README.md": "chatlogd_users\n"},
         {**SOURCES, "daemon/a.c": "chatlogd_other\n"}]),
    "stale_block": (
        [documents("too many; retry", "too many"), documents("RESOURCE_", "RESOURCES_"), documents("4 MiB", "8 MiB"),
         documents("| `timeout_ms` | 600,000 | fixed | milliseconds a request may wait |\n"),
         documents("fixed", "600,000"), documents("int main(void);\n"), documents("| counter", "| gauge"),
         documents("`0a`", "`0b`"), documents("<!-- /limits -->\n")],
        [documents()]),
}


class RulesTest(unittest.TestCase):
    def test_every_rule_has_cases(self):
        self.assertEqual(sorted(rule.__name__ for rule in lint.RULES), sorted(CASES))

    def test_rules_find_what_breaks_them(self):
        for rule in lint.RULES:
            for tree in CASES[rule.__name__][0]:
                with self.subTest(rule=rule.__name__, tree=tree):
                    self.assertEqual(1, len(list(rule(tree))))

    def test_rules_let_the_rest_pass(self):
        for rule in lint.RULES:
            for tree in CASES[rule.__name__][1]:
                with self.subTest(rule=rule.__name__, tree=tree):
                    self.assertEqual([], list(rule(tree)))

    def test_write_mends_the_documents(self):
        fresh, missing = lint.documents_with_blocks(documents("4 MiB", "8 MiB"))
        self.assertEqual(({"README.md": README, "docs/reference.md": REFERENCE}, []), (fresh, missing))


if __name__ == "__main__":
    unittest.main()
