"""What a round costs the server with many devices: its processor time and memory, measured with synthetic devices.

    python bench/federatedServer.py --devices 1000 [--way flower|streamed|superlink]

`flower` gives all replies to Flower's FedAvg at once, as its own loop does; `streamed` adds them up one after another,
as integrations/flower does; both in this process, from replies as they lie in its memory. `superlink` starts a real
SuperLink with the server app, and devices that speak Flower's protocol and train nothing: each has random parameters of
its own, so that nothing is sent once for two. Prints one line of JSON. Needs what integrations/flower needs
(pip install ./integrations/flower).
"""

import argparse
import contextlib
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

# Flower reads these when it is imported, which is hence below.
os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
APP = Path(__file__).resolve().parent.parent / "integrations" / "flower"
sys.path.insert(0, str(APP))

import numpy as np
from flwr.app import ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.app.message import make_message
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import pull_objects
from flwr.supernode.fleet_http_connection import http_request_response
from ort_tl_flower.mean import NOWHERE, WeightedMean
from ort_tl_flower.parameters import Parameters, checked, record, write

# The layers of F1C1 of EfficientNet-B0 with six classes: 1,679,384 bytes.
SHAPES = {
    "conv.weight": (1280, 320, 1, 1),
    "scale": (1280,),
    "shift": (1280,),
    "head.weight": (6, 1280),
    "head.bias": (6,),
}
PORT = 9750


def drawn(seed: int) -> Parameters:
    """Parameters of a device, unlike those of any other."""
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(shape, np.float32) for name, shape in SHAPES.items()}


def reply(seed: int) -> Message:
    """What a device gives back."""
    metrics = MetricRecord({"num-examples": 100 + seed})
    content = RecordDict({"arrays": record(drawn(seed)), "metrics": metrics})
    return make_message(metadata=NOWHERE, content=content)


def in_memory(devices: int, way: str) -> dict[str, Any]:
    """The mean of replies; the time that it takes to draw them does not count."""
    like = drawn(0)
    base = peak()
    replies = [reply(seed) for seed in range(devices)] if way == "flower" else []
    began = time.process_time()
    if way == "flower":
        FedAvg().aggregate_train(1, replies)
        return {"cpuSeconds": round(time.process_time() - began, 2), "peakBytes": peak(), "peakBytesBefore": base}
    mean = WeightedMean(like)
    spent = 0.0
    for seed in range(devices):
        message = reply(seed)
        began = time.process_time()
        mean.add(checked(message.content.array_records["arrays"], like), 100 + seed)
        spent += time.process_time() - began
    began = time.process_time()
    FedAvg().aggregate_train(1, [mean.message()])
    return {
        "cpuSeconds": round(spent + time.process_time() - began, 2),
        "peakBytes": peak(),
        "peakBytesBefore": base,
    }


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Watched:
    """Processor seconds and memory of processes by what stands on their command lines, read from /proc."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.cpu: dict[str, float] = {}
        self.peak: dict[str, int] = {}

    def look(self) -> None:
        """Reads once what each process has taken so far."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                name = next(
                    (each for each in self.names if any(word.endswith(each.encode()) for word in words[:2])), None
                )
                if name is None or str(PORT).encode() not in b" ".join(words):
                    continue
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                self.cpu[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                status = (folder / "status").read_text()
                high = next(line for line in status.splitlines() if line.startswith("VmHWM"))
                self.peak[name] = int(high.split()[1]) * 1024


def over_superlink(devices: int) -> dict[str, Any]:
    """One round over a real SuperLink; the devices' own processor time is not in it."""
    with tempfile.TemporaryDirectory(prefix="ort-tl-federation-") as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        engine = stand_in(folder)
        environment = {**os.environ, "FLWR_HOME": str(folder), "PYTHONPATH": str(APP), "PYTHONDONTWRITEBYTECODE": "1"}
        (folder / "config.toml").write_text(f'[superlink.here]\naddress = "127.0.0.1:{PORT}"\ninsecure = true\n')
        command = [sys.executable, "-m", "ort_tl_flower"]
        with (folder / "superlink.log").open("w") as log:
            link = subprocess.Popen(
                [*command, "superlink", "--insecure", "--port", str(PORT)], env=environment, stdout=log, stderr=log
            )
        stack.callback(link.terminate)
        fleet = stack.enter_context(connected(devices))
        watched = Watched(("flower-superlink", "flwr-serverapp"))
        watched.look()
        before = dict(watched.cpu)
        began = time.monotonic()
        settings = {"ort-tl": engine, "artifacts": ".", "out": str(folder / "out"), "rounds": 1, "min-devices": devices}
        told = " ".join(f"{key}={json.dumps(value)}" for key, value in {**settings, "evaluate-every": -1}.items())
        subprocess.run([*command, "flwr", "run", str(APP), "here", "--run-config", told], env=environment, check=True)
        fleet.serve(lambda: (folder / "out" / "rounds" / "0001").exists() or time.monotonic() > began + 1800, watched)
        line = json.loads((folder / "out" / "rounds.jsonl").read_text().splitlines()[-1])
        return {
            "seconds": line["seconds"],
            "devicesInRound": len(line["devices"]),
            "bytes": line["bytes"],
            "cpuSeconds": {name: round(value - before.get(name, 0), 1) for name, value in watched.cpu.items()},
            "peakBytes": watched.peak,
        }


def stand_in(folder: Path) -> str:
    """A command that gives the server its parameters as `ort-tl fit` does, without a model."""
    write(folder / "begun.safetensors", drawn(0))
    report = {"fingerprint": "synthetic", "policy": "F1C1", "classes": list("abcdef")}
    (folder / "begun.json").write_text(json.dumps(report), encoding="utf-8")
    script = folder / "fit.py"
    script.write_text(
        "import os, shutil, sys\n"
        "here, out = os.path.dirname(__file__), sys.argv[sys.argv.index('--out') + 1]\n"
        "os.makedirs(out)\n"
        "shutil.copy(here + '/begun.safetensors', out + '/parameters.safetensors')\n"
        "shutil.copy(here + '/begun.json', out + '/fit.json')\n",
        encoding="utf-8",
    )
    return shlex.join([sys.executable, str(script)])


@contextlib.contextmanager
def connected(devices: int) -> Iterator["Fleet"]:
    """Devices that are connected to the SuperLink."""
    address = f"127.0.0.1:{PORT}"
    with contextlib.ExitStack() as stack:
        yield Fleet([stack.enter_context(http_request_response(address, True)) for _ in range(devices)])


class Fleet:
    """Synthetic devices: each answers what it is asked, as a SuperNode does, and computes nothing."""

    def __init__(self, connections: list[Any]) -> None:
        self.connections = connections

    def serve(self, is_over: Callable[[], bool], watched: Watched) -> None:
        """Lets each device ask for messages every three seconds, as a SuperNode does, until it is over."""
        while not is_over():
            again = time.monotonic() + 3
            for index, connection in enumerate(self.connections):
                if received := connection[1]():
                    self._answer(index, received)
            watched.look()
            while time.monotonic() < again and not is_over():
                time.sleep(0.1)

    def _answer(self, index: int, received: Any) -> None:
        """Takes a message with all that belongs to it, and sends what it asks for."""
        _, _, send, _, _, pull, push, confirm = self.connections[index]
        message, tree = received
        run = message.metadata.run_id
        pull_objects([each.object_id for each in iterate_object_tree(tree)], partial(pull, run))
        confirm(run, message.metadata.message_id)
        answer = Message(answer_of(message.metadata.message_type, index), reply_to=message)
        answer.metadata.__dict__["_message_id"] = answer.object_id
        with no_object_id_recompute():
            objects = get_all_nested_objects(answer)
            wanted, session = send(answer, get_object_tree(answer), 0.0)
            for key in wanted:
                push(run, session, key, objects[key].deflate())


def answer_of(message_type: str, index: int) -> RecordDict:
    """What a device says of itself, or the parameters that it has not trained."""
    if message_type == MessageType.QUERY:
        about: dict[str, Any] = {"name": f"device {index}", "fingerprint": "synthetic", "policy": "F1C1", "classes": list("abcdef")}
        return RecordDict({"device": ConfigRecord(about)})
    if message_type == MessageType.EVALUATE:
        return RecordDict({"metrics": MetricRecord({"evaluated": 0})})
    return reply(index + 1).content


def main() -> None:
    """Measures one way, and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--way", choices=["flower", "streamed", "superlink"], default="streamed")
    arguments = parser.parse_args()
    size = sum(each.nbytes for each in drawn(0).values())
    measure = (
        over_superlink(arguments.devices)
        if arguments.way == "superlink"
        else in_memory(arguments.devices, arguments.way)
    )
    print(json.dumps({"way": arguments.way, "devices": arguments.devices, "parameterBytes": size, **measure}))


if __name__ == "__main__":
    main()
