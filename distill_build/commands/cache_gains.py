"""What a cache got from a bundle or a remote, in words."""

from distill_build.cache.intake import Gains
from distill_build.console.words import money, tokens
from distill_build.records import number_of, short


def text(gains: Gains, *, whole: bool) -> str:
    """What is new, for people, with what it had cost; `whole` says that all which was offered is here now."""
    calls, versions = number_of(gains.seen_calls, "calls"), number_of(gains.seen_versions, "versions")
    if not (gains.responses or gains.objects or gains.versions):
        if not whole or not (gains.seen_calls or gains.seen_versions):
            return "nothing could be taken"
        return f"nothing new, {calls} and {versions} are here already"
    new = f"{number_of(gains.calls, 'new calls')} with {number_of(gains.responses, 'new responses')}"
    return f"{new}, {number_of(gains.versions, 'new versions')}{_cost(gains)}"


def _cost(gains: Gains) -> str:
    if not gains.responses:
        return ""
    if gains.unpriced == gains.responses:
        return f"; asking took {tokens(gains.tokens)} tokens"
    but = f" ({gains.unpriced:,} of them without a price)" if gains.unpriced else ""
    return f"; asking had cost {money(gains.usd)}{but} and {tokens(gains.tokens)} tokens"


def incomplete(gains: Gains, whence: str) -> str:
    """The sentence for versions that were not taken."""
    names = ", ".join(short(version) for version in gains.incomplete)
    return (
        f"{whence} lacks parts of these versions, or holds other parts than their records say: {names}. They were not "
        "taken: bring them from a cache in which `distill-build cache fsck` finds no damage"
    )
