#!/usr/bin/env python3
"""ALE's speed in Pong, for lockstep_bench: a line "STEPS SECONDS".

    bench/ale_speed.py STEPS | --version

ALE plays STEPS by `act` with uniformly random minimal actions drawn beforehand, frame skip 4, no
picture taken; seconds are the process's own. --version prints ale-py's instead, if all that is
needed is there. Needs ale-py and NumPy, here or in .venv, which tests/python/setup.sh makes; exit
code 77 without.
"""

import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv" / "bin" / "python"


def main():
    sys.path.insert(0, str(ROOT / "tests" / "python"))
    try:
        import ale_py
        import numpy as np
        from ale_pong import MINIMAL, make_ale
    except ImportError:
        if VENV.exists() and pathlib.Path(sys.executable) != VENV:
            os.execv(VENV, [str(VENV), *sys.argv])
        sys.exit(77)
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    ale = make_ale(frame_skip=4)
    if sys.argv[1] == "--version":
        print(ale_py.__version__)
        return
    steps = int(sys.argv[1])
    actions = np.random.default_rng(1).choice(MINIMAL, steps).tolist()
    start = time.process_time()
    for action in actions:
        ale.act(action)
        if ale.game_over():
            ale.reset_game()
    print(steps, time.process_time() - start)


if __name__ == "__main__":
    main()
