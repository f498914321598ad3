"""`init [DIR]`: writes a starter project. It never replaces a file.

The prompts are copies of our own: they belong to the project from then on, as its lock and its responses do, and a
later version of this program that words them better does not make every response of the project one of another prompt.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path

from distill_build.commands.make.installed import Program, this_program
from distill_build.console.page import HANG, Line, print_document, print_lines
from distill_build.errors import StorageError, UsageError
from distill_build.options import Options
from distill_build.prompting.files import SUFFIX, packed_folder

STARTER = resources.files("distill_build") / "starter"
FILES: Mapping[str, tuple[str, str]] = {
    "conf/distill.yaml": ("distill.yaml", "what is built"),
    "prompts/README.md": ("prompts.md", "which prompt asks for what"),
    ".gitignore": ("gitignore.txt", "locks are committed; responses and rows are not"),
    ".gitattributes": ("gitattributes.txt", "reviews of two branches are merged line by line"),
    "tree.yaml.example": ("tree.yaml", "tags by hand, to be copied to tree.yaml and changed"),
    ".github/workflows/dataset.yaml": ("workflow.yaml", "CI: distill-build --frozen, from a bundle of responses"),
    "README.md": ("project.md", "how this project is worked with"),
}
"""Place in the project → file in `starter/`, and what it is for."""
LANGUAGE = "en"
PROMPTS = f"prompts/{LANGUAGE}"


def run(options: Options) -> int:
    """Writes the files into the folder that is the first of the arguments, by default into the working directory."""
    folder = Path(*options.arguments)
    program = this_program()
    files = starter_files(program)
    refuse_to_replace(folder, files)
    _write(folder, files)
    if options.json:
        print_document({"directory": str(folder), "files": sorted(files)})
    elif not options.quiet:
        print_lines(_text(folder, program))
    return 0


def starter_files(program: Program) -> dict[str, str]:
    """Place in the project → content."""
    templates = {place: (STARTER / name).read_text(encoding="utf-8") for place, (name, _) in FILES.items()}
    ours = sorted((packed_folder() / LANGUAGE).glob(f"*{SUFFIX}"))
    prompts = {f"{PROMPTS}/{path.name}": path.read_text(encoding="utf-8") for path in ours}
    filled = {
        place: content.replace("@version@", program.version).replace("@program@", program.words)
        for place, content in templates.items()
    }
    return filled | prompts


def refuse_to_replace(folder: Path, files: Mapping[str, str]) -> None:
    """Raises UsageError where a file that would be written is there, or something else is in its way."""
    there = [place for place in files if os.path.lexists(folder / place)]
    if there:
        raise UsageError(
            f"{folder.absolute()} has {', '.join(there)} already, and init replaces nothing: name another folder, "
            "as in distill-build init my-dataset"
        )
    for place in files:
        for parent in (folder / place).parents:
            if os.path.lexists(parent) and not parent.is_dir():
                raise UsageError(f"{parent} is no folder: name another one, as in distill-build init my-dataset")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Writes all files or none. Raises StorageError where that cannot be done."""
    written: list[Path] = []
    try:
        for place, content in files.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:  # x: one that came meanwhile stays as it is
                written.append(path)
                file.write(content)
    except OSError as error:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise StorageError(f"{error.filename or folder} cannot be written: {error.strerror}; nothing was") from error


def _text(folder: Path, program: Program) -> Iterator[str | Line]:
    """What was written, and what to do next."""
    rows = [(place, purpose) for place, (_, purpose) in FILES.items()]
    rows.insert(1, (f"{PROMPTS}/", "the prompts: copies of our own, to be changed"))
    width = max(len(place) for place, _ in rows)
    yield f"A dataset project is in {folder.absolute()}:"
    yield from (((f"  {place:<{width}}  ", "plain"), HANG, (purpose, "plain")) for place, purpose in rows)
    yield from ("", "Say what you want in conf/distill.yaml (the topic is sports, the model a small local one), then:")
    if folder != Path():
        yield f"  cd {shlex.quote(str(folder))}"
    yield "  distill-build plan     # what a build would send, and cost"
    yield "  distill-build          # builds outputs/sports and its distill.lock"
    if program.place is not None:
        wheel = f"pip wheel --no-deps -w wheels {shlex.quote(program.place)}"
        yield (f"  {wheel}  ", "plain"), HANG, ("# what CI installs: this program", "plain")
    yield "  git init && git add -A && git commit"
