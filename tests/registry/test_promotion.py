"""Who is champion, against a real MLflow server: by command, by hand in MLflow, and both in turn."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from registry import promotion, versions
from registry.errors import PromotionRefused, VersionUnknown
from registry.gate_rules import Check, GateResult
from registry.jobs import Jobs
from registry.mlflow_door import Door
from registry.run_state import Runs
from registry.settings import Settings
from registry.version import Version
from registry.worker import Worker
from tests.mlflow_server import MLflow

Register = Callable[..., Version]
PASSED = GateResult(True, ("Overall: better.",), {"quality": 0.71, "overall.low": 0.01, "maths.low": -0.02})
FAILED = GateResult(False, ("Overall: worse.",), {"quality": 0.41})


class ByHand:
    """What a person does in the MLflow UI, and nothing else."""

    def __init__(self, settings: Settings) -> None:
        self.client, self.name = MlflowClient(tracking_uri=settings.mlflow_url), settings.scorer_name

    def set(self, alias: str, number: str) -> None:
        self.client.set_registered_model_alias(self.name, alias, number)

    def unset(self, alias: str) -> None:
        self.client.delete_registered_model_alias(self.name, alias)

    def delete(self, number: str) -> None:
        self.client.delete_model_version(self.name, number)


@pytest.fixture
def hand(settings: Settings) -> ByHand:
    return ByHand(settings)


@pytest.fixture(scope="module")
def run(mlflow: MLflow) -> tuple[str, str]:
    """One run, whose files all versions here are said to be."""
    run_id = Runs(mlflow.url).begin("a run", {})
    return run_id, str(MlflowClient(tracking_uri=mlflow.url).get_run(run_id).info.artifact_uri)


@pytest.fixture
def register(settings: Settings, run: tuple[str, str]) -> Register:
    """Registers a version as a training does, without a run and files of its own."""
    run_id, artifacts = run

    def make(seed: int) -> Version:
        door = Door.of(settings)
        tags = {"content_hash": f"{seed:064}"}
        made = door.create_version(source=f"{artifacts}/scorer", run_id=run_id, tags=tags, description="")
        door.set_alias("challenger", made.version)
        return made

    return make


@pytest.fixture
def champions(settings: Settings, register: Register) -> Callable[[int], None]:
    """So many versions, promoted one after the other."""

    def make(count: int) -> None:
        for seed in range(count):
            promotion.promote(register(seed).version, override="test", settings=settings)

    return make


def aliases(settings: Settings) -> dict[str, str]:
    """As they are written in MLflow."""
    return Door.of(settings).aliases()


def test_promotion_needs_a_passed_gate(settings: Settings, register: Register) -> None:
    """A version whose gate failed or was not run is not promoted; overriding is possible, and recorded."""
    number = register(0).version
    with pytest.raises(PromotionRefused, match="its gate was not run"):
        promotion.promote(number, settings=settings)
    versions.record_gate(number, FAILED, settings=settings)
    with pytest.raises(PromotionRefused, match="Overall: worse"):
        promotion.promote(number, settings=settings)
    assert versions.champion(settings=settings) is None
    assert promotion.promote(number, override="nothing else is there", settings=settings).tags["override"] == "nothing else is there"


def test_only_what_speaks_against_a_version_is_said(settings: Settings, register: Register) -> None:
    """What is fine is counted; the advice is what helps, not the gate again that has just run. A gate that passes later takes it back."""
    number = register(0).version
    checks = [Check(True, "Overall: fine."), Check(False, "Calibration: few queries."), Check(True, "int8: fine.")]
    versions.record_gate(number, GateResult.of(checks, {}), settings=settings)
    with pytest.raises(PromotionRefused) as refused:
        promotion.promote(number, settings=settings)
    assert refused.value.what == f"Version {number} may not become champion: Calibration: few queries. The other 2 findings are fine."
    assert refused.value.next_step.startswith("Label more queries and `routemoa retrain`, or `routemoa promote")
    versions.record_gate(number, PASSED, settings=settings)
    assert promotion.promote(number, settings=settings).failing == ()


def test_promotion_keeps_the_previous_champion(settings: Settings, register: Register) -> None:
    """`champion` moves, the one before becomes `previous`, the spent `challenger` goes."""
    for seed in (0, 1):
        number = register(seed).version
        versions.record_gate(number, PASSED, settings=settings)
        promotion.promote(number, settings=settings)
    assert {one.version: one.aliases for one in versions.list_versions(settings=settings)} == {"2": ("champion",), "1": ("previous",)}


def test_promoting_the_champion_again_ends_a_promotion_that_stopped_half_way(settings: Settings, register: Register) -> None:
    """Where only the alias was moved, doing it again clears the spent `challenger`."""
    number = register(0).version
    Door(settings.mlflow_url, settings.scorer_name).set_alias("champion", number)
    assert versions.find("challenger", settings=settings).version == number
    assert promotion.promote(number, override="again", settings=settings).aliases == ("champion",)


def test_a_champion_whose_gate_failed_stays_champion(settings: Settings, register: Register) -> None:
    """A rollback may bring back a version that was promoted over its gate; asking for the champion again changes nothing."""
    number = register(0).version
    versions.record_gate(number, FAILED, settings=settings)
    promotion.promote(number, override="nothing else is there", settings=settings)
    assert promotion.promote(number, settings=settings).aliases == ("champion",)


def test_a_rollback_that_may_have_been_done_is_done_once(settings: Settings, champions: Callable[[int], None], tmp_path: Path) -> None:
    """Its worker was killed before it could say so: begun again, the job leaves the champion where it is."""
    champions(3)
    jobs = Jobs.in_file(tmp_path / "jobs.db")
    worker = Worker(settings, jobs)
    job = jobs.submit("rollback", {})
    for _ in range(2):
        claimed = jobs.claim(job.id)
        assert claimed is not None
        assert worker._do(claimed) == "scorer version 2 is champion again"  # and its end is not written
        jobs.requeue_running()
    assert aliases(settings) == {"champion": "2", "previous": "1"}
    assert promotion.rollback(settings=settings).version == "1"


def test_each_rollback_goes_one_champion_back(settings: Settings, champions: Callable[[int], None]) -> None:
    """Rolling back restores the champion before, then the one before that; a version that was left is never what one returns to."""
    champions(3)
    assert promotion.rollback(settings=settings).version == "2"
    assert aliases(settings) == {"champion": "2", "previous": "1"}
    assert promotion.rollback(settings=settings).version == "1"
    assert aliases(settings) == {"champion": "1"}
    with pytest.raises(VersionUnknown, match="no previous champion to return to from version 1"):
        promotion.rollback(settings=settings)
    assert aliases(settings) == {"champion": "1"}


def test_a_version_rolled_back_can_be_promoted_again(settings: Settings, champions: Callable[[int], None]) -> None:
    """The mark a rollback leaves goes with the next promotion."""
    champions(2)
    promotion.rollback(settings=settings)
    assert "rolled_back" not in promotion.promote("2", override="mended", settings=settings).tags
    assert promotion.rollback(settings=settings).version == "1"


@pytest.mark.parametrize("by_command", [True, False])
def test_champion_alias_deleted_and_another_set(
    settings: Settings, register: Register, champions: Callable[[int], None], hand: ByHand, by_command: bool
) -> None:
    """`previous` is the version that was champion, though nothing says so any more; a rollback returns to it, and not beyond."""
    champions(2)
    register(2)
    hand.unset("champion")
    if by_command:
        promotion.promote("3", override="test", settings=settings)
    else:
        hand.set("champion", "3")
        promotion.settle("3", settings=settings)
    assert aliases(settings) == {"champion": "3", "previous": "2"}
    assert promotion.rollback(settings=settings).version == "2"


def test_another_set_by_hand_and_rolled_back_before_anybody_looked(
    settings: Settings, register: Register, champions: Callable[[int], None], hand: ByHand
) -> None:
    """Where no host followed the alias yet and `previous` is the one before the last, a rollback goes to the last all the same."""
    champions(2)
    register(2)
    hand.unset("champion")
    hand.set("champion", "3")
    assert aliases(settings) == {"champion": "3", "previous": "1", "challenger": "3"}
    assert promotion.rollback(settings=settings).version == "2"
    assert aliases(settings) == {"champion": "2", "previous": "1", "challenger": "3"}


def test_champion_alias_deleted_and_rolled_back(settings: Settings, champions: Callable[[int], None], hand: ByHand) -> None:
    """Servers stay with the last champion; a rollback goes to the one before it."""
    champions(2)
    hand.unset("champion")
    assert promotion.in_force(versions.list_versions(settings=settings)).version == "2"
    assert promotion.rollback(settings=settings).version == "1"
    assert "rolled_back" in versions.find("2", settings=settings).tags


def test_champion_version_deleted(settings: Settings, register: Register, champions: Callable[[int], None], hand: ByHand) -> None:
    """The version is gone: a rollback returns to the champion before it; so it does after another was set."""
    champions(3)
    hand.delete("3")
    assert promotion.in_force(versions.list_versions(settings=settings)) is None
    hand.set("champion", register(3).version)
    promotion.settle("4", served="3", settings=settings)
    assert aliases(settings) == {"champion": "4", "previous": "2"}
    hand.delete("4")
    assert promotion.rollback(settings=settings).version == "2"
    assert aliases(settings) == {"champion": "2", "previous": "1"}


def test_previous_deleted(settings: Settings, champions: Callable[[int], None], hand: ByHand) -> None:
    """The alias or the version it is on: a rollback needs neither."""
    champions(3)
    hand.unset("previous")
    assert promotion.rollback(settings=settings).version == "2"
    hand.delete("1")
    with pytest.raises(VersionUnknown, match="no previous champion"):
        promotion.rollback(settings=settings)


def test_a_rollback_never_returns_to_where_it_is(settings: Settings, champions: Callable[[int], None], hand: ByHand) -> None:
    """`previous` put on the champion by hand changes nothing about where a rollback goes."""
    champions(1)
    hand.set("previous", "1")
    with pytest.raises(VersionUnknown, match="no previous champion to return to from version 1"):
        promotion.rollback(settings=settings)
    assert "rolled_back" not in versions.find("1", settings=settings).tags


def test_champion_set_twice_before_a_host_looked(
    settings: Settings, register: Register, champions: Callable[[int], None], hand: ByHand
) -> None:
    """The version that nobody saw as champion is none that a rollback returns to; setting the same one twice changes nothing."""
    champions(1)
    for number in (register(1).version, register(2).version, "3"):
        hand.set("champion", number)
    for _ in range(2):
        promotion.settle("3", served="1", settings=settings)
    since = {one.version: one.tags.get("champion_since") for one in versions.list_versions(settings=settings)}
    promotion.settle("3", served="1", settings=settings)
    assert {one.version: one.tags.get("champion_since") for one in versions.list_versions(settings=settings)} == since
    assert since["2"] is None
    assert aliases(settings) == {"champion": "3", "previous": "1"}


@pytest.mark.parametrize("written", ["Champion", "CHAMPION"])
def test_champion_in_another_case_is_champion(
    settings: Settings, register: Register, champions: Callable[[int], None], hand: ByHand, written: str
) -> None:
    """A person who types `Champion` means it: it counts before the proper alias, which did not move, and is written properly then."""
    champions(1)
    hand.set(written, register(1).version)
    assert versions.champion(settings=settings).version == "2"
    assert versions.find("champion", settings=settings).version == "2"
    promotion.settle("2", served="1", settings=settings)
    assert aliases(settings) == {"champion": "2", "previous": "1"}


def test_a_promotion_takes_an_alias_in_another_case_away(settings: Settings, champions: Callable[[int], None], hand: ByHand) -> None:
    """Whoever promotes by command is not overruled by a `Champion` that somebody left behind."""
    champions(2)
    hand.set("Champion", "1")
    hand.set("Previous", "2")
    promotion.promote("2", override="test", settings=settings)
    assert versions.champion(settings=settings).version == "2"
    assert aliases(settings) == {"champion": "2", "previous": "1"}


def test_champion_set_by_hand_on_a_failed_gate(settings: Settings, register: Register, hand: ByHand) -> None:
    """MLflow asks no gate, so it serves; the version says that nobody gave a reason."""
    number = register(0).version
    versions.record_gate(number, FAILED, settings=settings)
    hand.set("champion", number)
    assert promotion.settle(number, settings=settings).tags["override"] == "the alias was set in MLflow, which asks no gate"
    assert promotion.promote(number, settings=settings).aliases == ("champion",)


def test_a_champion_that_moved_on_is_not_settled(settings: Settings, champions: Callable[[int], None]) -> None:
    """A host that is late changes nothing about a registry that is further."""
    champions(3)
    promotion.settle("2", served="1", settings=settings)
    assert aliases(settings) == {"champion": "3", "previous": "2"}
    assert promotion.rollback(settings=settings).version == "2"


def test_a_registry_without_history_rolls_back_by_its_alias(settings: Settings, register: Register, hand: ByHand) -> None:
    """Versions promoted before the history was kept have aliases only: they are enough for the first rollback."""
    for seed in range(3):
        register(seed)
    hand.set("champion", "3")
    hand.set("previous", "1")
    assert promotion.rollback(settings=settings).version == "1"
    assert aliases(settings) == {"champion": "1", "challenger": "3"}


def test_another_hosts_clock_does_not_change_the_order(settings: Settings, champions: Callable[[int], None]) -> None:
    """A champion noted by a host whose clock is an hour ahead is before the one promoted after it."""
    champions(2)
    Door.of(settings).annotate("2", tags={"champion_since": "2999-01-01T00:00:00.000000+00:00"})
    promotion.promote("1", override="test", settings=settings)
    assert aliases(settings) == {"champion": "1", "previous": "2"}
    assert promotion.rollback(settings=settings).version == "2"


def test_a_version_refused_by_a_host_is_none_to_return_to(settings: Settings, champions: Callable[[int], None]) -> None:
    """What could not be loaded is passed over: from its successor a rollback goes to the champion before it."""
    champions(3)
    promotion.refuse("2", "its sha256 is not the registered one", settings=settings)
    promotion.settle("3", settings=settings)
    assert promotion.rollback(settings=settings).version == "1"
