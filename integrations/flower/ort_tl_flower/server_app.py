"""The server of a federation: sends parameters, takes the mean of what comes back, keeps every round, goes on later.

`ort-tl fit` without photos gives it the parameters to begin with. With photos of its own it evaluates each round, and
with the model it writes tuned.onnx at the end. The settings stand in pyproject.toml.
"""

import math
import time
from collections.abc import Iterable
from logging import INFO, WARNING
from pathlib import Path
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict, UserConfig
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.supercore import log
from flwr.supercore.telemetry import FLWR_TELEMETRY_ENABLED

from .devices import Devices, agreement_of
from .fit import Engine, engine_of
from .mean import WeightedMean
from .parameters import Parameters, Refused, checked, record
from .rounds import Rounds
from .strategies import momentum_of, set_momentum, strategy_of

app = ServerApp()

# Before a round that no device can do is given up.
TRIES = 3


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Runs a federation from the last whole round of its folder to its last round."""
    if FLWR_TELEMETRY_ENABLED == "1":
        log(WARNING, "Flower's telemetry is on: start its commands by ort-tl-flower, or with FLWR_TELEMETRY_ENABLED=0")
    Federation(grid, context.run_config).run()


class Federation:
    """One run: the settings, what was agreed, who takes part, and what is kept."""

    def __init__(self, grid: Grid, config: UserConfig) -> None:
        """Asks the engine for the artifacts' parameters and fingerprint. Raises Refused; ValueError for a setting."""
        self._config = config
        self._strategy: FedAvg = strategy_of(config)
        self._engine: Engine = engine_of(config["ort-tl"], config["artifacts"])
        begun = self._engine.fit({"epochs": 0})
        agreement = agreement_of(begun.report)
        kept = {"fingerprint": agreement.fingerprint, "policy": agreement.policy, "classes": list(agreement.classes)}
        self._rounds = Rounds(Path(str(config["out"])), {**kept, "strategy": str(config["strategy"])})
        self._fingerprint = agreement.fingerprint
        self._begun = begun.parameters
        self._devices = Devices(grid, agreement, float(config["round-seconds"]))

    def run(self) -> None:
        """Goes through the rounds that are left, then writes the tuned model."""
        last = int(self._config["rounds"])
        if self._rounds.last is None:
            self._rounds.keep({"round": 0, **self._at_the_server(self._begun)}, self._begun, None)
        done = cast(int, self._rounds.last)
        parameters = self._rounds.parameters(done)
        if done > 0:
            log(INFO, "goes on after round %s, which %s has", done, self._rounds.folder)
            set_momentum(self._strategy, self._rounds.momentum(done), list(parameters))
        for number in range(done + 1, last + 1):
            parameters = self._round(number, parameters, is_last=number == last)
        self._write_model(parameters)

    def _round(self, number: int, parameters: Parameters, is_last: bool) -> Parameters:
        """One round: training on the devices, the mean, evaluations, all of it kept."""
        began = time.monotonic()
        self._devices.refused.clear()
        traffic = Traffic()
        mean, trained = self._train(number, parameters, traffic)
        arrays, _ = self._strategy.aggregate_train(number, [mean.message()])
        if arrays is None:
            raise ValueError("the strategy gave no parameters")
        new = {name: arrays[name].numpy() for name in parameters}
        every = int(self._config["evaluate-every"])
        is_due = (is_last and every >= 0) or (every > 0 and number % every == 0)
        evaluated = self._on_devices(number, new, traffic) if is_due else {}
        line = {
            "round": number,
            "photos": int(mean.weight),
            "devices": trained,
            **evaluated,
            **self._at_the_server(new),
            "leftOut": dict(self._devices.refused),
            "bytes": {"down": traffic.sent, "up": traffic.received},
            "seconds": round(time.monotonic() - began, 3),
        }
        self._rounds.keep(line, new, momentum_of(self._strategy, list(new)))
        log(INFO, "round %s: %s devices, %s photos%s", number, len(trained), line["photos"], _told(line))
        return new

    def _train(self, number: int, parameters: Parameters, traffic: "Traffic") -> tuple[WeightedMean, dict[str, Any]]:
        """The mean of what devices give back, and what they tell of it by their names.

        Where no device gives anything, it is tried again. Raises ValueError when that happens TRIES times.
        """
        for _ in range(TRIES):
            settings = self._settings(number)
            messages = self._strategy.configure_train(number, record(parameters), settings, cast(Grid, self._devices))
            mean, trained = self._collect(traffic.down(messages), parameters, traffic)
            if trained:
                return mean, trained
            log(WARNING, "round %s: no device gave parameters", number)
        raise ValueError(f"no device gave parameters in round {number}, {TRIES} times: {self._devices.refused}")

    def _collect(
        self, messages: list[Message], parameters: Parameters, traffic: "Traffic"
    ) -> tuple[WeightedMean, dict[str, Any]]:
        mean = WeightedMean(parameters)
        trained: dict[str, Any] = {}
        for name, content in self._devices.replies(messages):
            traffic.up(content)
            try:
                metrics = figures_of(content)
                photos = int(metrics.get("num-examples", 0))
                if photos < 1:
                    raise Refused("it trained on no photos")
                mean.add(checked(content.array_records.get("arrays", ArrayRecord()), parameters), photos)
            except Refused as refused:
                self._devices.refuse(name, str(refused))
                continue
            trained[name] = metrics
        return mean, trained

    def _on_devices(self, number: int, parameters: Parameters, traffic: "Traffic") -> dict[str, Any]:
        """The parameters evaluated on each device's own photos of validation, and pooled over all of these photos."""
        settings = self._settings(number)
        messages = self._strategy.configure_evaluate(number, record(parameters), settings, cast(Grid, self._devices))
        by_name: dict[str, dict[str, float]] = {}
        for name, content in self._devices.replies(traffic.down(messages)):
            traffic.up(content)
            try:
                by_name[name] = figures_of(content)
            except Refused as refused:
                self._devices.refuse(name, str(refused))
        return {"onDevices": by_name, "pooled": pooled(list(by_name.values()))}

    def _at_the_server(self, parameters: Parameters) -> dict[str, Any]:
        """The parameters evaluated on the server's own photos, where there are any."""
        if not self._config["photos"]:
            return {}
        fitted = self._engine.fit({"epochs": 0, "data": str(self._config["photos"]), "val-fraction": 1}, parameters)
        return {"atTheServer": fitted.report["after"]}

    def _settings(self, number: int) -> ConfigRecord:
        """What each device is told of a round, beside the parameters."""
        return ConfigRecord(
            {
                "fingerprint": self._fingerprint,
                "epochs": int(self._config["epochs"]),
                "learning-rate": float(self._config["learning-rate"]),
                # Another order of the photos in each round; which of them validate does not depend on it.
                "seed": int(self._config["seed"]) + number,
                "server-round": number,
            }
        )

    def _write_model(self, parameters: Parameters) -> None:
        """Writes tuned.onnx, where the run knows the model."""
        if not self._config["model"]:
            log(INFO, "the run names no model: the parameters are in %s", self._rounds.folder)
            return
        tuned = self._rounds.folder / "tuned.onnx"
        self._engine.fit({"epochs": 0, "export": str(tuned), "model": str(self._config["model"])}, parameters)
        log(INFO, "the tuned model is %s", tuned)


class Traffic:
    """Bytes of the records of a round's messages: what Flower's protocol and TLS add is not in them."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0

    def down(self, messages: Iterable[Message]) -> list[Message]:
        """Counts what goes to devices."""
        listed = list(messages)
        self.sent += sum(_size(message.content) for message in listed)
        return listed

    def up(self, content: RecordDict) -> None:
        """Counts what comes from one."""
        self.received += _size(content)


def figures_of(content: RecordDict) -> dict[str, float]:
    """What a device tells in numbers. Raises Refused where these are missing, or no finite numbers."""
    found = content.metric_records.get("metrics")
    if found is None:
        raise Refused("its reply has no metrics")
    for key, value in found.items():
        if isinstance(value, list) or not math.isfinite(value):
            raise Refused(f'its "{key}" is {value}')
    return cast(dict[str, float], dict(found))


def pooled(devices: list[dict[str, float]]) -> dict[str, float] | None:
    """Figures over all photos that devices evaluated: exact but for mAP, a mean of means; None where none."""
    counted = [each for each in devices if each.get("evaluated", 0) > 0]
    photos = sum(each["evaluated"] for each in counted)
    if photos == 0:
        return None
    means = {key: sum(each.get(key, 0.0) * each["evaluated"] for each in counted) / photos for key in ("loss", "map")}
    correct = sum(each.get("correct", 0) for each in counted)
    # Photos with one class each are right or wrong; those with any number of labels have a mean average precision.
    own = {"map": means["map"]} if "map" in counted[0] else {"top1": correct / photos}
    return {"evaluated": photos, "loss": means["loss"], **own}


def _size(content: RecordDict) -> int:
    return sum(each.count_bytes() for each in content.values())


def _told(line: dict[str, Any]) -> str:
    """A round's accuracies in words, as far as there are any."""
    found = {"on the devices' photos": line.get("pooled"), "on the server's": line.get("atTheServer")}
    return "".join(
        f", {key} {figures[key]:.4f} {where}"
        for where, figures in found.items()
        for key in ("top1", "map")
        if figures and key in figures
    )
