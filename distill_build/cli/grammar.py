"""The grammar of the command line: which commands and flags there are. `parsing` reads words by it.

Knows nothing of what a command does.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Command(NamedTuple):
    """One verb: its module, its line of help, the words it takes, and whether it composes a configuration.

    `sweep` is the module that takes all jobs of a sweep together, `launched` the one for jobs that others launch.

    `reads` says of one that does not whether it works on a dataset or cache that is there; `finds` of one that does
    whether it may be told a dataset by its name or folder instead of by settings. `stand_in` are settings for a command
    that has no use for them but composes them like any other; where it `finds`, for a dataset that was named.

    `group` is what it is for: one of GROUPS.
    """

    module: str
    help: str
    composes: bool = True
    words: str = ""
    builds: bool = False
    sweep: str = ""
    launched: str = ""
    reads: bool = True
    finds: bool = False
    stand_in: tuple[str, ...] = ()
    group: str = "look"


class Verb(NamedTuple):
    """What `cache` can do: its line of help, and the words that stand behind it."""

    help: str
    words: str = ""


class Flag(NamedTuple):
    """One flag. `value` names what it takes, "" for none.

    `whose` is a kind of commands, or the one that knows it, or a verb of that one.
    """

    name: str
    help: str
    short: str = ""
    value: str = ""
    choices: tuple[str, ...] = ()
    whose: str = "all"


CACHE_VERBS: Mapping[str, Verb] = {
    "stats": Verb("say what the cache holds, what it cost, and what needs it"),
    "gc": Verb("remove what nothing needs; responses only where a flag says so"),
    "fsck": Verb("check everything, set aside what is damaged, and say which items that hits"),
    "export": Verb("write the cache, or one version or dataset of it (-o), to one file", "FILE [VERSION]"),
    "import": Verb("take in what such a file holds", "FILE"),
    "push": Verb("send what the other side lacks: file://…, s3://…, gs://…; with -o one dataset's", "URL"),
    "pull": Verb("fetch what is lacking here", "URL"),
}
GROUPS: Mapping[str, str] = {
    "make": "Make a dataset",
    "look": "Look at it",
    "curate": "Curate and export it",
    "versions": "Versions",
    "cache": "The cache",
}
"""What commands are for, in the order of --help, and how it says that."""
COMMANDS: Mapping[str, Command] = {
    "build": Command(
        "distill_build.commands.make.build",
        "bring the dataset up to date (the default)",
        builds=True,
        sweep="distill_build.commands.make.sweep.build",
        launched="distill_build.commands.make.sweep.launched",
        group="make",
    ),
    "plan": Command(
        "distill_build.commands.make.plan",
        "say what build would do, and send nothing",
        builds=True,
        sweep="distill_build.commands.make.sweep.plan",
        group="make",
    ),
    "explain": Command(
        "distill_build.commands.make.explain",
        "say which input changed, for each stage",
        words="[ID]",
        sweep="distill_build.commands.make.sweep.explain",
        group="make",
    ),
    "tree": Command(
        "distill_build.commands.look.tree", "print the tag tree with counts", composes=False, words="[NAME]"
    ),
    "show": Command(
        "distill_build.commands.look.show", "print one tag, question or answer", composes=False, words="ID [NAME]"
    ),
    "sample": Command(
        "distill_build.commands.look.sample",
        "print N rows that a model would learn from, drawn by seed",
        composes=False,
        words="[N] [NAME]",
    ),
    "report": Command(
        "distill_build.commands.look.report",
        "write one HTML page of a dataset, or of a sweep's jobs",
        composes=False,
        words="[NAME]",
    ),
    "view": Command(
        "distill_build.commands.curate.view",
        "open that page with hands: accept, reject, edit, rename; on this machine alone",
        composes=False,
        words="[NAME]",
        group="curate",
    ),
    "edit": Command(
        "distill_build.commands.curate.edit",
        "keep what was edited by hand in a dataset's files, for all builds to come",
        composes=False,
        words="[NAME]",
        group="curate",
    ),
    "export": Command(
        "distill_build.commands.curate.export",
        "write dataset formats from the rows that are there, without a model",
        words="[NAME]",
        finds=True,
        stand_in=("topic=export",),
        group="curate",
    ),
    "publish": Command(
        "distill_build.commands.curate.publish",
        "the exports with their card, to a folder or to the Hub: hf://datasets/USER/NAME",
        composes=False,
        words="DEST [NAME]",
        group="curate",
    ),
    "log": Command("distill_build.commands.look.log", "say where an item came from", composes=False, words="ID [NAME]"),
    "diff": Command(
        "distill_build.commands.versions.diff",
        "compare two versions",
        composes=False,
        words="[A] [B] [ID]",
        group="versions",
    ),
    "history": Command(
        "distill_build.commands.versions.history", "list the versions", composes=False, words="[NAME]", group="versions"
    ),
    "checkout": Command(
        "distill_build.commands.versions.checkout",
        "bring a version's files back, without a model",
        composes=False,
        words="VERSION [NAME]",
        group="versions",
    ),
    "verify": Command(
        "distill_build.commands.versions.verify",
        "check files and lock against each other",
        composes=False,
        words="[NAME]",
        group="versions",
    ),
    "cache": Command(
        "distill_build.commands.cache",
        ", ".join(f"{name} {verb.words.partition(' ')[0]}".strip() for name, verb in CACHE_VERBS.items()),
        composes=False,
        words="[VERB] [WHERE] [VERSION]",
        group="cache",
    ),
    "init": Command(
        "distill_build.commands.make.init",
        "write a starter project",
        composes=False,
        words="[DIR]",
        reads=False,
        group="make",
    ),
    "check": Command(
        "distill_build.commands.make.check",
        "ask every endpoint tiny questions, and say what it can do",
        sweep="distill_build.commands.make.sweep.check",
        stand_in=("topic=check",),
        group="make",
    ),
}

FLAGS = (
    Flag("until", "stop after that stage, one of those in force; or dataset", value="STAGE", whose="builds"),
    Flag("offline", "send no request; a call that is not in the cache is an error", whose="builds"),
    Flag("locked", "give up, before any request, where anything but the locked version would come out", whose="builds"),
    Flag("frozen", "--locked and --offline, and there must be a lock: for CI", whose="builds"),
    Flag("keep-going", "give up after N failed items; 0: never", short="k", value="N", whose="builds"),
    Flag("rebuild", "ask again for the items whose path matches, STAGE:GLOB of one stage; repeatable", value="GLOB",
         whose="builds"),
    Flag("yes", "no question before rows of the version that is there go or are made anew", short="y", whose="builds"),
    Flag("dataset", "the dataset's folder or name", short="o", value="DIR", whose="finders"),
    Flag("cache-dir", "the cache's folder", value="DIR", whose="readers"),
    Flag("exit-code", "1 where the versions differ", whose="diff"),
    Flag("yaml", "a tree.yaml to start from, of the tags that are there", whose="tree"),
    Flag("from", "a tree.yaml of an indented text or Markdown list, as a book's contents", value="FILE", whose="tree"),
    Flag("seed", "which rows are drawn", value="N", whose="sample"),
    Flag("to", "the file to write; else report.html in the dataset's folder", value="FILE", whose="report"),
    Flag("against", "show what differs from that version, too", value="VERSION", whose="report"),
    Flag("port", "the port to listen at; else a free one", value="N", whose="view"),
    Flag("no-browser", "open no browser", whose="view"),
    Flag("private", "a repository that is made is not for all", whose="publish"),
    Flag("keep-last", "of each dataset's versions only the last N are roots", value="N", whose="cache gc"),
    Flag("max-size", "remove what nothing needs, oldest first, down to this size: 500MB, 2GB", value="SIZE",
         whose="cache gc"),
    Flag("older-than", "remove what nothing needs and is older: 30d, 12h", value="AGE", whose="cache gc"),
    Flag("dry-run", "say what would be removed, and what it had cost", whose="cache gc"),
    Flag("json", "one JSON document on stdout, text for people on stderr"),
    Flag("quiet", "say less", short="q"),
    Flag("verbose", "say more", short="v"),
    Flag("help", "this help, or a command's", short="h"),
    Flag("version", "this program's version"),
)  # fmt: skip
HYDRA_FLAGS = (
    Flag("multirun", "one build for each combination of values: topic=a,b", short="m", whose="composers"),
    Flag("cfg", "print the configuration: job, hydra or all", short="c", value="WHAT", whose="composers",
         choices=("job", "hydra", "all")),
    Flag("resolve", "with --cfg: with the values that ${…} stand for", whose="composers"),
    Flag("package", "with --cfg: that node alone", short="p", value="KEY", whose="composers"),
    Flag("info", "what Hydra did to compose it", short="i", value="[WHAT]", whose="composers",
         choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")),
    Flag("config-dir", "one more folder of configuration files", short="cd", value="DIR", whose="composers"),
    Flag("config-name", "another primary file than distill", short="cn", value="NAME", whose="composers"),
    Flag("config-path", "another folder than the packed conf/", short="cp", value="DIR", whose="composers"),
    Flag("run", "run once (the default)", short="r", whose="composers"),
    Flag("experimental-rerun", "Hydra's own", value="FILE", whose="composers"),
    Flag("hydra-help", "Hydra's own help", whose="composers"),
    Flag("shell-completion", "Hydra's own", short="sc", whose="composers"),
)  # fmt: skip


def spellings(flag: Flag) -> tuple[str, ...]:
    """How a flag may be typed."""
    return (f"--{flag.name}", f"-{flag.short}") if flag.short else (f"--{flag.name}",)


def knows_flag(name: str, flag: Flag) -> bool:
    """Whether the command called `name`, with a verb or without, knows a flag."""
    command = COMMANDS[name.split()[0]]
    knows = {
        "all": True,
        "builds": command.builds,
        "composers": command.composes,
        "readers": command.reads and not command.composes,
        "finders": command.finds or (command.reads and not command.composes),
    }
    return knows.get(flag.whose, name == flag.whose or flag.whose.startswith(f"{name} "))
