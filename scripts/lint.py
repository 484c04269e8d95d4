#!/usr/bin/env python3
"""The house rules that no compiler checks, over every file git knows or would add.

usage: scripts/lint.py            print each finding as FILE:LINE: RULE: TEXT; exit status 1 when there is one
       scripts/lint.py --write    bring the generated blocks of the documents up to date

A rule is a function that takes the tree, a dict from path to text, and yields (path, line, text). RULES lists them
all; scripts/lint_test.py shows each of them a tree that breaks it.
"""
import ast
import fnmatch
import itertools
import posixpath
import re
import subprocess
import sys

MAX_FUNCTION_LINES = 70
MAX_COLUMNS = 120

# Written in two parts so that this file does not break its own rules.
LEFTOVERS = re.compile(r"\b(" + "|".join(("FIX" "ME", "TO" "DO", "X" "XX")) + r")\b")
REGISTRY_HOSTS = re.compile("|".join(r"\.".join(words) for words in (
    ("npmjs", "(org|com)"), ("yarnpkg", "com"), ("pypi", "(org|python)"), ("pythonhosted", "org"), ("crates", "io"),
    ("(deb|security|snapshot|ftp)", "debian", "org"), ("proxy", "golang", "org"), ("maven", "(org|apache)"))))

LIBC = re.compile(r"""<(sys|linux|netinet|arpa|net|bits)/[\w/]+\.h>|<(%s)\.h>""" % "|".join("""
    assert complex ctype dirent dlfcn endian errno fcntl fenv float fnmatch ftw getopt glob grp inttypes iso646
    langinfo libgen limits link locale malloc math mntent netdb poll pthread pwd regex sched semaphore setjmp signal
    spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings sysexits syslog
    termios threads time uchar ucontext unistd utime wchar wctype""".split()))
GENERATED = r'"(chatlog/v1|grpc/health/v1)/\w+\.pb-c\.h"|"descriptor_set\.h"|<protobuf-c/protobuf-c\.h>'
LIMITS = r'"chatlog_limits\.h"'
BASE = r'"base/\w+\.h"'
STORE = r'"store/store\.h"'
PUBLIC = r'"chatlog\.h"|' + LIMITS
TEST = r'"support/\w+\.h"|<cmocka\.h>'

# Who may include whom, besides the C library: the first row whose pattern a path matches holds.
INCLUDES = [(re.compile(path), re.compile("|".join(allowed))) for path, *allowed in [
    (r"daemon/base/log_journal\.c$", BASE, r"<systemd/sd-journal\.h>"),
    (r"daemon/base/log_json\.c$", BASE, r"<utf8proc\.h>"),
    (r"daemon/base/", BASE, LIMITS),
    (r"daemon/auth/", BASE, LIMITS, r'"auth/\w+\.h"', r"<(jwt|jansson|utf8proc)\.h>", r"<openssl/\w+\.h>"),
    (r"daemon/store/lmdb/", BASE, LIMITS, r'"store/[\w/]+\.h"', r"<(jansson|lmdb|lz4|lz4hc|xxhash)\.h>"),
    (r"daemon/store/", BASE, LIMITS, r'"store/\w+\.h"'),
    (r"daemon/history/", BASE, LIMITS, GENERATED, STORE, r'"history/\w+\.h"', r'"auth/scope\.h"',
     r"<openssl/(crypto|hmac)\.h>", r"<xxhash\.h>"),
    (r"daemon/rpc/", BASE, LIMITS, GENERATED, STORE, r'"(auth|history|rpc)/\w+\.h"', r"<(xxhash|utf8proc)\.h>"),
    (r"daemon/server\w*\.[ch]$", BASE, LIMITS, r'"rpc/\w+\.h"', r'"auth/(authority|session)\.h"',
     r'"server\w*\.h"', r"<nng/[\w/]+\.h>"),
    (r"daemon/metrics/", BASE, LIMITS, STORE, r'"(metrics/\w+|rpc/rpc|server|server_url)\.h"', r"<microhttpd\.h>"),
    (r"daemon/config\w*\.[ch]$", BASE, LIMITS, r'"(config\w*|server_url)\.h"',
     r'"auth/(peer_map|token_keys)\.h"', r"<ini\.h>"),
    (r"daemon/main\.c$", BASE, LIMITS, STORE, r'"auth/\w+\.h"',
     r'"(rpc/rpc|metrics/metrics_http|server|config|\w+_command|supervisor|token_reload)\.h"'),
    (r"daemon/token_reload\.[ch]$", BASE, LIMITS, STORE, r'"(auth/authority|token_reload)\.h"'),
    (r"daemon/supervisor\w*\.[ch]$", BASE, GENERATED, STORE, r'"(supervisor\w*|server_(frame|url))\.h"',
     r"<systemd/sd-daemon\.h>"),
    (r"daemon/\w+_command\.[ch]$", BASE, LIMITS, r'"(store/maintenance|config|\w+_command)\.h"'),
    (r"proto/", LIMITS, r'"descriptor_set\.h"'),
    (r"client/include/",),
    (r"client/lib/", PUBLIC, GENERATED, r'"(lib/)?\w+\.h"'),
    (r"client/cli/command_top\.c$", PUBLIC, r'"cli/\w+\.h"', r"<ncurses\.h>"),
    (r"client/cli/", PUBLIC, r'"cli/\w+\.h"', r"<(jansson|jwt|xxhash|utf8proc)\.h>"),
    (r"client/example/", r"<chatlog\.h>"),
    (r"tests/unit/", TEST, BASE, LIMITS, GENERATED, r'"(auth|store|history|rpc|metrics)/[\w/]+\.h"',
     r'"(config|server|supervisor|token_reload)\w*\.h"', r"<(lmdb|lz4|lz4hc)\.h>"),
    (r"tests/store/", TEST, BASE, LIMITS, GENERATED, STORE, r'"store/maintenance\.h"'),
    (r"tests/support/lmdb_file\.[ch]$", TEST, BASE, r"<lmdb\.h>"),
    (r"tests/support/", TEST, PUBLIC, BASE, GENERATED, STORE, r'"(rpc/rpc|auth/session)\.h"',
      r"<openssl/\w+\.h>"),
    (r"tests/bench/", TEST, PUBLIC, GENERATED, r'"bench/\w+\.h"',
     r"<(hiredis/hiredis|jansson|libpq-fe|lmdb|sqlite3|nng/[\w/]+)\.h>"),
    (r"tests/golden/", TEST, PUBLIC, BASE, GENERATED, STORE, r'"golden/\w+\.h"'),
    (r"tests/fault/shim/", r'"fault/shim/\w+\.h"', r"<lmdb\.h>"),
    (r"tests/fault/hold_reader\.c$", r"<lmdb\.h>"),
    (r"tests/fault/older\.h$", r'"store/lmdb/marker\.h"'),
    (r"tests/fault/flip\.c$", TEST, LIMITS, r'"fault/\w+\.h"', r'"store/maintenance\.h"', r"<(jansson|xxhash)\.h>"),
    (r"tests/fault/", TEST, PUBLIC, LIMITS, GENERATED, r'"fault/[\w/]+\.h"', r'"store/maintenance\.h"'),
    (r"tests/migration/", TEST, PUBLIC, BASE, GENERATED, r'"store/\w+\.h"'),
    (r"tests/system/", r"<lmdb\.h>"),
    (r"tests/fuzz/", TEST, BASE, LIMITS, GENERATED, r'"fuzz/fuzz\.h"', r'"(auth|store|history|rpc)/[\w/]+\.h"',
     r'"(config|cli/\w+)\.h"', r"<xxhash\.h>"),
    (r"tests/identity/", TEST, PUBLIC, BASE, GENERATED, r'"(auth|history|identity)/\w+\.h"'),
    (r"tests/integration/", TEST, PUBLIC, r'"\w+\.h"'),
]]

# Whose names may be used where, and how to say it.
LIBRARIES = [
    (re.compile(r"\b(mdb_\w+|MDB_\w+)\b"),
     re.compile(r"daemon/store/lmdb/|tests/unit/|tests/support/lmdb_file\.|tests/fault/shim/store\.|"
                r"tests/bench/lmdb_journal\.c$|tests/system/hold_writer\.c|tests/fault/hold_reader\.c"),
     "LMDB is for daemon/store/lmdb only"),
    # "nng_version" alone is a field of ours; with "(" it is nng's function.
    (re.compile(r"\b(nng_version\s*\(|(?!nng_version\b)nng_\w+|NNG_\w+)"),
     re.compile(r"daemon/server(_\w+\.[ch]|\.c)$|tests/bench/nng_echo\.c$"),
     "nng is for the daemon's server only"),
    (re.compile(r"\bsd_(?!journal)\w+\s*\("), re.compile(r"daemon/supervisor\.c$"),
     "libsystemd's notify is for daemon/supervisor.c only"),
    (re.compile(r"\bsd_journal_\w+"), re.compile(r"daemon/base/log_journal\.c$"),
     "the journal is for daemon/base/log_journal.c only"),
    (re.compile(r"\b(initscr|newterm|endwin|mvaddn?str)\b"), re.compile(r"client/cli/command_top\.c$"),
     "ncurses is for client/cli/command_top.c only"),
    (re.compile(r"\bMHD_\w+"), re.compile(r"daemon/metrics/metrics_http\.c$"),
     "libmicrohttpd is for daemon/metrics/metrics_http.c only"),
    (re.compile(r"\bjwt_\w+"), re.compile(r"daemon/auth/token\.c|client/cli/command_token\.c"),
     "libjwt is for daemon/auth/token.c and what makes tokens"),
]


def c_files(tree):
    return [(path, text) for path, text in tree.items() if path.endswith((".c", ".h"))]


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def c_code(text):
    """The text with comments and literals blanked out, so that every offset stays where it was."""
    return re.sub(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", blank, text, flags=re.DOTALL)


def c_functions(text):
    """Yields (first line, last line) of each function, as clang-format lays them out: braces in column 0."""
    lines = c_code(text).split("\n")
    begin = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            begin = number
            while begin > 1 and re.search(r"[^\s;}]$", lines[begin - 2]) and not lines[begin - 2].startswith("#"):
                begin -= 1
        elif line == "}" and begin:
            yield begin, number
            begin = None


def shell_functions(text):
    begin = None
    for number, line in enumerate(text.split("\n"), 1):
        if re.fullmatch(r"\w+\(\) [{(]", line):
            begin = number
        elif line in ("}", ")") and begin:
            yield begin, number
            begin = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


def functions(path, text):
    if path.endswith((".c", ".h")):
        return c_functions(text)
    if path.endswith(".py"):
        return python_functions(text)
    return shell_functions(text) if text.startswith("#!/usr/bin/env bash") else ()


def long_function(tree):
    for path, text in tree.items():
        for begin, end in functions(path, text):
            if end - begin + 1 > MAX_FUNCTION_LINES:
                yield path, begin, f"a function of {end - begin + 1} lines; at most {MAX_FUNCTION_LINES}"


def includes(text):
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(<[^>\n]*>|"[^"\n]*")', text, re.MULTILINE):
        yield line_of(text, match.start(1)), match.group(1)


def forbidden_include(tree):
    for path, text in c_files(tree):
        allowed = next((allowed for place, allowed in INCLUDES if place.match(path)), None)
        if allowed is None:
            yield path, 1, "INCLUDES in scripts/lint.py has no row for this place"
            continue
        for line, name in includes(text):
            if not LIBC.fullmatch(name) and not (allowed.pattern and allowed.fullmatch(name)):
                yield path, line, f"{name} may not be included here"


def included_source(tree):
    for path, text in c_files(tree):
        for line, name in includes(text):
            if name.endswith(('.c"', ".c>")):
                yield path, line, f"{name}: include headers, link sources"


def library_out_of_place(tree):
    for path, text in c_files(tree):
        code = c_code(re.sub(r"^[ \t]*#[ \t]*include.*", blank, text, flags=re.MULTILINE))
        for names, place, words in LIBRARIES:
            match = names.search(code)
            if match and not place.match(path):
                yield path, line_of(text, match.start()), f"{match.group(1)}: {words}"


def leftover(tree):
    for path, text in tree.items():
        for match in LEFTOVERS.finditer(text):
            yield path, line_of(text, match.start()), f"{match.group()} left over"


def dead_code(tree):
    for path, text in c_files(tree):
        for match in re.finditer(r"^[ \t]*#[ \t]*if[ \t]+0\b", text, re.MULTILINE):
            yield path, line_of(text, match.start()), "#if 0: remove what is not used"


def struct_typedef(tree):
    for path, text in c_files(tree):
        for match in re.finditer(r"\btypedef\s+(struct|union|enum)\b", c_code(text)):
            yield path, line_of(text, match.start()), f"typedef of a {match.group(1)}: say its kind where it is used"


def no_opening(tree):
    """A .c file may leave that to its header."""
    for path, text in c_files(tree):
        described = text.startswith("/*") or path.endswith(".c") and path[:-1] + "h" in tree
        if not described:
            yield path, 1, "begin with a comment that says what this file is for"


def wide_line(tree):
    for path, text in tree.items():
        if path.endswith((".jsonl", ".json", "LICENSE")):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > MAX_COLUMNS and not (path.endswith(".md") and line.startswith("|")):
                yield path, number, f"{len(line)} columns; at most {MAX_COLUMNS}"


def blank_space(tree):
    for path, text in tree.items():
        for match in re.finditer(r"[ \t\r]+$", text, re.MULTILINE):
            yield path, line_of(text, match.start()), "white space at the end of the line"
        if text and not text.endswith("\n"):
            yield path, line_of(text, len(text)), "no newline at the end of the file"
        if path.endswith((".c", ".h", ".py", ".sh", ".proto", "CMakeLists.txt")) and "\t" in text:
            yield path, line_of(text, text.index("\t")), "a tab: indent with spaces"


def unregistered_test(tree):
    for path, text in tree.items():
        folder, name = posixpath.split(path)
        is_test = re.fullmatch(r"test_\w+\.(c|py)", name)
        if re.fullmatch(r"fuzz_\w+\.c", name) and folder != "tests/fuzz":
            yield path, 1, "tests/fuzz/CMakeLists.txt does not find a fuzz target here"
        if re.fullmatch(r"tests/(unit|store|integration)/.+\.c", path) and not is_test:
            yield path, 1, "tests/CMakeLists.txt takes only test_*.c from here; helpers go to tests/support"
        is_found = re.fullmatch(r"tests/((unit|store|integration|identity|migration)/\w+\.c|"
                                r"(cli|migration|fault|system)/\w+\.py|languages/test_languages\.py)", path)
        if is_test and not is_found:
            yield path, 1, "tests/CMakeLists.txt does not find a test here"
        is_python = re.fullmatch(r"tests/(cli|migration|fault|system|languages)", folder) and name.endswith(".py")
        if is_python and not is_test and "    def test_" in text:
            yield path, 1, "CMakeLists.txt takes only test_*.py from here"
        for match in re.finditer(r"^(?:static )?void (\w+)\(void \*\*\w+\)\n\{", text, re.MULTILINE):
            if len(re.findall(rf"\b{match.group(1)}\b", text)) == 1:
                yield path, line_of(text, match.start()), f"{match.group(1)} is never run"


def registry_host(tree):
    for path, text in tree.items():
        for match in REGISTRY_HOSTS.finditer(text):
            yield path, line_of(text, match.start()), f"{match.group()}: name no registry's host"


def missing_path(tree):
    """Links of Markdown files, and the places of the tree that they name (with * for any name)."""
    for path, text in tree.items():
        if not path.endswith(".md"):
            continue
        link = r"\]\((?!\w+:|#)(?P<link>[^)#\s]+)[^)]*\)"
        place = r"(?<![\w/.])(?P<place>(?:client|daemon|proto|scripts|systemd|tests)/[\w./*-]*[\w*])"
        for match in re.finditer(f"{link}|{place}", text):
            folder = posixpath.dirname(path) if match.group("link") else ""
            target = posixpath.normpath(posixpath.join(folder, match.group("link") or match.group("place")))
            if not fnmatch.filter(tree, target) and not fnmatch.filter(tree, target + "/*"):
                yield path, line_of(text, match.start()), f"{target} does not exist"


def number_words(expression):
    """4 * CHATLOG_MIB -> 4 MiB, 100000 -> 100,000"""
    match = re.fullmatch(r"(\d+)(?: \* CHATLOG_([KM])IB)?", expression.strip())
    unit = f" {match.group(2)}iB" if match.group(2) else ""
    return f"{int(match.group(1)):,}{unit}"


def macro_rows(text, columns):
    """The rows X(word, word, "text") of a list macro."""
    cell = r"\s*([^,()\"]+?)\s*,"
    return re.findall(r"\bX\(" + cell * (columns - 1) + r'\s*"((?:[^"\\]|\\.)*)"\)', text)


def reasons_block(tree):
    rows = macro_rows(tree.get("daemon/base/error.h", ""), 3)
    return ["| Reason | Code | Meaning |", "|---|---|---|"] + [
        f"| `{reason}` | {code} | {meaning} |" for reason, code, meaning in rows]


def limits_block(tree):
    rows = macro_rows(tree.get("proto/chatlog_limits.h", ""), 4)
    return ["| Limit | Default | At most | What it limits |", "|---|---|---|---|"] + [
        f"| `{name}` | {number_words(value)} | {'fixed' if cap == value else number_words(cap)} | {meaning} |"
        for name, value, cap, meaning in rows]


METRICS_LIST = "daemon/metrics/metrics_list.h"


def metrics_rows(tree):
    """(name, type, labels, help) of every metric; what stands for a unit is no label."""
    for name, kind, labels, text in macro_rows(tree.get(METRICS_LIST, ""), 4):
        words = [] if labels in ("one", "seconds", "none") else labels.split()
        yield "chatlogd_" + name, kind, words, text


def events_block(tree):
    rows = macro_rows(tree.get("daemon/base/log.h", ""), 3)
    return ["| Event | MESSAGE_ID | When |", "|---|---|---|"] + [
        f"| `{name.lower()}` | `{number}` | {meaning} |" for name, number, meaning in rows]


def metrics_block(tree):
    return ["| Metric | Type | Labels | Meaning |", "|---|---|---|---|"] + [
        f"| `{name}` | {kind} | {', '.join(labels)} | {text} |" for name, kind, labels, text in metrics_rows(tree)]


def unknown_metric(tree):
    """What dashboards and documents call a metric must be one."""
    known = {name + suffix for name, kind, _, _ in metrics_rows(tree)
             for suffix in (("_bucket", "_sum", "_count", "") if kind == "histogram" else ("",))}
    for path, text in tree.items():
        if re.fullmatch(r"systemd/.*\.json|README\.md|docs/.*\.md", path):
            for match in re.finditer(r"\bchatlogd_[a-z_]+", text):
                if match.group() not in known:
                    yield path, line_of(text, match.start()), f"{match.group()}: {METRICS_LIST} has no such metric"


def example_block(tree, path="client/example/example.c", language="c"):
    return ["```" + language] + tree.get(path, "").rstrip("\n").split("\n") + ["```"]


def python_block(tree):
    return example_block(tree, "client/example/python/example.py", "python")


def typescript_block(tree):
    return example_block(tree, "client/example/typescript/example.ts", "typescript")


REFERENCE = "docs/reference.md"

# Generated block -> the document it is in, and what it is made from.
BLOCKS = {"reasons": (REFERENCE, reasons_block), "limits": (REFERENCE, limits_block),
          "events": (REFERENCE, events_block), "metrics": (REFERENCE, metrics_block),
          "example": ("README.md", example_block), "python": ("README.md", python_block),
          "typescript": ("README.md", typescript_block)}


def documents_with_blocks(tree):
    """Returns the documents with their blocks as they should be, and (document, name) of blocks that are missing."""
    fresh = {path: tree.get(path, "") for path, _ in BLOCKS.values()}
    missing = []
    for name, (path, make) in BLOCKS.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, found_begin, rest = fresh[path].partition(begin)
        _, found_end, after = rest.partition(end)
        if found_begin and found_end:
            fresh[path] = before + begin + "\n".join(make(tree)) + "\n" + end + after
        else:
            missing.append((path, name))
    return fresh, missing


def stale_block(tree):
    fresh, missing = documents_with_blocks(tree)
    for path, name in missing:
        yield path, 1, f"no lines <!-- {name} --> and <!-- /{name} -->"
    for path, text in fresh.items():
        lines = itertools.zip_longest(tree.get(path, "").split("\n"), text.split("\n"))
        for number, (is_now, should_be) in enumerate(lines, 1):
            if is_now != should_be:
                yield path, number, f"should be: {should_be} (scripts/lint.py --write mends it)"
                break


RULES = [
    long_function, forbidden_include, included_source, library_out_of_place, leftover, dead_code, struct_typedef,
    no_opening, wide_line, blank_space, unregistered_test, registry_host, missing_path, unknown_metric, stale_block,
]


def check(tree):
    for rule in RULES:
        for path, line, text in rule(tree):
            yield f"{path}:{line}: {rule.__name__}: {text}"


def read_tree():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            check=True, capture_output=True, text=True).stdout
    tree = {}
    for path in sorted(set(listed.split("\0")) - {""}):
        if path.startswith("tests/fuzz/corpus/"):
            continue
        try:
            with open(path, encoding="utf-8", newline="") as file:
                tree[path] = file.read()
        except (FileNotFoundError, UnicodeDecodeError):
            continue  # removed but not yet committed; or binary
    return tree


def main(arguments):
    tree = read_tree()
    if arguments == ["--write"]:
        for path, text in documents_with_blocks(tree)[0].items():
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(text)
        return 0
    if arguments:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 64
    findings = list(check(tree))
    print("\n".join(findings), end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
