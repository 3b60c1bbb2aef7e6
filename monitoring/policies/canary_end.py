"""Ends a canary by what its audits say: one that is surely worse is rolled back, one that surely is not may be promoted.

The monitor does so; of hosts that share a database, the one that leads. A registry that is away is asked again at the next look.
"""

import structlog

from monitoring.policies import canary
from monitoring.policies.canary import Looked
from monitoring.records.store import RecordStore
from registry import beside, local_store, notices, promotion
from registry.errors import PromotionRefused, RegistryError
from registry.settings import Settings

SETTLED_S = 5.0  # after which what the other version would have chosen lies beside a record
log = structlog.get_logger("watch")


def step(settings: Settings) -> Looked | None:
    """One look; None where no canary answers here. Raises RecordsRefused."""
    active, (_, published) = local_store.current(settings.var), local_store.beside(settings.var)
    if active is None or published is None or published.version == active.version:
        return None
    looked = canary.tested(RecordStore.of(settings), active.version, published)
    try:
        if looked.state == "worse":
            _roll_back(looked, settings)
        elif looked.state == "not worse":
            _let_through(looked, settings)
    except RegistryError as exc:
        log.warning("canary_not_ended", state=looked.state, error=str(exc))
    return looked


def _roll_back(looked: Looked, settings: Settings) -> None:
    if beside.end_canary(f"rolled back: {looked.sentence()}", version=looked.version, settings=settings) is not None:
        log.warning("canary_rolled_back", version=looked.version, reason=looked.sentence())
        notices.send(settings, f"canary {looked.version} is rolled back", looked.sentence())


def _let_through(looked: Looked, settings: Settings) -> None:
    new = beside.pass_canary(looked.version, looked.sentence(), settings=settings)
    then = f"`routemoa promote {looked.version}` makes it the champion; `routemoa canary --stop` ends the canary."
    if looked.plan.then == "promote":
        try:
            promotion.promote(looked.version, settings=settings)
            then = "It is the champion now, as its plan says; `routemoa rollback` undoes it."
            new = True
        except PromotionRefused as exc:
            then = f"It was not promoted: {exc}"
    if new:
        log.info("canary_passed", version=looked.version, reason=looked.sentence())
        notices.send(settings, f"canary {looked.version} may be promoted", f"{looked.sentence()}\n{then}")
