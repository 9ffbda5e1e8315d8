"""YAML as data alone: what another reader might take otherwise is refused with its line.

Refused are a key that is given twice, a key that is no text (012345 is an octal number, `no` is false), and
aliases, which can grow a small file without bound.
"""

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same language, ten times faster in C
TEXT = "tag:yaml.org,2002:str"


def load(text: str) -> object:
    """One document; yaml.YAMLError names line and reason."""
    loader = LOADER(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node)
        return loader.construct_document(node)
    except (ValueError, RecursionError) as error:  # a date that is none; nested without end
        raise yaml.YAMLError(str(error)) from error
    finally:
        loader.dispose()


def _check(root: yaml.Node) -> None:
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        line = f"line {node.start_mark.line + 1}"
        if id(node) in seen:
            raise yaml.YAMLError(f"{line}: an alias stands for it elsewhere: write it out")
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        if isinstance(node, yaml.MappingNode):
            _check_keys([key for key, _ in node.value])
            waiting += [value for _, value in node.value]


def _check_keys(keys: list[yaml.Node]) -> None:
    seen: set[str] = set()
    for key in keys:
        line = f"line {key.start_mark.line + 1}"
        if key.tag != TEXT:
            raise yaml.YAMLError(f"{line}: a key that is no text: quote it")
        if key.value in seen:
            raise yaml.YAMLError(f"{line}: {key.value} is given twice")
        seen.add(key.value)
