"""Nested JSON of metrics and parameters, flattened into what MLflow holds: named numbers, histories, and texts."""

from collections.abc import Iterator, Mapping
from typing import Any

from registry.mlflow_runs import MetricValue


def scalars(written: Mapping[str, Any], prefix: str = "") -> list[MetricValue]:
    """Every number, named by its path: `{"test": {"hit": .9}}` is `test/hit`."""
    return [MetricValue(name, float(value)) for name, value in _leaves(written, prefix) if _is_number(value)]


def texts(written: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Every string, truth value and list of plain values, named by its path."""
    return {name: _as_text(value) for name, value in _leaves(written, prefix) if _is_text(value)}


def params(written: Mapping[str, Any]) -> dict[str, str]:
    """Every value, numbers too."""
    return {name: _as_text(value) for name, value in _leaves(written, "")}


def history(written: Mapping[str, Any], prefix: str = "") -> list[MetricValue]:
    """Lists of numbers, or of mappings of numbers (one an epoch), as steps 0, 1, 2 ..."""
    steps = []
    for name, value in _leaves(written, prefix):
        if isinstance(value, list):
            for at, entry in enumerate(value):
                if isinstance(entry, Mapping):
                    steps += [MetricValue(one.name, one.value, at) for one in scalars(entry, f"{name}/")]
                elif _is_number(entry):
                    steps.append(MetricValue(name, float(entry), at))
    return steps


def _leaves(written: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in written.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str | bool) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _as_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
