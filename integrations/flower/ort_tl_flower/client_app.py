"""A device of a federation: says what it has, trains and evaluates with `ort-tl fit` on photos that stay there.

What it is and has stands in its SuperNode's --node-config:

    name="north" artifacts="/srv/artifacts" photos="/srv/photos" [cache="/srv/cache"] [val-fraction=0.2] [energy="auto"]
    [ort-tl="node /opt/ort-tl/dist/bin/start.cjs"]

Neither the command nor a path comes from the server.
"""

from collections.abc import Callable
from typing import Any, cast

from flwr.app import ConfigRecord, Context, Message, MetricRecord, MetricRecordValues, RecordDict
from flwr.clientapp import ClientApp

from .fit import Engine, Fitted, engine_of
from .parameters import Refused, record

app = ClientApp()

Scalar = str | int | float

# What of the node's settings is a flag of `ort-tl fit`.
NODE_FLAGS = {"photos": "data", "cache": "cache", "val-fraction": "val-fraction", "energy": "energy"}


@app.query()
def query(message: Message, context: Context) -> Message:
    """What the device has: its name, and the fingerprint, policy and classes of its artifacts."""

    def answer(engine: Engine) -> RecordDict:
        report = engine.fit({"epochs": 0}).report
        has = {key: report[key] for key in ("fingerprint", "policy", "classes")}
        return RecordDict({"device": ConfigRecord({"name": _name(context), **has})})

    return _answered(message, context, answer)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Trains from the server's parameters on and gives back the device's, with what it took."""

    def answer(engine: Engine) -> RecordDict:
        fitted = _fit(engine, message, context, int(_config(message)["epochs"]))
        return RecordDict({"arrays": record(fitted.parameters), "metrics": MetricRecord(_train_metrics(fitted.report))})

    return _answered(message, context, answer)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Evaluates the server's parameters on the device's own photos of validation."""

    def answer(engine: Engine) -> RecordDict:
        fitted = _fit(engine, message, context, epochs=0)
        return RecordDict({"metrics": MetricRecord(_counts(fitted.report, "after"))})

    return _answered(message, context, answer)


def _config(message: Message) -> dict[str, Scalar]:
    """What the server tells of a round: single values, all of them."""
    return cast(dict[str, Scalar], message.content.config_records["config"])


def _fit(engine: Engine, message: Message, context: Context, epochs: int) -> Fitted:
    config = _config(message)
    flags: dict[str, Scalar] = {
        flag: value for key, flag in NODE_FLAGS.items() if (value := context.node_config.get(key, "")) != ""
    }
    if "data" not in flags:
        raise Refused("its --node-config names no photos")
    flags |= {"epochs": epochs, "seed": int(config["seed"])}
    if rate := float(config["learning-rate"]):
        flags["lr"] = rate
    if proximal := float(config.get("proximal-mu", 0)):
        flags["proximal"] = proximal
    arrays = message.content.array_records["arrays"]
    fitted = engine.fit(flags, {name: array.numpy() for name, array in arrays.items()})
    if fitted.report["fingerprint"] != config["fingerprint"]:
        raise Refused("its artifacts are of another model, policy or list of classes than when it was asked")
    return fitted


def _train_metrics(report: dict[str, Any]) -> dict[str, MetricRecordValues]:
    """Numbers alone: what was not measured is absent."""
    seconds = {f"seconds-{part}": float(value) for part, value in report["seconds"].items()}
    losses = report["trainLoss"]
    return {
        "num-examples": int(report["photos"]["train"]),
        **({"train-loss": float(losses[-1])} if losses else {}),
        **seconds,
        **({"joules": float(report["joules"])} if report.get("joules") is not None else {}),
        **{f"{when}-{key}": value for when in ("before", "after") for key, value in _counts(report, when).items()},
    }


def _counts(report: dict[str, Any], when: str) -> dict[str, MetricRecordValues]:
    """How many photos of validation were evaluated, how many of them were right, and their mean loss."""
    figures = report[when] or {"evaluated": 0}
    return {key: figures[key] for key in ("evaluated", "correct", "loss", "map") if key in figures}


def _answered(message: Message, context: Context, answer: Callable[[Engine], RecordDict]) -> Message:
    """The answer, or why there is none, which the server tells with the device's name."""
    settings = context.node_config
    try:
        if not settings.get("artifacts"):
            raise Refused("its --node-config names no artifacts")
        content = answer(engine_of(settings.get("ort-tl"), settings["artifacts"]))
    except Refused as refused:
        content = RecordDict({"refused": ConfigRecord({"name": _name(context), "reason": str(refused)})})
    return Message(content, reply_to=message)


def _name(context: Context) -> str:
    return str(context.node_config.get("name") or f"device {context.node_id}")
