"""Which version is the champion: promoted where it beats the present one on the same records, and taken back.

A version takes the place of the present champion only if both were scored on the same records by the same figure, and
the difference is no accident: with the scores of rows kept, the 95% interval of the paired difference lies on the
better side of zero, and comes of five situations at least; without them, the intervals of the two figures lie apart,
and come of five rows at least.
The champions so far stand in a tag of the registered model, the present one last. This file decides; it must not know
how scores are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..mlflow_store import reading_client
from .errors import PromotionError
from .registry import Version, find, registered, scores_with_rows, versions
from .scores import Scores

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
"""The alias that apps load."""

CHAMPIONS_TAG = "modplural.champions"
"""Tag of the registered model: the numbers of its champions, the present one last."""

PROMOTED_TAG = "modplural.promoted"
"""Tag of a version: when and why it last became the champion."""


@dataclass(frozen=True)
class Promotion:
    """A change of champions.

    Attributes:
        version: The champion now.
        former: The one before; None where there was none.
        why: What it was decided on.
    """

    version: Version
    former: Version | None
    why: str


def promote(reference: str, *, force: bool = False) -> Promotion:
    """Make a version the champion of its name, if it beats the present one, or there is none.

    Args:
        reference: Such as `overton/3`; see `find`.
        force: Whether it takes the place whatever was scored.

    Raises:
        PromotionError: It does not beat the present champion, or nobody can tell; the champion stays.
        VersionError: There is no such version.
    """
    client, version = reading_client(), find(reference)
    former = _champion(client, version.name)
    if former is not None and former.number == version.number:
        raise PromotionError(f"{version.name}/{version.number} is the champion already")
    why = "forced" if force else "the first champion" if former is None else _beats(version, former)
    history = _history(client, version.name)
    if former is not None and history[-1:] != [former.number]:
        history.append(former.number)  # the alias was set by hand, and a rollback has to find it
    _crown(client, version, [*history, version.number], why)
    return Promotion(find(f"{version.name}/{version.number}"), former, why)


def rollback(name: str) -> Promotion:
    """Make the champion before the present one the champion again.

    Raises:
        PromotionError: There is none before it.
        VersionError: No version is called that.
    """
    client = reading_client()
    there = {version.number for version in versions(name)}
    former, earlier = _champion(client, name), [number for number in _history(client, name) if number in there]
    while former is not None and earlier[-1:] == [former.number]:  # more than once where those between were deleted
        earlier.pop()
    if not earlier:
        raise PromotionError(f"{name} has no champion before the present one; promote the version that is to be it")
    version = find(f"{name}/{earlier[-1]}")
    why = f"rolled back from {former.number}" if former else "rolled back"
    _crown(client, version, earlier, why)
    return Promotion(find(f"{name}/{version.number}"), former, why)


def champions(name: str) -> list[int]:
    """The numbers of a name's champions so far, the present one last."""
    return _history(reading_client(), name)


def _beats(version: Version, champion: Version) -> str:
    """Why a version is the better one.

    Raises:
        PromotionError: It is not, or nobody can tell.
    """
    ours, theirs = scores_with_rows(version), scores_with_rows(champion)
    title = f"{version.name}/{version.number} stays behind the champion, {champion.name}/{champion.number}"
    if ours is None or theirs is None:
        unscored = version if ours is None else champion
        raise PromotionError(
            f"{title}: nothing says what {unscored.name}/{unscored.number} scored. Register it with its scores,"
            " or force the promotion"
        )
    for what in ("task", "figure", "scorer", "digest"):
        if getattr(ours, what) != getattr(theirs, what):
            raise PromotionError(
                f"{title}: their scores do not compare, because the {what} is {getattr(ours, what)} and"
                f" {getattr(theirs, what)}. Score both on the same records, or force the promotion"
            )
    records = [{row.record for row in scores.rows} for scores in (ours, theirs)]
    if all(records) and records[0] != records[1]:
        raise PromotionError(
            f"{title}: {len(records[0] ^ records[1])} records were scored for one of them only, and the others may be"
            " the easier ones. Score both on the same records, or force the promotion"
        )
    better, evidence = _compared(ours, theirs)
    if not better:
        raise PromotionError(
            f"{title}: {evidence}, which is no certain gain. More test records would tell; or force the promotion"
        )
    return evidence


def _compared(ours: Scores, theirs: Scores) -> tuple[bool, str]:
    """Whether our score is certainly the better one, and what says so."""
    from ..metrics.comparison import FEWEST, compare

    sign = 1 if ours.higher_is_better else -1
    first, second = ({row.record: row for row in scores.rows} for scores in (ours, theirs))
    shared = [record for record in first if record in second]
    if shared:
        rows, others = ([scored[record].score for record in shared] for scored in (first, second))
        groups = [first[record].group for record in shared]
        found = compare(rows, others, groups, higher_is_better=ours.higher_is_better)
        said = (
            f"{ours.figure} differs by {found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] on the same rows"
        )
        if found.groups < FEWEST:
            return False, f"{said} (n={found.n}) of {found.groups} situations, and fewer than {FEWEST} prove nothing"
        return min(sign * found.low, sign * found.high) > 0, f"{said} (n={found.n})"
    said = f"{ours.described()} against {theirs.described()}, without scores of the same rows"
    if min(ours.n, theirs.n) < FEWEST:
        return False, f"{said} (n={ours.n} and {theirs.n}), and fewer than {FEWEST} prove nothing"
    if ours.low is None or ours.high is None or theirs.low is None or theirs.high is None:
        return False, f"{said} and without intervals"
    apart = ours.low > theirs.high if ours.higher_is_better else ours.high < theirs.low
    return apart, said


def _champion(client: MlflowClient, name: str) -> Version | None:
    aliases = registered(client, name).aliases
    return find(f"{name}/{aliases[CHAMPION]}") if CHAMPION in aliases else None


def _history(client: MlflowClient, name: str) -> list[int]:
    return [int(number) for number in registered(client, name).tags.get(CHAMPIONS_TAG, "").split()]


def _crown(client: MlflowClient, version: Version, history: list[int], why: str) -> None:
    number = str(version.number)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    client.set_registered_model_alias(version.name, CHAMPION, number)
    client.set_registered_model_tag(version.name, CHAMPIONS_TAG, " ".join(map(str, history)))
    client.set_model_version_tag(version.name, number, PROMOTED_TAG, f"{when}: {why}")
