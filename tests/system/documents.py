"""The commands that the documents tell people to type: whoever writes one down has it run by a test.

In Markdown they are the lines that are indented by four blanks, in man pages what is literal under EXAMPLES. A block
under a line "<!-- as root -->" ("; as root" in man pages) is for root on a machine with systemd: boot.py runs those, in
their order, test_documents.py all others. What is no command (programs, settings, drawings) has a fence that says so.
"""

import dataclasses
import glob
import re

MARKDOWN = ("README.md", "docs/*.md")
PAGES = ("packaging/man/*.scd*",)


@dataclasses.dataclass
class Command:
    """What one types, and where it is written."""
    path: str
    line: int
    text: str
    as_root: bool

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


def document_paths(source, patterns=MARKDOWN + PAGES):
    return [path for pattern in patterns for path in sorted(glob.glob(f"{source}/{pattern}"))]


def command_lines(path, text):
    """Yields (line number, line or None where a block ends, as root) of what is written down to be typed."""
    fence, section, as_root = None, "", False
    for number, line in enumerate(text.split("\n"), 1):
        mark = re.match(r"```(\w*)$", line)
        if mark:
            fence = None if fence is not None else mark.group(1)
            yield number, None, as_root
        elif path.endswith(".md"):
            typed = fence is None and line.startswith("    ")
            yield number, line[4:] if typed else None, as_root
        else:
            yield number, line if fence is not None and section == "EXAMPLES" else None, as_root
        if line.startswith("# ") and fence is None:
            section = line[2:]
        if line in ("<!-- as root -->", "; as root"):
            as_root = True
        elif line and not mark and fence is None and not line.startswith("    "):
            as_root = False


def document_commands(source):
    """Every command of every document, in order. A line that ends in a backslash goes on in the next one."""
    commands = []
    for path in document_paths(source):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        name, continued = path[len(source) + 1:], False
        for number, line, as_root in command_lines(path, text):
            if line is None:
                continued = False
            elif continued:
                commands[-1].text += "\n" + line
            else:
                commands.append(Command(name, number, line, as_root))
            continued = line is not None and line.endswith("\\")
    return commands


def document_fences(source):
    """Every fenced block of Markdown: (path, line, language, text)."""
    for path in document_paths(source, MARKDOWN):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in re.finditer(r"(?ms)^```(\w*)\n(.*?)^```$", text):
            yield path[len(source) + 1:], text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def inline_commands(source):
    """What is written within a sentence and begins like a command of ours: (path, words)."""
    for path in document_paths(source, MARKDOWN):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"(?ms)^```.*?^```$", "", file.read())
        for match in re.finditer(r"`((?:\./dev|chatlogd?) [^`]+)`", text):
            yield path[len(source) + 1:], match.group(1).split()
