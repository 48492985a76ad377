"""For the site: makes [`Name`] in docstrings, which `help` shows as it is, a link to that name on the API page."""

import re
from collections.abc import Iterator
from typing import Any

import griffe

REFERENCE = re.compile(r"\[`([\w.]+)`\](?![\[(])")
PUBLIC = ("hf_dynmask", "hf_dynmask.strategies", "hf_dynmask.on_device", "hf_dynmask.DataCollatorForDynamicMasking")


class CrossReferences(griffe.Extension):
    """Looks names up around the docstring first, then among the public names. Unknown names keep their brackets."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        for obj in _objects(pkg):
            if obj.docstring is not None:
                obj.docstring.value = REFERENCE.sub(lambda found, obj=obj: _link(found, obj), obj.docstring.value)


def _objects(obj: griffe.Object) -> Iterator[griffe.Object]:
    yield obj
    for member in obj.members.values():
        if not member.is_alias:
            yield from _objects(member)


def _link(found: re.Match[str], obj: griffe.Object) -> str:
    path = _path(found[1], obj)
    return found[0] if path is None else f"{found[0]}[{path}]"


def _path(name: str, obj: griffe.Object) -> str | None:
    around = [obj, obj.parent] if obj.parent else [obj]
    public = [obj.package.modules_collection[path] for path in PUBLIC]
    for scope in (*around, *public, obj.module):
        try:
            return scope[name].canonical_path
        except (KeyError, griffe.AliasResolutionError):
            continue
    return None
