"""An agent trained here plays in ALE, and scores the same.

`lockstep train pong` trains with a fixed seed; NumPy reads the checkpoint and plays it in ale-py: frame
skip 4, no sticky actions, greedy, each episode from a start of its own with 0, 1, ... frames without
an action. The network's input is made from ALE's picture by the recipe of 2016: crop, every second pixel,
background away, minus the picture of the step before. Actions, score and frames of every game must be
those of `lockstep eval`, from its tables (--math exact) and, where OpenBLAS is there, from its own
pictures (--math dense); so must those of the maximum of two frames (--max-pool).

Usage: ale_transfer.py [--self-test] [LOCKSTEP]      (default: $LS_PROGRAM)
--self-test plants a fault and demands that it shows.
Exit code: 0 if all games are equal, 1 otherwise.
"""

import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile

import ale_py
import numpy as np
from safetensors.numpy import load_file

import ale_pong as pong

GAMES = 20
SKIP = 4
UP, DOWN = pong.UP_DOWN  # ALE's numbers of action 1 and 0
NOT_LIT = (0, 109, 144)  # red of black and of the two backgrounds


class Eye:
    """Preprocessed pictures of an ALE; red channel, by the recipe."""

    def __init__(self, ale):
        self.ale = ale
        self.rgb = np.empty((210, 160, 3), np.uint8)

    def red(self):
        self.ale.getScreenRGB(self.rgb)
        return self.rgb[35:195:2, ::2, 0].copy()

    @staticmethod
    def picture(red):
        return (~np.isin(red, NOT_LIT)).astype(np.float64).ravel()


def play(layer1, layer2, noops, pooled=False, shift=0):
    """One greedy game: (score, frames, actions). layer1 [6400, H], layer2 [H]. shift: a fault, the
    input moved by so many pixels."""
    ale = pong.make_ale(limit=pong.FRAME_LIMIT)
    eye = Eye(ale)
    for _ in range(noops):
        ale.act(0)
    before = None
    now = eye.picture(eye.red())
    score, actions = 0, []
    while not ale.game_over():
        change = np.zeros(6400) if before is None else np.roll(now - before, shift)
        (pixels,) = np.nonzero(change)
        logit = float(np.maximum(change[pixels] @ layer1[pixels], 0.0) @ layer2)
        action = int(logit > 0.0)
        actions.append(action)
        reds = []
        for frame in range(SKIP):
            score += ale.act(UP if action else DOWN)
            if ale.game_over():
                break
            if frame == SKIP - 1 or (pooled and frame == SKIP - 2):
                reds.append(eye.red())
        if reds:
            before, now = now, eye.picture(np.max(reds, axis=0))
    return int(score), ale.getEpisodeFrameNumber(), actions


def played(arguments):
    checkpoint, noops, pooled, shift = arguments
    tensors = load_file(checkpoint)
    layer1, layer2 = (tensors[f"layer{i}.weight"].astype(np.float64) for i in (1, 2))
    return play(np.ascontiguousarray(layer1.T), layer2[0], noops, pooled, shift)


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True,
                          timeout=600).stdout


def differences(name, ours, theirs):
    """Prints every game; the number of those that differ."""
    wrong = 0
    for i, (score, frames, actions) in enumerate(theirs):
        length = int(ours["length"][i])
        mine = ours["action"][i][:length].tolist()
        equal = (score, frames, actions) == (int(ours["score"][i]), int(ours["frames"][i]), mine)
        wrong += not equal
        verdict = "the same in ALE"
        if not equal:
            at = next((t for t, (a, b) in enumerate(zip(actions, mine)) if a != b), "none")
            verdict = f"in ALE {score} in {frames} frames, first other action: {at}"
        print(f"  {name}, {ours['noops'][i]} no-ops: {ours['score'][i]:+.0f} in {ours['frames'][i]} "
              f"frames, {length} steps; {verdict}", flush=True)
    return wrong


def evaluate(program, folder, scratch, *arguments):
    out = scratch / "games.npz"
    run(program, "eval", folder, "--episodes", GAMES, "--starts", "each", "--noops", GAMES - 1, "--save",
        out, "--device", "cpu", "--json", *arguments)
    with np.load(out, allow_pickle=False) as archive:
        games = {name: archive[name] for name in archive.files}
    assert games["noops"].tolist() == list(range(GAMES)), games["noops"]
    assert games["action"].shape == (GAMES, games["length"].max()), games["action"].shape
    return games


def has_openblas(program):
    done = subprocess.run([program, "rollout", "--envs", "1", "--steps", "1", "--math", "dense",
                           "--device", "cpu"], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        print(done.stderr, end="")
    return done.returncode == 0


def main(arguments):
    wants_self_test = "--self-test" in arguments
    rest = [a for a in arguments if a != "--self-test"]
    program = str(pathlib.Path(rest[0] if rest else os.environ["LS_PROGRAM"]).resolve())
    with tempfile.TemporaryDirectory() as name, \
            multiprocessing.Pool(min(2, os.cpu_count() or 1)) as pool:
        scratch = pathlib.Path(name)
        # starts of all kinds, as in the games that count; the threshold is out of reach
        run(program, "train", "pong", "--seed", 3, "--noops", 29, "--updates", 60, "--until-score", 22,
            "--device", "cpu", "--quiet", "--out", scratch / "run")
        checkpoint = scratch / "run" / "checkpoints" / "last" / "model.safetensors"

        def in_ale(pooled=False, shift=0, games=GAMES):
            return pool.map(played, [(checkpoint, i, pooled, shift) for i in range(games)], 1)

        exact = evaluate(program, scratch / "run", scratch)
        if wants_self_test:
            wrong = differences("a pixel aside", exact, in_ale(shift=1, games=4))
            print(f"{wrong} of 4 games differ, as planted")
            return wrong == 4
        theirs = in_ale()
        wrong = differences("tables", exact, theirs)
        if has_openblas(program):
            wrong += differences("dense",
                                 evaluate(program, scratch / "run", scratch, "--math", "dense"), theirs)
            wrong += differences("maximum of two frames",
                                 evaluate(program, scratch / "run", scratch, "--math", "dense",
                                          "--max-pool"), in_ale(pooled=True))
        elif os.environ.get("LS_REQUIRE_LIVE") == "1":
            wrong += 1
        print(f"ale-py {ale_py.__version__}: {wrong} games differ; mean score "
              f"{np.mean([score for score, _, _ in theirs]):.2f} of {GAMES} games")
        summary = json.loads(run(program, "eval", scratch / "run", "--episodes", GAMES, "--starts", "each",
                                 "--noops", GAMES - 1, "--device", "cpu", "--json"))
        assert summary["mean"] == np.mean([score for score, _, _ in theirs]), summary
        return wrong == 0


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
