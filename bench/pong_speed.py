#!/usr/bin/env python3
"""Pong's table of speeds: ALE's frames a second, then lockstep_pong_speed, on the same core.

    bench/pong_speed.py build/cpu/lockstep_pong_speed [--rounds=N]

Needs ale-py: the interpreter of .venv, which tests/python/setup.sh makes. ALE plays by `act` with
uniformly random minimal actions drawn beforehand, frame skip 4, no picture taken; the median of
five windows by the process's own clock, before and after our program.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

VENV = pathlib.Path(__file__).resolve().parent.parent / ".venv" / "bin" / "python"


def ale_frames(ale, actions, windows=5, steps=2000):
    """Frames a second of each window."""
    rates = []
    for _ in range(windows):
        start_frame, start = ale.getFrameNumber(), time.process_time()
        frames = 0
        for action in actions[:steps]:
            ale.act(action)
            if ale.game_over():
                frames += ale.getFrameNumber() - start_frame
                ale.reset_game()
                start_frame = ale.getFrameNumber()
        frames += ale.getFrameNumber() - start_frame
        rates.append(frames / (time.process_time() - start))
    return rates


def main():
    try:
        import ale_py
    except ImportError:
        if VENV.exists() and pathlib.Path(sys.executable) != VENV:
            os.execv(VENV, [str(VENV), *sys.argv])
        sys.exit("pong_speed.py: no ale-py here; tests/python/setup.sh makes .venv with it")
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "python"))
    from ale_pong import MINIMAL, make_ale
    import numpy as np

    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    ale = make_ale(frame_skip=4)
    actions = np.random.default_rng(1).choice(MINIMAL, 2000).tolist()
    before = ale_frames(ale, actions)
    rate = statistics.median(before)
    result = subprocess.run([*sys.argv[1:], f"--ale-frames={rate}"], check=False)
    after = ale_frames(ale, actions)
    print(f"ALE: ale-py {ale_py.__version__}, core {core}; frames/s before {rate:.0f}, "
          f"after {statistics.median(after):.0f}, best {max(before + after):.0f}")
    sys.exit(result.returncode)


if __name__ == "__main__":
    main()
