"""Reads a public header of libduplex into what its manual pages say: its opening comment, its sections, and its declarations with their comments.

A comment stands for all declarations below it up to the next blank line; a comment behind a declaration, in its line, is that one's own.
"""
import dataclasses
import re
import textwrap

NAME = re.compile(r"\b(dx_\w+)\s*\(")


@dataclasses.dataclass
class Declaration:
    kind: str  # function, inline, macro, type
    names: list  # what it declares, the first is its own
    text: str  # as it is written, without what is the compiler's only
    comment: str = ""  # its own


@dataclasses.dataclass
class Group:
    comment: str
    declarations: list


@dataclasses.dataclass
class Section:
    title: str
    groups: list

    def declarations(self):
        return [d for g in self.groups for d in g.declarations]


@dataclasses.dataclass
class Header:
    path: str  # "duplex/client.h"
    opening: str
    sections: list


def comment_text(raw):
    lines = raw.strip()[2:-2].splitlines()
    lines = [re.sub(r"^\s*\*? ?", "", lines[0])] + [re.sub(r"^\s*\* ?", "", line) if line.lstrip().startswith("*") else line.strip() for line in lines[1:]]
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def take(text, at):
    """The end of the declaration that begins at `at`."""
    if text.startswith("#", at):
        end = re.compile(r"(?<!\\)\n").search(text, at)
        return end.start() if end else len(text)
    depth = 0
    for found in re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|[{};]", re.S).finditer(text, at):
        if found.group() == "{":
            depth += 1
        elif found.group() == "}":
            depth -= 1
            if depth == 0 and text.startswith("static inline", at):
                return found.end()
        elif found.group() == ";" and depth == 0:
            return found.end()
    return len(text)


def declaration(text):
    if text.startswith("#define"):
        name, bracket = re.match(r"#define\s+(\w+)(\()?", text).groups()
        if name.endswith("_H") or name.endswith("_"):
            return None
        lines = [re.sub(r"\s*\\$", "", line).rstrip() for line in text.splitlines()]
        head = lines[0] if len(lines) == 1 else re.match(r"#define\s+\w+(\([^)]*\))?", lines[0]).group()
        return Declaration("macro" if bracket else "constant", [name], re.sub(r"^(#define \S+?(?:\([^)]*\))?)\s+", r"\1 ", head))
    if text.startswith("#") or re.match(r"DX_(BEGIN|END)_DECLS|DX_MODEL_DECLARE", text):
        return None
    if text.startswith("static inline"):
        head = re.sub(r"\s+", " ", text[len("static inline"):text.index("{")]).strip()
        return Declaration("inline", [NAME.search(head).group(1)], head + ";")
    if text.startswith("DX_API"):
        head = re.sub(r"\s+", " ", re.sub(r"\bDX_(API_PRINTF\([^)]*\)|\w+)\s+", lambda m: "" if m.group(1) in ("API", "NODISCARD") or "PRINTF" in m.group(1) else m.group(), text))
        return Declaration("function", [NAME.search(head).group(1)], head)
    aliased = re.match(r"typedef struct (\w+) \1;$", text)
    if aliased:
        return Declaration("handle", [aliased.group(1)], text)
    if re.match(r"struct \w+;$", text):
        return None
    function = re.match(r"typedef [^{]*\(\*(\w+)\)\(", text)
    named = function or re.search(r"\}\s*(\w+);$", text) or re.match(r"(?:typedef )?(?:struct|enum) (\w+)", text)
    return Declaration("type", [named.group(1)] if named else [], text)


def items(text):
    """Comments and declarations in their order: (kind, text, whether a blank line is before it)."""
    at = 0
    while at < len(text):
        blank = re.compile(r"\s*").match(text, at)
        gap, at = "\n\n" in blank.group(), blank.end()
        if at == len(text):
            return
        if text.startswith("/*", at):
            end = text.index("*/", at) + 2
            yield ("trailing" if blank.start() and "\n" not in blank.group() else "comment"), text[at:end], gap
        else:
            end = take(text, at)
            if text.startswith("#define", at):  # a comment at its end is its own
                own = re.search(r"\s*(/\*[^\n]*\*/)$", text[at:end])
                end = end - len(own.group(1)) if own else end
            elif re.compile(r"DX_(BEGIN|END)_DECLS").match(text, at):
                end = text.index("S", at + 10) + 1
            yield "code", text[at:end].rstrip(), gap
        at = end


def read(path, name):
    text = path.read_text()
    header = Header(name, "", [Section("", [])])
    pending, attached, group = "", False, None
    for number, (kind, piece, gap) in enumerate(items(text)):
        title = re.match(r"/\* --- (.*?) -{3,} \*/$", piece)
        if number == 0 and kind == "comment":
            header.opening = comment_text(piece)
        elif title:
            header.sections.append(Section(title.group(1), []))
            pending, group = "", None
        elif "clang-format" in piece and kind != "code":
            continue
        elif kind == "comment":
            pending, attached, group = comment_text(piece), True, None
        elif kind == "trailing":
            if group and group.declarations and attached:
                group.declarations[-1].comment = comment_text(piece)
        else:
            made = declaration(piece)
            attached = made is not None
            if not made:
                continue
            if not group or gap:
                group = Group(pending, [])
                pending = ""
                header.sections[-1].groups.append(group)
            group.declarations.append(made)
    header.sections = [s for s in header.sections if s.groups]
    return header


def members(text):
    """A type without the comments in it, and these by member: (name, comment)."""
    found, pending, last = [], "", ""
    for piece in re.finditer(r"(\n?)[ \t]*(/\*.*?\*/)|([^/\n]*[;,{}][^/\n]*|[^/\n]+)", text, re.S):
        if piece.group(2):
            words = " ".join(comment_text(piece.group(2)).split())
            behind = piece.start() > 0 and not piece.group(1) and last
            if behind:
                found.append((last, words))
            else:
                pending = words
        elif piece.group(3).strip():
            last = member_name(piece.group(3))
            if pending and last:
                found.append((last, pending))
            pending = ""
    bare = re.sub(r"\n[ \t]*/\*.*?\*/[ \t]*(?=\n)|[ \t]*/\*.*?\*/", "", text, flags=re.S)
    return bare, found


def member_name(line):
    """`threads` of "unsigned threads;", `log` of "void (*log)(…);", `DX_A` of "DX_A = 1,"."""
    pointer = re.search(r"\(\*(\w+)\)", line)
    listed = re.sub(r"\[[^]]*\]", "", line).strip().rstrip(";,").split("=")[0].strip()
    names = ", ".join(re.search(r"(\w+)$", part.strip()).group(1) for part in listed.split(",") if re.search(r"(\w+)$", part.strip()))
    return pointer.group(1) if pointer else names


def paragraphs(comment):
    """("text" | "code", text) in their order. Indented lines, and lines with columns, are code."""
    for block in re.split(r"\n\s*\n", comment):
        lines = block.splitlines()
        run, code = [], None
        for line in lines:
            is_code = line.startswith("   ") or bool(re.search(r"\S {2,}\S", line))
            if code is not None and is_code != code and run:
                yield ("code" if code else "text"), textwrap.dedent("\n".join(run))
                run = []
            code = is_code
            run.append(line)
        if run:
            yield ("code" if code else "text"), textwrap.dedent("\n".join(run))
