"""Plays Pong in ale-py and Gymnasium and records what can be seen of it: the other side of
tests/support/pong_trace.cpp. Used by ale_parity.py and make_pong_golden.py.
"""

import zlib

import numpy as np

# ALE's action numbers of the minimal set, in Gymnasium's order
MINIMAL = (0, 1, 3, 4, 11, 12)
UP_DOWN = (3, 4)
FRAME_LIMIT = 108000

# one of these is recorded for every command; tests/support/pong_trace.cpp writes the same
RECORD = np.dtype([("ram", "u1", 128), ("frame80", "<u4"), ("codes", "<u4"), ("rgb", "<u4"),
                   ("reward", "<i4"), ("frames", "<i4"), ("terminated", "u1"), ("truncated", "u1"),
                   ("unused", "u1", 2)])
CELL_HUMAN_BAT, CELL_BALL_Y = 51, 54


def make_ale(frame_skip=1, sticky=0.0, seed=0, limit=FRAME_LIMIT):
    """An ALE with Pong loaded and reset."""
    from ale_py import ALEInterface, LoggerMode, roms
    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.setFloat("repeat_action_probability", sticky)
    ale.setInt("frame_skip", frame_skip)
    ale.setInt("random_seed", seed)
    ale.setInt("max_num_frames_per_episode", limit)
    ale.loadROM(roms.get_rom_path("pong"))
    ale.reset_game()
    return ale


class Eye:
    """Takes records of an ALE. The 80x80 picture is made by its definition from ALE's colours."""

    UNKNOWN = 255

    def __init__(self, ale, rgb_every=0):
        self.ale = ale
        self.rgb_every, self.taken = rgb_every, 0  # one record in so many has RGB
        self.rgb = np.empty((210, 160, 3), np.uint8)
        self.codes = np.empty((210, 160), np.uint8)
        self.lit = np.full(256, self.UNKNOWN, np.uint8)  # by colour code, learned from ALE's RGB

    def learn(self):
        red = self.ale.getScreenRGB()[:, :, 0]
        for code in np.unique(self.codes):
            (value,) = np.unique(red[self.codes == code])
            self.lit[code] = value not in (0, 109, 144)

    def frame80(self):
        cut = self.codes[35:195:2, ::2]
        frame = np.take(self.lit, cut)
        if frame.max() == self.UNKNOWN:
            self.learn()
            frame = np.take(self.lit, cut)
        return frame

    def look(self, record, reward=0, frames=0, terminated=False, truncated=False, rgb=None):
        """Fills one record. rgb: an observation; None: ALE's picture, where it is due."""
        self.ale.getRAM(record["ram"])
        self.ale.getScreen(self.codes)
        record["codes"] = zlib.crc32(self.codes)
        if rgb is None and self.rgb_every and self.taken % self.rgb_every == 0:
            self.ale.getScreenRGB(self.rgb)
            rgb = self.rgb
        if rgb is not None:
            record["rgb"] = zlib.crc32(rgb)
        self.taken += 1
        record["frame80"] = zlib.crc32(self.frame80())
        for name, value in (("reward", reward), ("frames", frames), ("terminated", terminated),
                            ("truncated", truncated)):
            record[name] = value


# ---- policies: from the record before a step and a generator, an action number -------------------


def random_policy(actions):
    return lambda record, rng: int(rng.integers(actions))


def held_policy(longest):
    state = {"left": 0, "action": 0}

    def act(_, rng):
        if state["left"] == 0:
            state.update(left=int(rng.integers(1, longest + 1)), action=int(rng.integers(6)))
        state["left"] -= 1
        return state["action"]

    return act


def fire_policy():
    return lambda record, rng: int(rng.choice((1, 4, 5, 1, 4, 5, 0, 2, 3)))


def tracker(aim, fire, noise=0.0):
    """Aims at the ball: up if the drawn bat + aim lies below it. noise: share of random actions."""

    def act(record, rng):
        if noise and rng.random() < noise:
            return int(rng.integers(6))
        up = int(record["ram"][CELL_HUMAN_BAT]) + aim > int(record["ram"][CELL_BALL_Y])
        return (2 if up else 3) + (2 if fire else 0)

    return act


# ---- recording -----------------------------------------------------------------------------------


def record_ale(policy, steps, rng_seed, skip=1, sticky=0.0, seed=0, limit=FRAME_LIMIT, actions=MINIMAL,
               rgb_every=0):
    """Plays in ALE itself, episode after episode without reseeding.

    Returns (commands as bytes, records): a reset command or an action for each record; the first
    command seeds. rgb_every: one record in so many has RGB.
    """
    ale = make_ale(skip, sticky, seed, limit)
    eye = Eye(ale, rgb_every)
    rng = np.random.default_rng(rng_seed)
    records = np.zeros(steps + 1 + steps // 300, RECORD)
    commands = bytearray(b"\xfc" + int(seed).to_bytes(4, "little", signed=True))
    eye.look(records[0])
    n, taken = 1, 0
    while taken < steps:
        action = policy(records[n - 1], rng)
        commands.append(action)
        before = ale.getEpisodeFrameNumber()
        reward = ale.act(actions[action])
        truncated = ale.game_truncated()
        eye.look(records[n], reward, ale.getEpisodeFrameNumber() - before,
                 ale.game_over(with_truncation=False), truncated)
        n += 1
        taken += 1
        if ale.game_over() and taken < steps:
            ale.reset_game()
            commands.append(254)
            eye.look(records[n])
            n += 1
    return bytes(commands), records[:n]


def record_gymnasium(env_id, policy, steps, rng_seed, seed, reseed_every=0, pooled=False, noops=0):
    """Plays a Gymnasium environment: reset(seed=seed) first, later resets without a seed, every
    `reseed_every` episodes with seed + number of the episode.

    pooled: as AtariPreprocessing with frame skip 4 does, without its grayscale and resizing (which
    need OpenCV), noops: with its random start of up to that many NOOPs. Returns (commands, records).
    """
    import ale_py
    import gymnasium
    gymnasium.register_envs(ale_py)
    env = gymnasium.make(env_id)
    ale = env.unwrapped.ale
    eye = Eye(ale)
    rng = np.random.default_rng(rng_seed)
    records = np.zeros(steps + 1 + steps // 60, RECORD)
    commands = bytearray()
    buffers = np.zeros((2, 210, 160, 3), np.uint8)

    def reset(with_seed):
        if with_seed is None:
            commands.append(254)
        else:
            commands.extend(b"\xfd" + int(with_seed).to_bytes(8, "little"))
        obs, _ = env.reset(seed=with_seed)
        if noops:
            for _ in range(int(env.unwrapped.np_random.integers(1, noops + 1))):
                obs = env.step(0)[0]
        buffers[0], buffers[1] = obs, 0
        return obs

    def pooled_step(action):
        total = 0
        for t in range(4):
            obs, reward, terminated, truncated, _ = env.step(action)
            total += reward
            if terminated or truncated:
                break
            if t >= 2:
                buffers[3 - t] = obs
        np.maximum(buffers[0], buffers[1], out=buffers[0])
        return buffers[0], total, terminated, truncated

    def pooled_frame80(obs):
        red = obs[35:195:2, ::2, 0]
        return ((red != 0) & (red != 109) & (red != 144)).astype(np.uint8)

    eye.look(records[0], rgb=reset(seed))
    n, episode = 1, 0
    for _ in range(steps):
        action = policy(records[n - 1], rng)
        commands.append(action)
        before = ale.getEpisodeFrameNumber()
        obs, reward, terminated, truncated = (
            pooled_step(action) if pooled else env.step(action)[:4])
        eye.look(records[n], int(reward), ale.getEpisodeFrameNumber() - before, terminated, truncated,
                 obs)
        if pooled:
            records[n]["frame80"] = zlib.crc32(pooled_frame80(obs))
        n += 1
        if terminated or truncated:
            episode += 1
            reseed = reseed_every and episode % reseed_every == 0
            eye.look(records[n], rgb=reset(seed + episode if reseed else None))
            n += 1
    env.close()
    return bytes(commands), records[:n]
