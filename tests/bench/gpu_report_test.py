#!/usr/bin/env python3
"""Tests for bench/gpu/gpu_model.py, usual_path.py, predict_pong.py, gpu_report.py and gpu_pong.py."""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench" / "gpu"), str(ROOT / "tests" / "gpu")]

import gpu_model  # noqa: E402
import gpu_pong  # noqa: E402
import gpu_report  # noqa: E402
import predict_pong  # noqa: E402
import sass  # noqa: E402
import usual_path  # noqa: E402


def instruction(opcode, stall=1, barrier=7, waits=0):
    return sass.Instruction(0, "", opcode, "", stall | barrier << 5 | waits << 11)


class BusyCyclesTest(unittest.TestCase):
    def busy(self, opcodes, broadcast=False):
        return gpu_model.busy_cycles([instruction(o) for o in opcodes], sass.class_of, broadcast)

    def test_is_a_cycle_an_instruction(self):
        self.assertEqual(self.busy(["FFMA"] * 6 + ["BRA"]), 7)

    def test_is_the_busiest_unit_if_that_takes_longer(self):
        self.assertEqual(self.busy(["MUFU.RCP"] * 3 + ["FFMA"] * 5), 24)
        self.assertEqual(self.busy(["LOP3.LUT", "ISETP"] * 5), 20)
        self.assertEqual(self.busy(["IMAD"] * 5), 10)

    def test_shared_memory_counts_by_width_unless_it_is_read_by_all_alike(self):
        self.assertEqual(self.busy(["LDS.128"] * 2), 32)
        self.assertEqual(self.busy(["LDS.128"] * 2, broadcast=True), 8)


class LoneCyclesTest(unittest.TestCase):
    def test_adds_up_the_stalls(self):
        self.assertEqual(gpu_model.lone_cycles([instruction("FFMA", 4), instruction("FFMA", 1)], sass.class_of), 5)

    def test_waits_for_what_is_needed(self):
        load, use = instruction("LDS", 1, barrier=0), instruction("FFMA", 4, waits=1)
        self.assertEqual(gpu_model.lone_cycles([load, use], sass.class_of), gpu_model.LATENCY["LDS"] + 4)

    def test_a_load_may_come_from_the_cache(self):
        code = [instruction("LDG", 1, barrier=0), instruction("FFMA", 4, waits=1)]
        self.assertEqual(gpu_model.lone_cycles(code, sass.class_of, cached=True), gpu_model.CACHED_LOAD + 4)

    def test_a_load_takes_as_long_as_is_said(self):
        code = [instruction("LDG", 1, barrier=0), instruction("FFMA", 4, waits=1)]
        self.assertEqual(gpu_model.lone_cycles(code, sass.class_of, load=258), 258 + 4)

    def test_a_wait_for_the_turn_before_counts(self):
        use, load = instruction("FFMA", 4, waits=1), instruction("LDG", 1, barrier=0)
        self.assertEqual(gpu_model.lone_cycles([use, load], sass.class_of), gpu_model.LATENCY["LDG"] + 4)


class EstimateTest(unittest.TestCase):
    MACHINE = gpu_model.Machine("X", 1, (1e9, 2e9), (1e12, 1e12))

    def estimate(self, warps, bytes_per_step=1e-9, stall=1, length=10, turns=None):
        body = [instruction("FFMA", stall)] * length
        loop = types.SimpleNamespace(own=body, always=body, parent=None)
        function = types.SimpleNamespace(hot=lambda: loop, registers=32, shared=0)
        work = gpu_model.Work("BM_x", "x", 32 * warps, 128, warps, gpu_model.STEPS, 0, bytes_per_step)
        return gpu_model.estimate(self.MACHINE, function, work, sass.class_of, turns)

    def test_issue_limits_a_full_device(self):
        e = self.estimate(40)  # 10 warps a scheduler, 10 cycles a turn each
        self.assertEqual(e.limit, ("issue", "issue"))
        self.assertAlmostEqual(e.rate[0], 40 * 32 * 1e9 / 100, delta=1)
        self.assertAlmostEqual(e.rate[1], 2 * e.rate[0], delta=1)
        self.assertAlmostEqual(e.instructions[0], 10)

    def test_the_low_bound_runs_what_is_seldom_as_often_as_rules_say(self):
        turns = types.SimpleNamespace(usual=lambda code: code[:6], count=lambda code: 8)
        e = self.estimate(40, turns=turns)
        self.assertEqual(e.instructions, (8, 10))
        self.assertEqual(e.limit, ("issue", "issue"))
        self.assertAlmostEqual(e.rate[0], 40 * 32 * 1e9 / 80, delta=1)
        self.assertAlmostEqual(self.estimate(4, stall=6, turns=turns).rate[0], 4 * 32 * 1e9 / 40, delta=1)

    def test_a_turn_longer_than_the_cache_of_instructions_waits_for_code(self):
        self.assertEqual(gpu_model.fetch_stalls(1600, 0), 1)
        self.assertEqual([gpu_model.fetch_stalls(1601, bound) for bound in (0, 1)], [1.2, 1.1])
        e = self.estimate(40, length=2000)
        self.assertEqual(e.limit, ("issue", "issue"))
        self.assertAlmostEqual(e.rate[0], 40 * 32 * 1e9 / (1.2 * 20000), delta=1)

    def test_latency_limits_an_empty_one(self):
        e = self.estimate(4, stall=6)
        self.assertEqual(e.limit, ("latency", "latency"))
        self.assertAlmostEqual(e.rate[0], 4 * 32 * 1e9 / 60, delta=1)

    def test_memory_limits_what_moves_much(self):
        e = self.estimate(40, bytes_per_step=1000)
        self.assertEqual(e.limit, ("memory", "memory"))
        self.assertAlmostEqual(e.rate[0], 1e9, delta=1)


class UsualPathTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.source = pathlib.Path(self.folder.name, "k.cuh")
        self.source.write_text("step();\nrestart();\nif (t % 4 == 0) draw();\n")
        where = f'//## File "{self.source}", line'
        self.text = (
            f"\t.section\t.text.kernel\n{where} 1\n /*0000*/ FADD R1, R1, R1;\n /*0010*/ @P0 FADD R1, R1, R1;\n"
            f'{where} 1 inlined at "{self.source}", line 2\n{where} 2\n /*0020*/ FMUL R1, R1, R1;\n'
            f"{where} 3\n /*0030*/ IMAD R1, R1, R1, R1;\n")

    def turns(self):
        code = [sass.Instruction(a, "", "FADD", "") for a in (0, 16, 32, 48)]
        function = types.SimpleNamespace(name="kernel")
        rules = [("restart(", 0), ("draw(", 0.25)]
        return usual_path.Turns(function, usual_path.parse(self.text), rules), code

    def test_an_instruction_has_the_lines_it_was_inlined_at(self):
        lines = usual_path.parse(self.text)
        self.assertEqual([n for _, n in lines["kernel", 32]], [1, 2])
        self.assertEqual(lines["kernel", 16], lines["kernel", 0])

    def test_a_rule_that_fits_no_line_is_refused(self):
        lines = usual_path.parse(self.text)
        usual_path.check_rules([("restart(", 0), ("draw(", 0.25)], lines)
        with self.assertRaisesRegex(SystemExit, "leave"):
            usual_path.check_rules([("restart(", 0), ("leave(", 0)], lines)

    def test_counts_what_runs_in_a_usual_turn(self):
        turns, code = self.turns()
        self.assertEqual(turns.usual(code), code[:2])
        self.assertEqual(turns.count(code), 2.25)


class PongTest(unittest.TestCase):
    def test_start_up_is_not_timed(self):
        log = [{"global_step": n, "time/seconds": s} for n, s in ((100, 9.0), (300, 10.0), (500, 11.0))]
        self.assertEqual(gpu_pong.timed_rate(log), 200)

    def test_rows_are_read_back_as_rates(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "m.json")
            file.write_text(json.dumps({"benchmarks": [gpu_pong.entry("BM_x/pong/cuda/N:1", 2e9)]}))
            self.assertEqual(gpu_report.read_measured(file)[1], {"BM_x/pong/cuda/N:1": (2e9, {})})

    def measure(self, file, outcomes):
        """Measures one row after the other; an outcome is rates, or an exception in their place."""
        wanted = [gpu_pong.Row(f"BM_{i}/pong/cuda/N:1", 1, "") for i in range(len(outcomes))]

        def rates(row):
            outcome = outcomes[wanted.index(row)]
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        with contextlib.redirect_stdout(io.StringIO()):
            return gpu_pong.measure(file, wanted, rates)

    def test_what_was_measured_survives_the_end_of_the_process(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "m.json")
            file.write_text(json.dumps({"context": {"gpu": "X"}, "benchmarks": []}))
            with self.assertRaises(KeyboardInterrupt):
                self.measure(file, [[1e9, 3e9, 2e9], [5e9], KeyboardInterrupt(), [7e9]])
            context, rows = gpu_report.read_measured(file)
            self.assertEqual([value for value, _ in rows.values()], [2e9, 5e9])
            self.assertEqual(context, {"gpu": "X"})
            self.assertEqual([p.name for p in pathlib.Path(folder).iterdir()], ["m.json"])

    def test_a_row_that_fails_does_not_take_the_others_along(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "new.json")
            self.assertEqual(self.measure(file, [[1e9], gpu_pong.Failure("lost"), [3e9]]), 1)
            self.assertEqual(list(gpu_report.read_measured(file)[1]), ["BM_0/pong/cuda/N:1", "BM_2/pong/cuda/N:1"])

    def test_every_goal_of_pong_is_measured(self):
        measured = {row.name for row in gpu_pong.rows()}
        self.assertLessEqual({goal for goal in gpu_model.GOALS if "/pong/" in goal}, measured)

    def test_every_goal_is_predicted(self):
        for machine in gpu_model.MACHINES:
            predicted = gpu_report.read_predicted(ROOT / "bench" / "results", machine.name)[1]
            self.assertLessEqual(set(gpu_model.GOALS), set(predicted))

    def test_the_gap_is_the_predicted_share_of_the_goal(self):
        row = "BM_train_games/pong/cuda/N:8448"
        text = predict_pong.gap(f"| {row} | 9 | 5e8 | 6e8 | x | 1.00e+09 | 3.00e+09 | x |\n| BM_y | | | | | 1 | 2 | |")
        self.assertIn("| train_games/pong/cuda/N:8448 | 2e+09 | 1e+09 .. 3e+09 | 50% .. 150% |", text)
        self.assertNotIn(row, text)  # gpu_report.py would take it for a prediction
        self.assertNotIn("BM_y", text)


class ReportTest(unittest.TestCase):
    GOAL = "BM_env_policy/cartpole/cuda/N:4096/T:500"

    def rows(self, rate, gpu="NVIDIA H200", time=1e-5):
        overhead = "BM_launch_overhead/cartpole/cuda/N:4096/T:500"
        runs = [
            {"name": self.GOAL + "/manual_time", "real_time": 1, "time_unit": "ms", "items_per_second": rate * f}
            for f in (0.5, 1, 1.1)
        ]
        runs.append({"name": overhead, "real_time": time * 1e6, "time_unit": "us"})
        runs.append({"name": "BM_philox/words/cpu_avx2_x1", "real_time": 1, "time_unit": "us"})
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "m.json")
            file.write_text(json.dumps({"context": {"gpu": gpu}, "benchmarks": runs}))
            return gpu_report.read_measured(file)[1]

    def lines(self, rate, gpu="NVIDIA H200", time=1e-5, predicted=None):
        text, missed = gpu_report.table(self.rows(rate, gpu, time), predicted or {}, gpu)
        return {line.split(" | ")[0].strip("| "): line for line in text.splitlines()}, missed

    def test_takes_medians_of_the_devices_rows(self):
        self.assertEqual(self.rows(9e9)[self.GOAL][0], 9e9)
        self.assertEqual(len(self.rows(9e9)), 2)

    def test_a_missed_goal_is_said(self):
        self.assertIn("| met |", self.lines(9e9)[0][self.GOAL])
        self.assertIn("| MISSED |", self.lines(7e9)[0][self.GOAL])
        self.assertEqual(self.lines(7e9)[1], self.lines(9e9)[1] + 1)
        self.assertEqual(self.lines(9e9, time=16e-6)[1], self.lines(9e9)[1] + 1)

    def test_goals_of_another_machine_are_not_missed(self):
        row = "BM_train_step/cartpole/cuda/N:1048576/T:500"
        self.assertIn("not measured", self.lines(9e9)[0][row])
        for gpu in ("NVIDIA H100 80GB HBM3", "emulated"):
            self.assertNotIn("not measured", self.lines(9e9, gpu=gpu)[0][row])

    def test_says_on_which_side_of_the_prediction_it_is(self):
        for rate, word in ((7e9, "slower"), (9e9, "as predicted"), (12e9, "faster")):
            self.assertIn(f"| {word} |", self.lines(rate, predicted={self.GOAL: (8e9, 1e10)})[0][self.GOAL])
        self.assertEqual(gpu_report.verdict(5e-6, (1e-5, 8e-6), True), "faster")

    def test_reads_the_columns_of_its_machine(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "predicted-2026-01-01.md").write_text("old")
            newest = pathlib.Path(folder, "predicted-2026-01-02.md")
            newest.write_text("| row | n | H100 low | H100 high | H200 low | H200 high |\n|---|---|---|---|---|---|\n"
                              "| BM_x | 3 | 1e9 | 2e9 | 3e9 | 4e9 |\n")
            self.assertEqual(gpu_report.read_predicted(folder, "H200"), (newest, {"BM_x": (3e9, 4e9)}))

    def test_rows_of_the_emulator_stand_for_the_devices(self):
        name = "BM_x/cartpole/cuda_emulated_lanes8/N:64/T:20/iterations:1/manual_time"
        self.assertEqual(gpu_report.plain_name(name), "BM_x/cartpole/cuda_lanes8/N:64/T:20")


if __name__ == "__main__":
    unittest.main()
