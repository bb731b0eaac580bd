"""The devices of a federation by their names: who is admitted, who is refused and why, and what they reply."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from logging import INFO, WARNING
from typing import Any

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore import log

# So many replies are in memory at most: Flower's own send_and_receive holds all of a round.
TOGETHER = 16
POLL_SECONDS = 0.5
# A device that fails so often to say what it has is not asked again.
FAILURES = 3
# Where Flower's own words say less.
FAILED = {
    ErrorCode.MESSAGE_UNAVAILABLE: "no answer in time",
    ErrorCode.REPLY_MESSAGE_UNAVAILABLE: "its answer came too late",
    ErrorCode.NODE_UNAVAILABLE: "it is gone: no heartbeat for a minute",
}
# Characters of what a device says that are told.
MOST_TOLD = 500
# For an answer to what a device has.
ASK_SECONDS = 300.0


@dataclass(frozen=True)
class Agreement:
    """What all devices of a federation have to have alike."""

    fingerprint: str
    policy: str
    classes: tuple[str, ...]

    def differs(self, other: "Agreement") -> str | None:
        """What is otherwise on a device, in words; None where nothing is."""
        if other.fingerprint == self.fingerprint:
            return None
        if other.classes != self.classes:
            return f"another class list: {', '.join(other.classes)} instead of {', '.join(self.classes)}"
        if other.policy != self.policy:
            return f"another policy: {other.policy} instead of {self.policy}"
        return f"another model: its artifacts have the fingerprint {other.fingerprint}, not {self.fingerprint}"


def agreement_of(about: Mapping[str, Any]) -> Agreement:
    """What a fit.json tells of its artifacts, or a device of its own."""
    return Agreement(str(about["fingerprint"]), str(about["policy"]), tuple(map(str, about["classes"])))


def visible(text: str) -> str:
    """What a device says, as a log may show it: no controls of a terminal, and no more than a line or two."""
    return "".join(each if each.isprintable() else "?" for each in text)[:MOST_TOLD]


class Devices:
    """The admitted devices, which are all that Flower's strategies see of a grid."""

    def __init__(self, grid: Grid, agreement: Agreement, seconds: float) -> None:
        """Devices get `seconds` for an answer to any one message."""
        self._grid = grid
        self._agreement = agreement
        self._seconds = seconds
        self._names: dict[int, str] = {}
        self._outside: set[int] = set()
        self._failures: dict[int, int] = {}
        self.refused: dict[str, str] = {}

    def get_node_ids(self) -> list[int]:
        """The connected devices that are admitted; those that nobody knows yet are asked first what they have."""
        connected = list(self._grid.get_node_ids())
        self._outside.intersection_update(connected)
        if strangers := [node for node in connected if node not in self._names and node not in self._outside]:
            self._ask(strangers)
        return [node for node in connected if node in self._names]

    def name(self, node: int) -> str:
        """A device's name."""
        return self._names.get(node, f"device {node}")

    def replies(self, messages: Iterable[Message]) -> Iterator[tuple[str, RecordDict]]:
        """What devices give back, by their names, as it comes. Those that refuse, fail or do not answer are told."""
        for node, reply in self._exchange(messages, self._seconds):
            if reply is None:
                self.refuse(self.name(node), f"no answer in {self._seconds:.0f} s")
            elif reply.has_error():
                self.refuse(self.name(node), FAILED.get(reply.error.code, reply.error.reason))
            elif refused := reply.content.config_records.get("refused"):
                self.refuse(self.name(node), str(refused["reason"]))
            else:
                yield self.name(node), reply.content

    def refuse(self, name: str, reason: str | None) -> None:
        """Leaves a device out of the round, and says so."""
        self.refused[name] = visible(reason or "it failed, and did not say why")
        log(WARNING, "%s is left out: %s", name, self.refused[name])

    def _ask(self, nodes: list[int]) -> None:
        """Admits devices that have what was agreed. Others stay outside as long as they are connected."""
        content = RecordDict({"config": ConfigRecord({"fingerprint": self._agreement.fingerprint})})
        asked = [Message(content, dst_node_id=node, message_type=MessageType.QUERY) for node in nodes]
        for node, reply in self._exchange(asked, min(self._seconds, ASK_SECONDS)):
            if reply is None or reply.has_error():
                # It may be better next time, a few times.
                self._failures[node] = self._failures.get(node, 0) + 1
                if self._failures[node] >= FAILURES:
                    self._outside.add(node)
                self.refuse(self.name(node), "no answer" if reply is None else reply.error.reason)
                continue
            answer = next(iter(reply.content.config_records.values()))
            name = visible(str(answer["name"]))
            reason = str(answer["reason"]) if "reason" in answer else self._agreement.differs(agreement_of(answer))
            if reason is None:
                # It may be the same one, started again, or another: both take part as long as they answer.
                self._names[node] = f"{name} ({node})" if name in self._names.values() else name
                log(INFO, "%s is admitted", self._names[node])
            else:
                self._outside.add(node)
                self.refuse(name, reason)

    def _exchange(self, messages: Iterable[Message], seconds: float) -> Iterator[tuple[int, Message | None]]:
        """Each device with its reply, a few at a time; None for one that did not answer in time."""
        sent = list(messages)
        for message in sent:
            # Whoever comes late finds nothing to do, instead of something that nobody waits for.
            message.metadata.ttl = seconds
        pushed = self._grid.push_messages(sent)
        waiting = {identity: each.metadata.dst_node_id for identity, each in zip(pushed, sent, strict=True)}
        end = time.monotonic() + seconds
        while waiting and time.monotonic() < end:
            identities = list(waiting)
            before = len(waiting)
            for at in range(0, len(identities), TOGETHER):
                for reply in self._grid.pull_messages(identities[at : at + TOGETHER]):
                    yield waiting.pop(reply.metadata.reply_to_message_id), reply
            if len(waiting) == before:
                time.sleep(POLL_SECONDS)
        for node in waiting.values():
            yield node, None
