"""Parses the C# files below a folder, and names the first place in each that is no C#."""

import sys
from pathlib import Path

import tree_sitter_c_sharp
from tree_sitter import Language, Node, Parser


def wrong(node: Node) -> Node | None:
    """The innermost first node that the parser could not make sense of."""
    if node.is_error or node.is_missing:
        return node
    inner = (wrong(child) for child in node.children if child.has_error or child.is_missing)
    return next((found for found in inner if found), None)


parser = Parser(Language(tree_sitter_c_sharp.language()))
files = sorted(Path(sys.argv[1]).rglob("*.cs"))
broken = 0
for file in files:
    root = parser.parse(file.read_bytes()).root_node
    if root.has_error:
        broken += 1
        line = (wrong(root) or root).start_point.row + 1
        print(f"{file}:{line}: no C#", file=sys.stderr)
if broken or not files:
    sys.exit(f"{broken} of {len(files)} files are no C#")
print(f"{len(files)} files parse")
