"""What goes on at the gates, for whoever watches: how many requests are under way, and why no more are sent."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing is sent for so many seconds more: to `retry` what failed then, or to keep the `pace` of rpm and tpm."""

    seconds: float
    why: Literal["retry", "pace"]


@dataclass(frozen=True, slots=True)
class GateTraffic:
    """One endpoint's model: it may have `width` requests in flight at present, and `concurrency` by its limits.

    `paced` says that requests or tokens a minute are limited.
    """

    model: str
    width: int
    concurrency: int
    paced: bool = False
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """All models of a build at one moment; `stopped` says that nothing more is asked."""

    in_flight: int
    gates: tuple[GateTraffic, ...] = ()
    stopped: bool = False
