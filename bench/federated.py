"""F1C0, F1C1 and F1C2 federated, against central training and each device alone: accuracy by round, bytes, seconds.

    python bench/federated.py --model efficientnet_b0.onnx --photos scenes/ --work FOLDER

`scenes/` has train/<class>/ and test/<class>/. Devices are processes of `ort-tl fit`, as in a real federation, --jobs
of them at a time; the rounds between them are Flower's own strategy and what integrations/flower does around it, called
here directly: twenty SuperNodes would say more of two cores than of federations. A device has the same photos in all
policies. Everything that is done is kept in --work: the same command goes on where it was cut off. Needs what
integrations/flower needs (pip install ./integrations/flower).
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

# Flower reads these when it is imported, which is hence below.
os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
sys.path.insert(0, str(Path(__file__).parent.parent / "integrations" / "flower"))

import numpy as np
from flwr.serverapp.strategy import FedAvg
from ort_tl_flower.fit import Engine, Fitted
from ort_tl_flower.mean import WeightedMean
from ort_tl_flower.parameters import record
from ort_tl_flower.rounds import Rounds

POLICIES = ("F1C0", "F1C1", "F1C2")
DEVICES = (5, 20)
# The share of photos of each class that a device has: the same for all, or drawn from a Dirichlet distribution.
SHARES = ("iid", "dirichlet-0.3")
# A share of fewer photos than this is drawn again, as is usual (Li et al., "Federated Learning on Non-IID Data Silos").
LEAST_PHOTOS = 10

Rows = list[tuple[str, str]]


class OutOfTime(Exception):
    """What is left is for the next call."""


@dataclass(frozen=True)
class Cell:
    """One federation of the study."""

    policy: str
    devices: int
    shares: str

    @property
    def name(self) -> str:
        return f"{self.policy}-{self.devices}-{self.shares}"


class Study:
    """The photos, the artifacts and the engine of all cells, in one folder."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.work: Path = arguments.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.end = time.monotonic() + arguments.seconds
        self.command = tuple(shlex.split(arguments.ort_tl))
        self.train = rows_of(arguments.photos.resolve() / "train", arguments.per_class)
        self.test = rows_of(arguments.photos.resolve() / "test")
        self.classes = sorted({label for _, label in self.train})

    def engine(self, policy: str) -> Engine:
        """The engine with a policy's artifacts, compiled once: all cells of a policy begin with the same parameters."""
        artifacts = self.work / "artifacts" / policy
        if not (artifacts / "manifest.json").exists():
            told = [
                "--model",
                str(self.arguments.model.resolve()),
                "--policy",
                policy,
                "--classes",
                ",".join(self.classes),
            ]
            subprocess.run([*self.command, "compile", *told, "--seed", "0", "--out", str(artifacts)], check=True)
        return Engine(self.command, str(artifacts))

    def look_at_clock(self) -> None:
        """Raises OutOfTime when nothing more is to be begun."""
        if time.monotonic() > self.end:
            raise OutOfTime

    def flags(self, **more: str | int | float) -> dict[str, str | int | float]:
        """What every call is told: one cache of features for all, and one thread for each of the jobs."""
        cache = {"cache": str(self.work / "cache")}
        return {**cache, "threads": max(1, (os.cpu_count() or 1) // self.arguments.jobs), "energy": "auto", **more}

    def list_of(self, name: str, train: Rows, validate: bool) -> str:
        """A list of photos, written once; with the test photos as those that validate, or with none."""
        path = self.work / "lists" / f"{name}.csv"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            lines = [f"{photo},{label},train" for photo, label in train]
            lines += [f"{photo},{label},val" for photo, label in self.test if validate]
            path.write_text("\n".join(["path,label,split", *lines]) + "\n", encoding="utf-8")
        return str(path)

    def shares(self, cell: Cell) -> list[Rows]:
        """The photos of each device, the same in each policy and each run."""
        random = np.random.default_rng([0, cell.devices])
        if cell.shares == "iid":
            order = random.permutation(len(self.train))
            return [[self.train[place] for place in part] for part in np.array_split(order, cell.devices)]
        while True:
            parts: list[Rows] = [[] for _ in range(cell.devices)]
            for label in self.classes:
                rows = [row for row in self.train if row[1] == label]
                random.shuffle(rows)
                shares = random.dirichlet([float(cell.shares.removeprefix("dirichlet-"))] * cell.devices)
                cuts = (np.cumsum(shares)[:-1] * len(rows)).astype(int)
                for part, (start, end) in zip(parts, zip([0, *cuts], [*cuts, len(rows)], strict=True), strict=True):
                    part.extend(rows[start:end])
            if min(map(len, parts)) >= LEAST_PHOTOS:
                return parts


def rows_of(folder: Path, per_class: int | None = None) -> Rows:
    """The photos below a folder with their classes, in the order of their names."""
    classes = sorted(each for each in folder.iterdir() if each.is_dir())
    return [(str(photo), each.name) for each in classes for photo in sorted(each.iterdir())[:per_class]]


def federate(study: Study, cell: Cell) -> None:
    """The rounds of a cell that are not done yet."""
    engine = study.engine(cell.policy)
    shares = study.shares(cell)
    lists = [study.list_of(f"{cell.devices}-{cell.shares}-{index}", rows, False) for index, rows in enumerate(shares)]
    test = study.list_of("test", [], True)
    begun = engine.fit(study.flags(epochs=0, data=test))
    rounds = Rounds(study.work / "cells" / cell.name, {"fingerprint": begun.report["fingerprint"]})
    if rounds.last is None:
        rounds.keep({"round": 0, "test": begun.report["after"]}, begun.parameters, None)
    strategy = FedAvg(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)
    last = rounds.last or 0
    parameters = rounds.parameters(last)
    for number in range(last + 1, study.arguments.rounds + 1):
        study.look_at_clock()
        began = time.monotonic()
        told = [
            study.flags(epochs=1, seed=number * cell.devices + index, data=photos) for index, photos in enumerate(lists)
        ]
        mean = WeightedMean(parameters)
        devices: list[dict[str, Any]] = []
        for fitted in in_turns(study, [partial(engine.fit, flags, parameters) for flags in told]):
            mean.add(fitted.parameters, fitted.report["photos"]["train"])
            devices.append(spent(fitted))
        arrays, _ = strategy.aggregate_train(number, [mean.message()])
        assert arrays is not None
        parameters = {name: arrays[name].numpy() for name in parameters}
        seconds = time.monotonic() - began
        tested = engine.fit(study.flags(epochs=0, data=test), parameters)
        size = sum(len(array.data) for array in record(parameters).values())
        line = {
            "round": number,
            "test": tested.report["after"],
            "bytes": {"down": size * cell.devices, "up": size * cell.devices},
            "seconds": round(seconds, 2),
            "devices": devices,
        }
        rounds.keep(line, parameters, None)
        print(f"{cell.name}: round {number}, top-1 {tested.report['after']['top1']:.4f}, {seconds:.1f} s", flush=True)


def in_turns(study: Study, calls: Sequence[Callable[[], Fitted]]) -> Iterable[Fitted]:
    """The results of calls in their order, --jobs of them at a time."""
    with ThreadPoolExecutor(study.arguments.jobs) as pool:
        yield from pool.map(lambda call: call(), calls)


def spent(fitted: Fitted) -> dict[str, Any]:
    """What a device's round took; joules are null where nothing measures."""
    report = fitted.report
    return {
        "photos": report["photos"]["train"],
        "seconds": round(report["seconds"]["total"], 3),
        "trainingSeconds": round(report["seconds"]["training"], 3),
        "joules": report["joules"],
    }


def train_alone(study: Study, cell: Cell) -> None:
    """Each share for itself, or all photos in one place, as many epochs as there are rounds, if not done."""
    path = study.work / "alone" / f"{cell.name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    done = len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0
    engine = study.engine(cell.policy)
    lists = [
        study.list_of(f"{cell.devices}-{cell.shares}-{index}-tested", rows, True)
        for index, rows in enumerate(study.shares(cell))
    ]
    with path.open("a", encoding="utf-8") as stream:
        for index in range(done, len(lists), study.arguments.jobs):
            study.look_at_clock()
            some = range(index, min(len(lists), index + study.arguments.jobs))
            told = [study.flags(epochs=study.arguments.rounds, seed=each, data=lists[each]) for each in some]
            for fitted in in_turns(study, [partial(engine.fit, flags) for flags in told]):
                stream.write(json.dumps({**spent(fitted), "test": fitted.report["after"]}) + "\n")
                stream.flush()
    if done < len(lists):
        print(f"{cell.name}: each alone", flush=True)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results; none where it is not there yet."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def report(study: Study, cells: Sequence[Cell]) -> None:
    """Writes what is there: OUT.jsonl with a line for each cell, OUT.md with the tables."""
    results = []
    for cell in cells:
        if rounds := lines_of(study.work / "cells" / cell.name / "rounds.jsonl"):
            photos = [len(rows) for rows in study.shares(cell)]
            alone = lines_of(study.work / "alone" / f"{cell.name}.jsonl")
            of_cell = {"policy": cell.policy, "devices": cell.devices, "shares": cell.shares, "photos": photos}
            results.append({**of_cell, "rounds": rounds, "alone": alone})
    out: Path = study.arguments.out
    out.with_suffix(".jsonl").write_text("".join(json.dumps(each) + "\n" for each in results), encoding="utf-8")
    out.with_suffix(".md").write_text(page(study, results), encoding="utf-8")


def page(study: Study, results: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    arguments = study.arguments
    shown = [number for number in (1, 2, 3, 5, 10, 20) if number <= arguments.rounds]
    by_round = [f"round {number}" for number in shown]
    head = ["policy", "devices", "photos of a device", *by_round, "central", "each alone", "range"]
    cost_head = ["policy", "devices", "bytes of parameters", "MB in all", "s a round", "s of training", "J a round"]
    central = {each["policy"]: tested(each["alone"]) for each in results if each["devices"] == 1}
    federated = [each for each in results if each["devices"] > 1]
    whole = [each for each in federated if len(each["rounds"]) > arguments.rounds]
    cells = len(POLICIES) * len(DEVICES) * len(SHARES)
    left = "" if len(whole) == cells else f"**{len(whole)} of {cells} federations have run so far.**\n\n"
    counts = (
        f"{len(study.train):,} photos to train with, {len(study.test):,} to test with, {len(study.classes)} classes"
    )
    return f"""# Federated transfer learning: how much of the network is worth sending

{left}{counts}; {arguments.rounds} rounds of one local epoch. Made by

    {command_line(arguments)}

on {machine()}, {arguments.jobs} devices at a time, each a process of its own (`ort-tl fit`); Flower's FedAvg takes
the mean, weighted by photos. Accuracy is that of the test photos, in per cent. "Central" is one training with all
photos, as many epochs as there are rounds; "each alone" is the mean over devices that train as many epochs on their own
photos, and send nothing.

{table(head, [accuracies(each, shown, central.get(each["policy"], [])) for each in federated])}
## What it took

Bytes are those of the parameters in Flower's arrays, one way, for one device and round; what its protocol adds is in
[docs/fleet.md](../../docs/fleet.md#what-travels). A round's seconds are until the mean is taken, with {arguments.jobs}
devices at a time on one machine{arguments.note}: most of it are processes that start. Features were
computed before, but for the first round of each policy's central training. Training is the sum over devices.

{table(cost_head, [costs(each) for each in results])}"""


def accuracies(cell: dict[str, Any], shown: Sequence[int], central: Sequence[float]) -> list[str]:
    """A row of the first table."""
    by_round = {line["round"]: line["test"]["top1"] for line in cell["rounds"]}
    alone = tested(cell["alone"])
    return [
        cell["policy"],
        f"{cell['devices']}, {cell['shares']}",
        f"{min(cell['photos'])} to {max(cell['photos'])}",
        *[percent(by_round.get(number)) for number in shown],
        percent(central[0] if central else None),
        percent(sum(alone) / len(alone) if len(alone) == cell["devices"] else None),
        f"{percent(min(alone))} to {percent(max(alone))}" if len(alone) == cell["devices"] else "",
    ]


def costs(cell: dict[str, Any]) -> list[str]:
    """A row of the second table."""
    rounds = cell["rounds"][1:]
    devices = [device for line in rounds for device in line["devices"]]
    joules = [device["joules"] for device in devices]
    sent = [f"{line['bytes']['down'] // cell['devices']:,}" for line in rounds[:1]]
    in_all = f"{sum(line['bytes']['down'] + line['bytes']['up'] for line in rounds) / 1e6:.1f}"
    count = max(1, len(rounds))
    return [
        cell["policy"],
        "central, by epochs" if cell["devices"] == 1 else f"{cell['devices']}, {cell['shares']}",
        *(["", ""] if cell["devices"] == 1 else [*sent, in_all]),
        f"{sum(line['seconds'] for line in rounds) / count:.1f}",
        f"{sum(device['trainingSeconds'] for device in devices) / count:.1f}",
        "not measured" if None in joules or not joules else f"{sum(joules) / count:.0f}",
    ]


def tested(lines: Sequence[dict[str, Any]]) -> list[float]:
    """The accuracies of trainings."""
    return [line["test"]["top1"] for line in lines]


def percent(share: float | None) -> str:
    """A share in per cent, or nothing."""
    return "" if share is None else f"{100 * share:.1f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *rows])


def command_line(arguments: argparse.Namespace) -> str:
    """The command that made the results, without this machine's folders."""
    words = ["--model", arguments.model.name, "--photos", f"{arguments.photos.name}/", "--work", "FOLDER"]
    per_class = ["--per-class", str(arguments.per_class)] if arguments.per_class else []
    return " ".join(["python bench/federated.py", *words, "--rounds", str(arguments.rounds), *per_class])


def machine() -> str:
    """The processor and its cores."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def main() -> None:
    """Does what is left of the study, as far as --cells go, and writes what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "federated")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--per-class", type=int, help="photos of each class that train; all by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="devices at a time")
    parser.add_argument("--cells", help="only cells whose names have one of these in them, with commas between")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begins nothing after so many: run it again"
    )
    parser.add_argument("--note", default="", help="what to know of the machine's times")
    parser.add_argument("--ort-tl", default=os.environ.get("ORT_TL", "npx ort-tl"))
    arguments = parser.parse_args()
    study = Study(arguments)
    cells = [Cell(policy, 1, "iid") for policy in POLICIES]
    cells += [Cell(policy, devices, shares) for devices in DEVICES for shares in SHARES for policy in POLICIES]
    wanted = arguments.cells.split(",") if arguments.cells else [""]
    with suppress(OutOfTime):
        for cell in cells:
            if any(each in cell.name for each in wanted):
                federate(study, cell)
                train_alone(study, cell)
    report(study, cells)


if __name__ == "__main__":
    main()
