"""The files of templates, found by name: a project's own before the packed ones. Knows no jinja2."""

import re
from pathlib import Path

SUFFIX = ".jinja"
INCLUDED = re.compile(r'{% include "([^"]+)" %}')
"""As packed templates name another one."""
COMMENT = re.compile(r"{#.*?#}", re.DOTALL)
"""As they have them: outside of all else."""


class TemplateFiles:
    """Those of one language. A file's name is `en/reask.jinja`, its template's `reask`."""

    def __init__(self, language: str, own: Path | None) -> None:
        """`own` is a project's prompts directory, which need not exist."""
        self.language = language
        self.own = own
        self.packed = packed_folder()
        self.has_own = own is not None and own.is_dir()
        self._packed_texts: dict[str, str] = {}

    @property
    def folders(self) -> list[Path]:
        """Where a file may lie, the first counting most."""
        return [folder for folder in (self.own, self.packed) if folder is not None]

    def named(self, template: str) -> str:
        """The name of a template's file."""
        return f"{self.language}/{template}{SUFFIX}"

    def lies_in(self, name: str) -> Path | None:
        """Where a file is."""
        return next((folder / name for folder in self.folders if (folder / name).is_file()), None)

    def is_own(self, name: str) -> bool:
        """Whether a file is the project's."""
        return self.has_own and self.own is not None and (self.own / name).is_file()

    def place(self, name: str) -> str:
        """A file, as it is told."""
        return str(self.lies_in(name) or name)

    def packed_sources(self, template: str) -> dict[str, str] | None:
        """File name → text, of `template` and of all that it includes; None where one of them is the project's own.

        Without jinja2, which takes longer to import than a build takes to find out that there is nothing to do.
        """
        found: dict[str, str] = {}
        waiting = [self.named(template)]
        while waiting:
            name = waiting.pop()
            if name not in found:
                if self.is_own(name):
                    return None
                if name not in self._packed_texts:  # one is asked for each thing that is to be known of it
                    self._packed_texts[name] = (self.packed / name).read_text(encoding="utf-8")
                found[name] = self._packed_texts[name]
                waiting += INCLUDED.findall(found[name])
        return dict(sorted(found.items()))

    def may_read(self, template: str, variable: str) -> bool:
        """Whether a variable's name stands anywhere in a template: where it does not, nothing reads it."""
        packed = self.packed_sources(template)
        return packed is None or any(variable in COMMENT.sub("", text) for text in packed.values())


def packed_folder() -> Path:
    """`prompts/` as the wheel packs it, else as it lies beside the package in a checkout."""
    package = Path(__file__).parents[1]
    packed = package / "prompts"
    return packed if packed.is_dir() else package.parent / "prompts"
