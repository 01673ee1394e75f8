"""A champion is dethroned by a certain gain on the same records only, and comes back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modplural.optimizers.tracking import tracking_client
from modplural.optimizers.versions import Scores, find, promote, register, rollback
from modplural.optimizers.versions.errors import PromotionError
from modplural.optimizers.versions.promotion import champions

Save = Callable[..., Path]
MakeScores = Callable[..., Scores]


def champion() -> int:
    return find("overton@champion").number


def test_the_first_needs_no_scores(store: Path, save: Save) -> None:
    register(save(), "overton")
    made = promote("overton/1")
    assert (made.version.aliases, made.former, made.why) == (("champion",), None, "the first champion")
    with pytest.raises(PromotionError, match="overton/1 is the champion already"):
        promote("overton/1")


def test_a_certain_gain_on_the_same_rows_wins(store: Path, save: Save, scores: MakeScores) -> None:
    """The intervals of the two figures overlap; that of the paired difference does not reach zero."""
    register(save(), "overton", scores(0.60, noise=0.2))
    register(save(), "overton", scores(0.62, noise=0.2))
    promote("overton/1")
    made = promote("overton/2")
    assert made.former is not None
    assert (champion(), made.former.number) == (2, 1)
    assert made.why == "value coverage differs by +0.0200 [+0.0200, +0.0200] on the same rows (n=20)"


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        ({"value": 0.60}, r"differs by \+0.0000 .* which is no certain gain"),
        ({"value": 0.55}, r"differs by -0.0500"),
        ({"value": 0.61, "noise": 0.3}, r"differs by \+0.0100 \[-0"),
        ({"value": 0.90, "digest": "e" * 64}, "do not compare, because the digest is eeee"),
        ({"value": 0.90, "scorer": "NLI"}, "the scorer is NLI and None"),
        ({"value": 0.90, "figure": "wins"}, "the figure is wins and value coverage"),
        ({"value": 0.65, "rows": False}, r"0.650 \[0.600, 0.700\] against .* without scores of the same rows"),
        ({"value": 0.90, "rows": False, "low": None, "high": None}, "without intervals"),
    ],
)
def test_anything_less_does_not(
    second: dict[str, object], problem: str, store: Path, save: Save, scores: MakeScores
) -> None:
    register(save(), "overton", scores(0.60))
    register(save(), "overton", scores(**second))
    promote("overton/1")
    with pytest.raises(PromotionError, match=problem):
        promote("overton/2")
    assert champion() == 1
    assert promote("overton/2", force=True).why == "forced"
    assert champion() == 2


def test_without_rows_intervals_have_to_lie_apart(store: Path, save: Save, scores: MakeScores) -> None:
    register(save(), "overton", scores(0.60, rows=False))
    register(save(), "overton", scores(0.72))
    promote("overton/1")
    promote("overton/2")
    assert champion() == 2


def test_rows_of_other_records_do_not_compare(store: Path, save: Save, scores: MakeScores) -> None:
    easy = scores(0.9)
    register(save(), "overton", scores(0.6))
    register(save(), "overton", easy.model_copy(update={"rows": easy.rows[:15]}))
    promote("overton/1")
    with pytest.raises(PromotionError, match="5 records were scored for one of them only"):
        promote("overton/2")


def test_a_gain_on_few_situations_proves_nothing(store: Path, save: Save, scores: MakeScores) -> None:
    for value in (0.6, 0.9):
        whole = scores(value)
        register(save(), "overton", whole.model_copy(update={"rows": whole.rows[:8]}))
    promote("overton/1")
    with pytest.raises(PromotionError, match=r"\(n=8\) of 4 situations, and fewer than 5 prove nothing"):
        promote("overton/2")


def test_intervals_of_few_rows_prove_nothing(store: Path, save: Save, scores: MakeScores) -> None:
    for value in (0.6, 0.9):
        register(save(), "overton", scores(value, rows=False, n=4))
    promote("overton/1")
    with pytest.raises(PromotionError, match=r"without scores of the same rows \(n=4 and 4\), and fewer than 5 prove"):
        promote("overton/2")
    assert promote("overton/2", force=True).why == "forced"


def test_a_champion_that_was_deleted_is_passed_over(store: Path, save: Save) -> None:
    for number in (1, 2, 3):
        register(save(), "overton")
        promote(f"overton/{number}", force=True)
    tracking_client().delete_model_version("overton", "2")
    assert rollback("overton").version.number == 1
    assert champions("overton") == [1]


def test_a_champion_is_not_its_own_successor(store: Path, save: Save) -> None:
    for _ in range(2):
        register(save(), "overton")
    for number in (1, 2, 1):
        promote(f"overton/{number}", force=True)
    tracking_client().delete_model_version("overton", "2")
    with pytest.raises(PromotionError, match="no champion before the present one"):
        rollback("overton")


def test_lower_may_be_better(store: Path, save: Save, scores: MakeScores) -> None:
    for value in (0.20, 0.15, 0.18):
        register(save(), "overton", scores(value, higher_is_better=False))
    promote("overton/1")
    promote("overton/2")
    with pytest.raises(PromotionError, match=r"differs by \+0.0300"):
        promote("overton/3")


def test_unscored_versions_do_not_compare(store: Path, save: Save, scores: MakeScores) -> None:
    register(save(), "overton", scores(0.6))
    register(save(), "overton")
    promote("overton/1")
    with pytest.raises(PromotionError, match="nothing says what overton/2 scored"):
        promote("overton/2")


def test_champions_come_back_in_turn(store: Path, save: Save) -> None:
    for _ in range(3):
        register(save(), "overton")
        promote(f"overton/{len(champions('overton')) + 1}", force=True)
    assert champions("overton") == [1, 2, 3]
    assert [rollback("overton").version.number for _ in range(2)] == [2, 1]
    assert (champion(), champions("overton")) == (1, [1])
    with pytest.raises(PromotionError, match="no champion before the present one"):
        rollback("overton")
    tags = tracking_client().get_model_version("overton", "1").tags
    assert tags["modplural.promoted"].endswith(": rolled back from 2")


def test_a_champion_that_was_set_by_hand_is_found_again(store: Path, save: Save) -> None:
    for _ in range(3):
        register(save(), "overton")
    promote("overton/1")
    tracking_client().set_registered_model_alias("overton", "champion", "2")
    promote("overton/3", force=True)
    assert champions("overton") == [1, 2, 3]
    assert rollback("overton").version.number == 2
