"""Flower's own strategies, by the name of the run's settings."""

from collections.abc import Mapping

from flwr.app import UserConfigValue
from flwr.serverapp.strategy import FedAvg, FedAvgM, FedProx

from .parameters import Parameters


def strategy_of(config: Mapping[str, UserConfigValue]) -> FedAvg:
    """The strategy of a run. Raises ValueError for another name, or for settings that no strategy has."""
    least = int(config["min-devices"])
    if least < 1:
        raise ValueError(f"min-devices is at least 1, not {least}")
    fraction = float(config["fraction"])
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is above 0 and at most 1, not {fraction}")
    # Devices that drop out after a round's training are missed in its evaluation, and nobody waits for them.
    # In Flower's order: fractions that train and evaluate, how many at least train, evaluate and are there.
    common = (fraction, 1.0, least, 1, 1)
    name = str(config["strategy"])
    if name == "FedAvg":
        return FedAvg(*common)
    if name == "FedProx":
        return FedProx(*common, proximal_mu=float(config["proximal-mu"]))
    if name == "FedAvgM":
        return FedAvgM(
            *common,
            server_learning_rate=float(config["server-learning-rate"]),
            server_momentum=float(config["server-momentum"]),
        )
    raise ValueError(f"strategy is FedAvg, FedProx or FedAvgM, not {name}")


def momentum_of(strategy: FedAvg, names: list[str]) -> Parameters | None:
    """The momentum of FedAvgM by the parameters' names; None where there is none."""
    vector = strategy.momentum_vector if isinstance(strategy, FedAvgM) else None
    return None if vector is None else dict(zip(names, vector, strict=True))


def set_momentum(strategy: FedAvg, momentum: Parameters | None, names: list[str]) -> None:
    """Gives FedAvgM the momentum that an earlier run left."""
    if momentum is not None and isinstance(strategy, FedAvgM):
        strategy.momentum_vector = [momentum[name] for name in names]
