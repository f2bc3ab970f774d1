"""Writes tests/golden/pong_ale.txt: Pong in ale-py and Gymnasium, as check sums over records.

Usage: .venv/bin/python tests/python/make_pong_golden.py > tests/golden/pong_ale.txt
The format and the provenance of the committed file are in tests/golden/README.md.
"""

import re
import zlib

import numpy as np

import ale_pong as pong

SKIP1 = "--skip 1 1 --sticky 0"


def text_of(commands):
    """Commands as text: actions a..r, Z a reset, A<n>; and G<n>; a seed of ALE or Gymnasium."""
    text, i = "", 0
    while i < len(commands):
        command = commands[i]
        size = {252: 4, 253: 8}.get(command, 0)
        argument = int.from_bytes(commands[i + 1:i + 1 + size], "little", signed=command == 252)
        text += {252: f"A{argument};", 253: f"G{argument};", 254: "Z"}.get(command,
                                                                            chr(97 + command % 200))
        i += 1 + size
    return text


def write(name, options, every, commands, records, codes_every=1):
    records["codes"][np.arange(len(records)) % codes_every != 0] = 0
    if codes_every != 1:
        options += f" --codes {codes_every}"
    print("case", name)
    print("options", options)
    for line in re.findall(".{1,96}", commands):
        print("commands", line)
    crc = 0
    sums = []
    for n, record in enumerate(records, 1):
        crc = zlib.crc32(record.tobytes(), crc)
        if n % every == 0 or n == len(records):
            sums.append(f"{n}:{crc:08x}")
    for i in range(0, len(sums), 6):
        print("sums", *sums[i:i + 6])


def ale(name, policy, steps, options="", every=100, commands=None, codes_every=1,
        **settings):
    played, records = pong.record_ale(policy, steps, rng_seed=len(name), **settings)
    write(name, f"{SKIP1} {options}".strip(), every, commands or text_of(played), records,
          codes_every)


def gymnasium(env_id, steps, seed, options="", **settings):
    played, records = pong.record_gymnasium(env_id, pong.held_policy(4), steps, seed, seed, **settings)
    write(env_id + (" pooled" if settings else ""), f"--id {env_id} --rgb 1 {options}".strip(), 100,
          text_of(played), records)


def main():
    ale("random", pong.random_policy(6), 4300, "--rgb 5", rgb_every=5)
    ale("held", pong.held_policy(12), 4000)
    ale("all 18 actions", pong.random_policy(18), 1500, "--actions full", actions=range(18))
    ale("two actions", pong.random_policy(2), 1000, "--actions updown", actions=pong.UP_DOWN)
    ale("limit", pong.held_policy(30), 1200, "--limit 333", limit=333)
    ale("ALE's seed", pong.random_policy(6), 1300, "--skip 4 4 --sticky 0.5", skip=4, sticky=0.5, seed=-5)
    # policies that the reader of the file plays itself: T<aim> or F<aim>*<steps>;
    ale("tracker 7 fire", pong.tracker(7, True), 15355, commands="A0;F7*15355;", every=500)
    ale("tracker 0 into attract mode", pong.tracker(0, False), 66000, commands="A0;T0*66000;", every=2000,
        codes_every=25, rgb_every=250, options="--rgb 250")
    gymnasium("ALE/Pong-v5", 1900, 11)
    gymnasium("PongNoFrameskip-v4", 500, 12)
    gymnasium("PongNoFrameskip-v0", 1000, 13)
    gymnasium("Pong-v4", 1500, 14)
    gymnasium("Pong-v0", 2500, 2**33 + 15)
    gymnasium("PongNoFrameskip-v4", 1100, 16, "--pool 4 --noops 30", pooled=True, noops=30)


if __name__ == "__main__":
    main()
