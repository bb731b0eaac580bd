"""What of the app needs no federation: python -m unittest discover -s integrations/flower/tests"""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from flwr.app import ArrayRecord, MetricRecord, RecordDict
from flwr.app.message import make_message
from flwr.serverapp.strategy import FedAvg, FedAvgM

from ort_tl_flower.devices import Agreement, visible
from ort_tl_flower.fit import Engine
from ort_tl_flower.mean import NOWHERE, WeightedMean
from ort_tl_flower.parameters import Parameters, Refused, checked, record
from ort_tl_flower.rounds import Rounds
from ort_tl_flower.server_app import pooled
from ort_tl_flower.strategies import momentum_of, set_momentum, strategy_of

SETTINGS = {"min-devices": 2, "fraction": 1.0, "proximal-mu": 0.1, "server-learning-rate": 1.0, "server-momentum": 0.9}


def drawn(seed: int) -> Parameters:
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(shape, np.float32) for name, shape in {"b": (3, 4), "a": (3,)}.items()}


class MeanTest(unittest.TestCase):
    def test_is_the_mean_that_flower_takes_of_all_replies_at_once(self) -> None:
        mean = WeightedMean(drawn(0))
        replies = []
        for seed in range(5):
            mean.add(drawn(seed), 10 + seed)
            metrics = MetricRecord({"num-examples": 10 + seed})
            content = RecordDict({"arrays": record(drawn(seed)), "metrics": metrics})
            replies.append(make_message(metadata=NOWHERE, content=content))
        expected, _ = FedAvg().aggregate_train(1, replies)
        got, _ = FedAvg().aggregate_train(1, [mean.message()])
        assert expected is not None and got is not None
        for name in drawn(0):
            np.testing.assert_allclose(got[name].numpy(), expected[name].numpy(), rtol=1e-5, atol=1e-6)


class CheckedTest(unittest.TestCase):
    def test_refuses_what_does_not_fit_or_is_no_number(self) -> None:
        like = drawn(0)
        wrong = {
            'lack "a"': {"b": like["b"]},
            'have "c"': {**like, "c": like["a"]},
            "float32 \\[4\\], not": {**like, "a": np.zeros(4, np.float32)},
            "is float64": {**like, "a": np.zeros(3)},
            "1 of 12 values are NaN": {
                **like,
                "b": np.where(np.arange(12).reshape(3, 4) == 5, np.nan, 0).astype(np.float32),
            },
        }
        for words, parameters in wrong.items():
            with self.assertRaisesRegex(Refused, words):
                checked(record(parameters), like)
        with self.assertRaisesRegex(Refused, "lack"):
            checked(ArrayRecord(), like)
        self.assertEqual(list(checked(record(like), like)), ["b", "a"])


class RoundsTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_go_on_after_the_last_whole_one(self) -> None:
        agreement = {"fingerprint": "f"}
        rounds = Rounds(self.folder, agreement)
        self.assertIsNone(rounds.last)
        for number in range(3):
            rounds.keep({"round": number}, drawn(number), None)
        # As if the server was killed while it wrote the line of the third round.
        lines = self.folder / "rounds.jsonl"
        lines.write_text(lines.read_text()[:-3])
        again = Rounds(self.folder, agreement)
        self.assertEqual(again.last, 1)
        again.keep({"round": 2}, drawn(7), None)
        np.testing.assert_array_equal(Rounds(self.folder, agreement).parameters(2)["a"], drawn(7)["a"])
        self.assertEqual([json.loads(line)["round"] for line in lines.read_text().splitlines()], [0, 1, 2])

    def test_are_not_those_of_another_federation(self) -> None:
        Rounds(self.folder, {"fingerprint": "f"})
        with self.assertRaisesRegex(ValueError, "another fingerprint: f, not g"):
            Rounds(self.folder, {"fingerprint": "g"})

    def test_keep_the_momentum_of_the_server(self) -> None:
        def step(strategy: FedAvg, parameters: Parameters, number: int) -> Parameters:
            strategy.current_arrays = record(parameters)  # type: ignore[attr-defined]
            mean = WeightedMean(parameters)
            mean.add(drawn(number), 1)
            arrays, _ = strategy.aggregate_train(number, [mean.message()])
            assert arrays is not None
            return {name: arrays[name].numpy() for name in parameters}

        config = {**SETTINGS, "strategy": "FedAvgM"}
        unbroken = strategy_of(config)
        self.assertIsInstance(unbroken, FedAvgM)
        parameters = step(unbroken, drawn(0), 1)
        rounds = Rounds(self.folder, {})
        rounds.keep({"round": 1}, parameters, momentum_of(unbroken, list(parameters)))
        broken = strategy_of(config)
        kept = rounds.parameters(1)
        set_momentum(broken, rounds.momentum(1), list(kept))
        expected, got = step(unbroken, parameters, 2), step(broken, kept, 2)
        for name in expected:
            np.testing.assert_array_equal(got[name], expected[name])


class OtherTest(unittest.TestCase):
    def test_agreement_tells_what_differs(self) -> None:
        own = Agreement("f", "F1C1", ("a", "b"))
        self.assertIsNone(own.differs(own))
        self.assertEqual(own.differs(Agreement("g", "F1C1", ("a", "c"))), "another class list: a, c instead of a, b")
        self.assertEqual(own.differs(Agreement("g", "F1C0", ("a", "b"))), "another policy: F1C0 instead of F1C1")
        self.assertRegex(str(own.differs(Agreement("g", "F1C1", ("a", "b")))), "^another model: ")

    def test_what_devices_say_does_not_steer_a_terminal(self) -> None:
        self.assertEqual(visible("north\x1b[2J\n"), "north?[2J?")
        self.assertEqual(len(visible("a" * 10_000)), 500)

    def test_accuracy_is_pooled_over_photos_not_over_devices(self) -> None:
        devices = [
            {"evaluated": 10, "correct": 9, "loss": 1.0},
            {"evaluated": 30, "correct": 3, "loss": 3.0},
            {"evaluated": 0},
        ]
        self.assertEqual(pooled(devices), {"evaluated": 40, "loss": 2.5, "top1": 0.3})
        self.assertIsNone(pooled([{"evaluated": 0}]))

    def test_a_strategy_that_there_is_not_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "FedAvg, FedProx or FedAvgM, not FedMagic"):
            strategy_of({**SETTINGS, "strategy": "FedMagic"})
        with self.assertRaisesRegex(ValueError, "fraction"):
            strategy_of({**SETTINGS, "strategy": "FedAvg", "fraction": 0.0})

    def test_a_command_that_is_no_ort_tl_is_refused(self) -> None:
        with self.assertRaisesRegex(Refused, "does not run"):
            Engine(("/no/such/command",), ".").fit({"epochs": 0})
        with self.assertRaisesRegex(Refused, "ended with 3: what is wrong"):
            words = "import sys; print('what is wrong', file=sys.stderr); sys.exit(3)"
            Engine((sys.executable, "-c", words), ".").fit({"epochs": 0})


if __name__ == "__main__":
    unittest.main()
