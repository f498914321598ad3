"""Prompt templates → chat messages.

Where one lies is told in `files`, what may stand in it in `templates`, how it is rendered in `rendering`. Templates run
in jinja2's sandbox and without its sources of chance: equal variables give equal messages.

A project's `prompts/<language>/<file>` stands in for the packed file of the same name, one by one. Which templates
there are, and what each may use, is for the stages to say: this module names none of them.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from distill_build.errors import ConfigurationError
from distill_build.prompting.files import SUFFIX, TemplateFiles
from distill_build.prompting.known import TEXT, TemplateVariables

if TYPE_CHECKING:  # jinja2 is imported for who renders a template, or has one of their own
    from distill_build.prompting.rendering import Message
    from distill_build.prompting.templates import Templates

LOOKALIKES = (SUFFIX, ".j2", ".jinja2", ".txt")
REASK = "reask"
"""The template that shows a model what was wrong with its reply. It needs no stage."""
OF_REASK = TemplateVariables(frozenset({"error", "structured"}), known={"error": TEXT, "structured": TEXT})


class Prompts:
    """The templates of one language. Each is read and compiled once."""

    def __init__(
        self,
        language: str,
        own: Path | None,
        templates: Mapping[str, TemplateVariables],
        others: Collection[str] = (),
    ) -> None:
        """`own` is a project's prompts directory, which need not exist. `templates` are those in use, by name.

        `others` are names of templates that stages not in force would use: their files may lie there, and are not
        looked into. Raises ConfigurationError for a template that is not there, cannot be read, or uses a variable, a
        stage or a column that it cannot have; and for one that makes no messages whatever it is given.
        """
        self.made_of = (language, own, templates, others)
        self._files = TemplateFiles(language, own)
        self._others = others
        self._variables = {**templates, REASK: OF_REASK}
        self._rows: dict[str, frozenset[str]] = {}
        for template in self._variables:
            self._refuse_missing(template)
        for template, variables in self._variables.items():
            reads_rows = "rows" in variables.names and self._files.may_read(template, "rows")
            is_fine = variables.usual and not self._files.has_own and not reads_rows
            self._rows[template] = frozenset() if is_fine else self._templates.check(template, variables)

    @cached_property
    def _templates(self) -> "Templates":
        from distill_build.prompting.templates import Templates

        return Templates(self._files)

    def render(self, template: str, /, **variables: object) -> "list[Message]":
        """The messages that `template` makes of `variables`; the last is the user's.

        Raises RenderingError where it makes none of them.
        """
        return self._templates.render(template, variables)

    def referenced_rows(self, template: str) -> frozenset[str]:
        """The stages whose rows `template`, or what it includes, reads as `rows.X`."""
        return self._rows[template]

    def uses(self, template: str, variable: str) -> bool:
        """Whether `template`, or what it includes, reads a variable."""
        return self._files.may_read(template, variable) and self._templates.uses(template, variable)

    def shows(self, template: str, variable: str) -> bool:
        """The same, where it does more with it than to decide by it."""
        return self.uses(template, variable) and self._templates.shows(template, variable)

    def sources(self, template: str) -> dict[str, str]:
        """File name (as `en/reask.jinja`) → text, of `template` and of all that it includes by name."""
        packed = self._files.packed_sources(template)
        return packed if packed is not None else self._templates.sources(template)

    def refuse_unused(self) -> None:
        """Raises ConfigurationError for a file of the project that nothing would use: a misspelt name would be ignored
        in silence, and the packed prompt be sent in its place.

        It may be a stage's mistake, so whoever has stages has them looked at first.
        """
        own = self._files.own
        if own is None or not self._files.has_own:
            return
        packed = {path.name for path in (self._files.packed / self._files.language).glob(f"*{SUFFIX}")}
        known = packed | {f"{template}{SUFFIX}" for template in (*self._variables, *self._others)}
        for path in sorted(own.glob(f"*{SUFFIX}")):
            if path.name in known:
                raise ConfigurationError(f"{path} is not used: it belongs into {own / self._files.language}")
        files = sorted(path for path in (own / self._files.language).glob("*") if path.suffix in LOOKALIKES)
        unknown = [path for path in files if path.name not in known]
        if not unknown:
            return
        from distill_build.prompting.references import nearest

        stems = sorted(file.removesuffix(SUFFIX) for file in known)
        used = {name for stem in stems if self._files.lies_in(self._files.named(stem)) for name in self.sources(stem)}
        for path in unknown:
            if f"{self._files.language}/{path.name}" not in used:
                raise ConfigurationError(
                    f"{path} is not used: delete it, or write conf/stage/{path.stem}.yaml, a stage that asks with it; "
                    f"{nearest(path.stem, stems, 'no template includes it, and there could be')}"
                )

    def _refuse_missing(self, template: str) -> None:
        file = self._files.named(template)
        if self._files.lies_in(file) is not None:
            return
        folder, language = self._files.own or Path("prompts"), self._files.language
        beside = sorted(folder.glob(f"*/{template}{SUFFIX}"))
        close = get_close_matches(template, [path.stem for path in folder.glob(f"{language}/*{SUFFIX}")], n=1)
        beside += [folder / self._files.named(name) for name in close]
        there = f" (there is {beside[0]})" if beside else ""
        raise ConfigurationError(
            f"there is no prompt template {file}{there}: write {folder / file}, the prompt in this language"
        )
