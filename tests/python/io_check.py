"""Files written by lockstep, read by the programs they are meant for.

NumPy reads the .npz archives, the safetensors package the checkpoints, TensorBoard the event files,
and Python's json and own CRC-32C the manifest. What the numbers should be is checked by the C++
tests; here it is whether others can read them, and whether lockstep reads others' files.

Usage: python3 io_check.py [LOCKSTEP [SCRATCH_FOLDER]]
Without arguments the program is $LS_PROGRAM and the scratch folder a temporary one. Needs numpy, safetensors and tensorboard. A missing package is an error, not a skip.
Exit code: 0 if every check passed, 1 otherwise.
"""

import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import safetensors.numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def run(lockstep, *arguments, code=0):
    """Runs the program and returns its stdout; raises unless it exits with `code`."""
    command = [str(lockstep), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if result.returncode != code:
        raise AssertionError(
            f"{command}: exit {result.returncode} instead of {code}\n{result.stderr}")
    return result.stdout if code == 0 else result.stderr


def crc32c(data):
    """CRC-32C bit by bit, independent of the library's tables."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def train(lockstep, folder, *arguments):
    """A short training run in `folder`; returns its newest checkpoint."""
    run(lockstep, "train", "cartpole", "--updates", 4, "--until-score", 1000, "--seed", 3,
        "--out", folder, "--quiet", *arguments)
    checkpoints = sorted(p for p in (folder / "checkpoints").iterdir() if p.name.isdigit())
    assert checkpoints, "no checkpoint was written"
    return checkpoints[-1]


def check_checkpoint(lockstep, scratch):
    """The safetensors package loads model and optimizer; the manifest describes them exactly."""
    folder = train(lockstep, scratch / "run")
    assert {p.name for p in folder.iterdir()} == {
        "model.safetensors", "optimizer.safetensors", "trainer.json"}
    model = safetensors.numpy.load_file(folder / "model.safetensors")
    hidden = model["layer1.bias"].shape[0]
    assert {name: array.shape for name, array in model.items()} == {
        "layer1.weight": (hidden, 4), "layer1.bias": (hidden,),
        "layer2.weight": (2, hidden), "layer2.bias": (2,)}
    for array in [*model.values(),
                  *safetensors.numpy.load_file(folder / "optimizer.safetensors").values()]:
        assert array.dtype == np.float32 and np.isfinite(array).all()

    text = (folder / "trainer.json").read_bytes()
    manifest = json.loads(text)
    assert list(manifest)[-1] == "crc32c" and manifest["schema_version"] == 1
    covered = text[:text.rindex(manifest["crc32c"].encode())]
    assert f"{crc32c(covered):08x}" == manifest["crc32c"]
    for name, seal in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert len(content) == seal["size"] and f"{crc32c(content):08x}" == seal["crc32c"], name
    assert (scratch / "run/checkpoints/last").resolve() == folder.resolve()


def check_foreign_model(lockstep, scratch):
    """A model written by the safetensors package is evaluated like our own with the same numbers."""
    folder = train(lockstep, scratch / "run")
    model = safetensors.numpy.load_file(folder / "model.safetensors")
    foreign = scratch / "foreign.safetensors"
    safetensors.numpy.save_file(model, foreign, metadata={"format": "pt", "note": 'a "quote"'})
    evaluate = ["eval", "--episodes", 20, "--seed", 1, "--json"]
    scores = [json.loads(run(lockstep, *evaluate, path)) for path in (folder, foreign)]
    assert scores[0]["mean"] == scores[1]["mean"], scores

    safetensors.numpy.save_file({k: v.astype(np.float64) for k, v in model.items()}, foreign)
    message = run(lockstep, *evaluate, foreign, code=4)
    assert "F64" in message and message.count("\n") == 1, message
    foreign.write_bytes((folder / "model.safetensors").read_bytes()[:-1])
    assert "foreign.safetensors" in run(lockstep, *evaluate, foreign, code=4)


def check_damaged_checkpoint(lockstep, scratch):
    """A flipped bit is exit 4, one line, naming the file."""
    folder = train(lockstep, scratch / "run")
    for name in ("model.safetensors", "optimizer.safetensors", "trainer.json"):
        path = folder / name
        good = path.read_bytes()
        path.write_bytes(good[:50] + bytes([good[50] ^ 4]) + good[51:])
        message = run(lockstep, "eval", folder, "--episodes", 1, code=4)
        assert name in message and message.count("\n") == 1, message
        path.write_bytes(good)
    run(lockstep, "eval", folder, "--episodes", 1)


def check_events(lockstep, scratch):
    """TensorBoard reads every scalar of metrics.jsonl back, also after a resume."""
    run_folder = scratch / "run"
    train(lockstep, run_folder)
    run(lockstep, "train", "cartpole", "--resume", run_folder, "--updates", 8, "--quiet")
    accumulator = EventAccumulator(str(run_folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    assert "charts/episodic_return" in tags, tags
    rows = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows] == list(range(1, 9)), rows
    compared = 0
    for tag in tags:
        events = accumulator.Scalars(tag)
        steps = [event.step for event in events]
        assert steps == sorted(set(steps)), f"{tag}: steps repeat or go back: {steps}"
        logged = [row[tag] for row in rows if row.get(tag) is not None]
        assert len(logged) == len(events), f"{tag}: {len(events)} events, {len(logged)} rows"
        for event, value in zip(events, logged):
            assert math.isclose(event.value, value, rel_tol=1e-6, abs_tol=1e-30), tag
            compared += 1
    assert compared >= 8 * 5, compared


def check_rollout_archive(lockstep, scratch):
    """numpy.load reads a rollout's trajectories; zipfile agrees with every checksum."""
    path = scratch / "rollout.npz"
    run(lockstep, "rollout", "cartpole", "--envs", 5, "--steps", 40, "--policy", "random",
        "--save", path, "--quiet")
    assert zipfile.ZipFile(path).testzip() is None
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    assert arrays["obs"].dtype == np.float32 and arrays["obs"].shape[-1] == 4, arrays["obs"].shape
    steps, envs = arrays["action"].shape
    assert envs == 5 and steps >= 40
    for name in ("reward", "terminated", "truncated"):
        assert arrays[name].shape == (steps, envs), name
    ended = arrays["terminated"] | arrays["truncated"]
    assert ended.any(), "no episode of random actions ended in 40 steps"
    assert arrays["obs"].shape == (steps + 1, envs, 4), arrays["obs"].shape
    assert arrays["final_obs"].shape == (ended.sum(), 4), arrays["final_obs"].shape
    # what follows each step: a velocity's worth away from what was before, also at ends
    following = arrays["obs"][1:].copy()
    following[ended] = arrays["final_obs"]
    moved = np.abs(following[..., 0] - arrays["obs"][:-1, :, 0] - 0.02 * arrays["obs"][:-1, :, 1])
    assert moved.max() < 1e-6, moved.max()
    record = json.loads(arrays["record"].tobytes())
    assert record["options"]["policy"] == "random" and record["options"]["steps"] == "40", record


def check_replay(lockstep, scratch):
    """replay reads actions and start states that NumPy wrote and writes what NumPy reads."""
    rng = np.random.default_rng(1)
    actions = rng.integers(0, 2, size=(30, 3)).astype(np.uint8)
    initial = rng.uniform(-0.05, 0.05, size=(3, 4))
    out = scratch / "replay.npz"
    np.save(scratch / "actions.npy", actions)
    np.save(scratch / "initial.npy", initial)
    replay = ["replay", "cartpole", "--actions", scratch / "actions.npy", "--dtype", "float64"]
    run(lockstep, *replay, "--initial", scratch / "initial.npy", "--save", out)
    with np.load(out, allow_pickle=False) as archive:
        assert archive["state"].dtype == np.float64
        assert np.array_equal(archive["state"][0], initial)
        assert archive["state"].shape == (31, 3, 4) and archive["obs"].shape == (31, 3, 4)
        assert archive["reward"].shape == (30, 3)

    for bad in (actions.astype(np.float32), actions + 2, np.asfortranarray(actions)):
        np.save(scratch / "actions.npy", bad)
        message = run(lockstep, *replay, "--save", out, code=4)
        assert "actions.npy" in message and message.count("\n") == 1, message


CHECKS = (check_checkpoint, check_foreign_model, check_damaged_checkpoint, check_events,
          check_rollout_archive, check_replay)


def run_checks(lockstep, scratch):
    """Runs every check in a folder of its own below `scratch`; returns how many failed."""
    failures = 0
    for check in CHECKS:
        folder = scratch.resolve() / check.__name__
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            check(lockstep.resolve(), folder)
            print(f"passed {check.__name__}")
        except Exception as error:  # one failed check must not hide the others
            failures += 1
            print(f"FAILED {check.__name__}: {type(error).__name__}: {error}")
    return failures


def main():
    lockstep = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["LS_PROGRAM"])
    if len(sys.argv) > 2:
        return 1 if run_checks(lockstep, pathlib.Path(sys.argv[2])) else 0
    with tempfile.TemporaryDirectory() as scratch:
        return 1 if run_checks(lockstep, pathlib.Path(scratch)) else 0


if __name__ == "__main__":
    sys.exit(main())
