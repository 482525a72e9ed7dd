"""YAML between Ruby's Psych and plain data. Imports yaml, which is an extra."""

from __future__ import annotations

import re
import sys
from decimal import Decimal
from typing import Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_MOST_NODES = 32_768
"""More than an input has characters for, unless aliases multiply them."""
_DEEPEST_FLOW = 100
"""Psych writes none but empty ones."""
_NULL, _BOOL, _INT, _FLOAT, _TIMESTAMP = (
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "timestamp")
)
_SYMBOL = "!ruby/symbol"
_SYMBOL_TAGS = (_SYMBOL, "!ruby/sym")
_PLAIN_SYMBOL = re.compile(r":[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r"""(['"])(.*)\1""", re.DOTALL)


class Document(NamedTuple):
    """A value, and whether it is a list that ends in a Hash whose keys are all symbols."""

    value: Any
    ends_in_symbols: bool


def load(text: str) -> Document:
    """One YAML document as plain data; ValueError, or what Python's readers raise, for what is
    not YAML, is of a tag that Ruby doesn't write, or has too many nodes by its aliases."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        value = None if root is None else loader.construct_document(root)
    except yaml.YAMLError:  # its words quote the text
        raise ValueError("not YAML") from None
    last = root.value[-1] if isinstance(root, SequenceNode) and root.value else None
    names = [name for name, _ in last.value] if isinstance(last, MappingNode) else []
    return Document(value, bool(names) and all(n.tag in _SYMBOL_TAGS for n in names))


def dump(value: Any, *, symbols: bool) -> str:
    """One YAML document of what JSON has, every string within quotes: Psych and PyYAML differ in
    what they take for a number, a date or a boolean."""
    return _dumped([value], symbols)


def dump_exception(name: str, members: dict[str, Any], backtrace: list[str]) -> str:
    """An exception of a class of Ruby's and its backtrace, as two documents."""
    return _dumped([_Exception(name, members), backtrace], symbols=False)


# --- reading ------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Knows the scalars that Psych writes plain, and Ruby's tags as plain data."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = 0
        self._sizes: dict[int, int] = {}
        self._tagged: set[int] = set()
        """Nodes whose tag says that they are symbols, and not their colon."""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """A node, counted as often as aliases repeat it."""
        aliased = self.check_event(yaml.AliasEvent)
        before = self._nodes
        node = super().compose_node(parent, index)
        if aliased:
            # A node within itself has no size yet.
            self._nodes += self._sizes.get(id(node), _MOST_NODES)
        else:
            self._nodes += 1
            self._sizes[id(node)] = self._nodes - before
        if self._nodes > _MOST_NODES:
            raise ValueError("too many nodes")
        return node

    def compose_scalar_node(self, anchor: Any) -> ScalarNode:
        """As YAML's."""
        tag = self.peek_event().tag
        node: ScalarNode = super().compose_scalar_node(anchor)
        if tag in _SYMBOL_TAGS:
            self._tagged.add(id(node))
        return node

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        """``[`` or ``{``: each open one makes every later token slower to read."""
        if self.flow_level >= _DEEPEST_FLOW:
            raise ValueError("nested too deep")
        super().fetch_flow_collection_start(token_class)

    def construct_scalar(self, node: Node) -> Any:
        """A scalar's text; UnicodeEncodeError for an escaped lone surrogate."""
        text = super().construct_scalar(node)
        text.encode("utf-8")
        return text

    def symbol(self, node: Node) -> str:
        """The name of ``:name``, ``:"a name"`` or ``!ruby/symbol name``."""
        text = str(self.construct_scalar(node))
        if id(node) in self._tagged:
            return text
        name = text.removeprefix(":")
        quoted = _QUOTED.fullmatch(name)
        return quoted[2] if quoted else name

    def integer(self, node: Node) -> int:
        """An integer, which Psych writes in decimal digits."""
        return int(str(self.construct_scalar(node)))

    def time(self, node: Node) -> Any:
        """A Time or Date; what only looks like one is the string that Psych took it for."""
        try:
            return self.construct_yaml_timestamp(node)
        except ValueError:
            return self.construct_scalar(node)

    def of_ruby(self, suffix: str, node: Node) -> Any:
        """An object of a Ruby class, as the data that it is written with."""
        if isinstance(node, SequenceNode):
            return self.construct_sequence(node, deep=True)
        if isinstance(node, MappingNode):
            members = self.construct_mapping(node, deep=True)
            return list(members["hash"]) if suffix == "object:Set" else members
        text = str(self.construct_scalar(node))
        # "18:0.15e1": how many digits there is room for, and the number.
        return Decimal(text.partition(":")[2]) if suffix == "object:BigDecimal" else text


# Psych has other ideas than YAML 1.1 of what is a number, and writes other strings plain.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, found) for tag, found in resolvers if tag in (_NULL, _BOOL, _TIMESTAMP)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_DIGITS = [*"-+.0123456789"]
_Loader.add_implicit_resolver(_INT, re.compile(r"[-+]?[0-9]+$", re.ASCII), _DIGITS)
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"[-+]?(?:[0-9]+\.[0-9]+(?:e[-+][0-9]+)?|\.inf)$|\.nan$", re.ASCII),
    _DIGITS,
)
_Loader.add_implicit_resolver(_SYMBOL, re.compile(r":[^\s:].*", re.DOTALL), [":"])
_Loader.add_constructor(_INT, _Loader.integer)
_Loader.add_constructor(_TIMESTAMP, _Loader.time)
for _tag in _SYMBOL_TAGS:
    _Loader.add_constructor(_tag, _Loader.symbol)
_Loader.add_constructor("!binary", _Loader.construct_yaml_binary)
_Loader.add_multi_constructor("!ruby/", _Loader.of_ruby)


# --- writing ------------------------------------------------------------------------------------


class _Exception:
    def __init__(self, name: str, members: dict[str, Any]) -> None:
        self.name = name
        self.members = members


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, and quotes every string."""

    symbols = False

    def ignore_aliases(self, data: Any) -> bool:
        """Always: Psych's safe readers refuse them."""
        return True

    def text(self, data: str) -> ScalarNode:
        """A string, in quotes."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"')

    def hash(self, data: dict[str, Any]) -> MappingNode:
        """A Hash; its keys are symbols if they are to be."""
        node = self.represent_mapping("tag:yaml.org,2002:map", data, flow_style=False)
        if self.symbols:
            node.value = [
                (self.symbol(name), value)
                for name, (_, value) in zip(data, node.value, strict=True)
            ]
        return node

    def symbol(self, name: str) -> ScalarNode:
        """``:name``, or what no plain symbol can be, in quotes."""
        if _PLAIN_SYMBOL.fullmatch(f":{name}"):
            return self.represent_scalar(_SYMBOL, f":{name}")
        quoted = name[:1] == ":" or any(each in name for each in "\n\x85\u2028\u2029")
        return self.represent_scalar(_SYMBOL, name, style='"' if quoted else None)

    def exception(self, data: _Exception) -> MappingNode:
        """``!ruby/exception:Class`` and its members."""
        return self.represent_mapping(f"!ruby/exception:{data.name}", data.members)


_Dumper.add_representer(str, _Dumper.text)
_Dumper.add_representer(dict, _Dumper.hash)
_Dumper.add_representer(_Exception, _Dumper.exception)
_Dumper.add_implicit_resolver(_SYMBOL, re.compile(rf"{_PLAIN_SYMBOL.pattern}$"), [":"])


class _SymbolDumper(_Dumper):
    symbols = True


def _dumped(documents: list[Any], symbols: bool) -> str:
    text: str = yaml.dump_all(
        documents,
        Dumper=_SymbolDumper if symbols else _Dumper,
        allow_unicode=True,
        sort_keys=False,
        explicit_start=True,
        width=sys.maxsize,
    )
    return text
