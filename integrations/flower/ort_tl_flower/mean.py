"""The mean of many devices' parameters, of which one device's are in memory at a time."""

from collections.abc import Mapping

import numpy as np
from flwr.app import Message, MessageType, Metadata, MetricRecord, RecordDict
from flwr.app.message import make_message

from .parameters import Parameters, record

# Of a message that is not sent.
NOWHERE = Metadata(
    run_id=0,
    message_id="",
    src_node_id=0,
    dst_node_id=0,
    reply_to_message_id="",
    group_id="",
    created_at=0.0,
    ttl=1.0,
    message_type=MessageType.TRAIN,
)


class WeightedMean:
    """Σ weight · parameters / Σ weight, summed up in float64 as replies come: memory does not grow with the devices."""

    def __init__(self, like: Mapping[str, np.ndarray]) -> None:
        """Begins with nothing; `like` has the names, shapes and types."""
        self._types = {name: values.dtype for name, values in like.items()}
        self._sums = {name: np.zeros(values.shape, np.float64) for name, values in like.items()}
        self.weight = 0.0

    def add(self, parameters: Mapping[str, np.ndarray], weight: float) -> None:
        """Adds one device's parameters, of the names and shapes of `like`."""
        for name, total in self._sums.items():
            total += weight * parameters[name].astype(np.float64)
        self.weight += weight

    def parameters(self) -> Parameters:
        """The mean so far, of which there has to be something."""
        return {name: (total / self.weight).astype(self._types[name]) for name, total in self._sums.items()}

    def message(self) -> Message:
        """The mean as the reply of one device with all photos, which Flower's strategies take for a round's replies.

        FedAvg, FedProx and FedAvgM use nothing of the replies but their mean by the number of photos. It is the same,
        but for Flower's rounding to float32 at each device.
        """
        content = RecordDict(
            {"arrays": record(self.parameters()), "metrics": MetricRecord({"num-examples": self.weight})}
        )
        return make_message(metadata=NOWHERE, content=content)
