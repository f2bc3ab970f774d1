"""A2C and PPO of lockstep against PyTorch's autograd and optimisers in double precision.

lockstep_dump_update writes what each update played, credited and computed. PyTorch has the same networks,
makes advantages, losses and steps of the optimiser from the recorded batch as PyTorch scripts do, and
compares, over ten updates:
  outputs    logits and values of the states, and values of the states that batch and episodes were
             cut at, from the parameters of before   error to the largest, if that is > 1, <= 5e-6
  advantage  its own estimate from recorded rewards, values and ends      to the largest <= 1e-5
  gradient   of an update's last minibatch, after the steps before it     relative L2 <= 1e-5
  weights    after an update from lockstep's parameters and moments       relative L2 <= 1e-4
  free       after ten updates from the first parameters alone            relative L2 <= 1e-4
  figures    that each update tells          relative <= 1e-4, below 1e-3 absolute <= 1e-7
and that passes are as many and minibatches are a partition. Weights are compared by what they moved:
the error is divided by the norm of the change, which is far smaller than that of the weights.

A ratio at the bound of its clip, or a unit at zero, may be on one side in float and on the other in
double: no bound above covers that. Such a case fails, and shows how near to a bound a ratio came; it
needs another seed or rate, not another bound. lockstep's bits are the same everywhere, so it stays away.

Usage: torch_actor_critic.py [--self-test] [LOCKSTEP_DUMP_UPDATE]      (default: $LS_DUMP_UPDATE)
--self-test plants faults in the PyTorch side and demands that each is reported.
Exit code: 0 if all of that holds, 1 otherwise.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np
import torch

from torch_ppo import (Network, all_logits, estimate_advantages, load_moments, new_optimiser, update)

UPDATES = 10
BOUNDS = {"outputs": 5e-6, "advantage": 1e-5, "gradient": 1e-5, "weights": 1e-4, "free": 1e-4,
          "figures": 1e-4}
FIGURES = ("policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "explained_variance",
           "grad_norm")

# options of lockstep, as its flags are called; PyTorch reads the same
COMMON = {"env": "cartpole", "algorithm": "ppo", "seed": 1, "envs": 24, "horizon": 32,
          "policy": "mlp", "hidden": 32, "activation": "relu", "init": "xavier_uniform",
          "critic": "separate", "critic-hidden": 24, "gamma": 0.99, "gae-lambda": 0.95,
          "returns": "stepwise",
          "epochs": 4, "minibatches": 4, "shuffle": "tiles", "clip": 0.2, "target-kl": "none",
          "value-coef": 0.5, "value-clip": "none", "entropy-coef": 0.01, "normalize": "minibatch",
          "std": "population", "max-grad-norm": 0.5, "optimizer": "adam", "lr": 0.005,
          "momentum": 0, "weight-decay": 0, "decoupled-weight-decay": 0}
A2C = {"algorithm": "a2c", "epochs": 1, "minibatches": 1, "normalize": "batch"}
PONG = {"env": "pong", "critic": "shared", "envs": 20, "horizon": 40, "hidden": 21,
        "frame-skip": 20, "lr": 0.001}
CORRIDOR = {"env": "corridor", "gamma": 0.9, "lr": 0.002}

CASES = {
    "ppo": {},
    "ppo, seed 2, clip 0.05": {"seed": 2, "clip": 0.05},
    "ppo, single steps, sample deviation": {"shuffle": "steps", "std": "sample", "minibatches": 6},
    "ppo, shared critic, value clip": {"critic": "shared", "value-clip": 0.05},
    "ppo, shared critic, leaky ReLU, lambda 1, no clipping of the norm": {
        "critic": "shared", "activation": "leaky_relu", "gae-lambda": 1, "max-grad-norm": 0},
    "ppo, leaky ReLU, value clip, lambda 0, not normalised": {
        "activation": "leaky_relu", "value-clip": 0.1, "gae-lambda": 0, "normalize": "none"},
    "ppo, linear, normalised by batch": {
        "policy": "linear", "critic": "shared", "normalize": "batch", "std": "sample", "lr": 0.03},
    "ppo, 21 environments, tiles of a few steps, scaled": {
        "envs": 21, "horizon": 30, "minibatches": 7, "normalize": "scale", "entropy-coef": 0},
    "ppo, a minibatch an epoch": {"minibatches": 1, "epochs": 6, "envs": 35, "value-clip": 0.2},
    "ppo, cut by the divergence": {"epochs": 10, "target-kl": 0.004, "lr": 0.02},
    "ppo, SGD with momentum and L2": {
        "optimizer": "sgd", "momentum": 0.9, "weight-decay": 0.01, "lr": 0.02},
    "ppo, RMSProp": {"optimizer": "rmsprop", "lr": 0.002},
    "ppo, AdamW": {"decoupled-weight-decay": 0.1, "gamma": 1},
    "a2c": A2C,
    "a2c, shared critic, lambda 0, not normalised": {
        **A2C, "critic": "shared", "gae-lambda": 0, "normalize": "none", "entropy-coef": 0.05},
    "a2c, linear, three minibatches, SGD with momentum": {
        **A2C, "policy": "linear", "critic": "shared", "minibatches": 3, "optimizer": "sgd",
        "momentum": 0.9, "lr": 0.05, "normalize": "minibatch"},
    "a2c, RMSProp with L2, scaled, value clip": {
        **A2C, "optimizer": "rmsprop", "weight-decay": 0.01, "lr": 0.002, "normalize": "scale",
        "minibatches": 4, "shuffle": "steps", "value-clip": 0.02},
    "corridor, ppo": CORRIDOR,
    "corridor, ppo, shared critic, leaky ReLU, lambda 1": {
        **CORRIDOR, "critic": "shared", "activation": "leaky_relu", "gae-lambda": 1,
        "value-clip": 0.1, "envs": 40},
    "corridor, ppo, linear, single steps, lambda 0": {
        **CORRIDOR, "policy": "linear", "critic": "shared", "gae-lambda": 0, "shuffle": "steps",
        "lr": 0.02},
    "corridor, a2c": {**CORRIDOR, **A2C, "value-coef": 1.5},
    "pong, ppo": PONG,
    "pong, ppo, leaky ReLU, points as ends, value clip, single steps": {
        **PONG, "activation": "leaky_relu", "returns": "point", "value-clip": 0.05,
        "shuffle": "steps", "normalize": "batch", "minibatches": 3, "max-grad-norm": 0},
    "pong, a2c, RMSProp with L2": {
        **PONG, **A2C, "optimizer": "rmsprop", "weight-decay": 0.01, "lr": 0.0005},
}


def relative(got, want, scale=None):
    return float(np.linalg.norm(got - want) / np.linalg.norm(want if scale is None else scale))


def output_error(network, dump, after):
    """Of what was recorded of the networks; `after` is the update after it, where there is one."""
    with torch.no_grad():
        logits, value = network(torch.tensor(dump["obs"].astype(np.float64)))
        recorded = all_logits(torch.tensor(dump["logits"].astype(np.float64)))
        normal = lambda x: x - x.mean(-1, keepdim=True)
        error = max(float((normal(logits) - normal(recorded)).abs().max()),
                    float(np.abs(value.numpy() - dump["value"]).max()))
        ended = (dump["terminated"] | dump["truncated"]).astype(bool)
        if after is not None:  # where the batch was cut, the next one goes on
            begun = network(torch.tensor(after["obs"][0].astype(np.float64)))[1].numpy()
            gone_on = np.abs(begun - dump["next_value"][-1])[~ended[-1]]
            error = max(error, float(gone_on.max(initial=0)))
        if dump["obs"].shape[-1] == 2:  # the corridor: five cells, and a prize that stands still
            reached = dump["obs"].astype(np.float64)
            reached[..., 0] = np.clip(reached[..., 0] + dump["action"] - 1.0, -2, 2)
            final = network(torch.tensor(reached))[1].numpy()
            truncated = dump["truncated"].astype(bool) & ~dump["terminated"].astype(bool)
            error = max(error, float(np.abs(final - dump["next_value"])[truncated].max(initial=0)))
    return error / max(1.0, float(logits.abs().max()), float(value.abs().max()))


def is_partition(dump, options):
    """Every step is in one minibatch, none is empty, and no two times over the batch are alike."""
    epochs, count = dump["minibatch"], int(options["minibatches"])
    whole = all(np.array_equal(np.unique(epoch), np.arange(count)) for epoch in epochs)
    return whole and (count == 1 or all((a != b).any() for a, b in zip(epochs, epochs[1:])))


def read_dumps(program, scratch, options):
    path = os.path.join(scratch, "dump.npz")
    flags = [text for name, value in options.items() for text in ("--" + name, str(value))]
    subprocess.run([program, path, str(UPDATES), *flags], check=True)
    with np.load(path, allow_pickle=False) as archive:
        return [{name.split(".", 1)[1]: archive[name] for name in archive.files
                 if name.startswith(f"u{u}.")} for u in range(UPDATES)]


def compare(dumps, options):
    """The largest residual of each kind, what else is wrong, and what the batches had in them."""
    actions = 2 if dumps[0]["logits"].shape[-1] == 1 else dumps[0]["logits"].shape[-1]
    network = Network(options, dumps[0]["obs"].shape[-1], actions)
    alone = Network(options, dumps[0]["obs"].shape[-1], actions)
    alone.load(dumps[0]["before"])
    optimiser_alone = new_optimiser(alone, options)
    worst, wrong, steps = dict.fromkeys(BOUNDS, 0.0), [], 0
    found = {"truncated": 0, "clipped": 0.0, "nearest": np.inf}

    def raise_to(key, value):
        worst[key] = max(worst[key], value if np.isfinite(value) else np.inf)

    for u, dump in enumerate(dumps):
        network.load(dump["before"])
        optimiser = new_optimiser(network, options)
        load_moments(optimiser, network, options, dump, steps)
        raise_to("outputs", output_error(network, dump, dumps[u + 1] if u + 1 < len(dumps) else None))
        own = estimate_advantages(dump, options)
        raise_to("advantage", float(np.abs(own - dump["advantage"]).max() / np.abs(own).max()))
        if not is_partition(dump, options):
            wrong.append(f"update {u}: minibatches are no partition")
        figures, passes, gradient, nearest = update(network, optimiser, dump, options)
        if passes != int(dump["passes"]):
            wrong.append(f"update {u}: {dump['passes']} passes instead of {passes}")
        raise_to("gradient", relative(dump["gradient"], gradient))
        raise_to("weights", relative(dump["after"], network.flat(), dump["after"] - dump["before"]))
        for name, got, want in zip(FIGURES, dump["figures"], figures):
            if name == "explained_variance":  # 1 - a quotient of variances, which is what is compared
                got, want = 1 - got, 1 - want
            raise_to("figures", abs(got - want) / max(abs(want), 1e-3))
        nearest = min(nearest, update(alone, optimiser_alone, dump, options)[3])
        steps += int(dump["passes"])
        found["truncated"] += int(dump["truncated"].sum())
        found["clipped"] = max(found["clipped"], figures[4])
        found["nearest"] = min(found["nearest"], nearest)
    worst["free"] = relative(dumps[-1]["after"], alone.flat(),
                             dumps[-1]["after"] - dumps[0]["before"])
    wrong += [f"{key} {worst[key]:.1e} > {bound:.0e}" for key, bound in BOUNDS.items()
              if worst[key] > bound]
    return worst, wrong, found


def run_all(program, scratch):
    failures = 0
    for name, changes in CASES.items():
        options = {**COMMON, **changes}
        worst, wrong, found = compare(read_dumps(program, scratch, options), options)
        print(f"{'FAILED' if wrong else 'passed'} {name}: " +
              ", ".join(f"{key} {value:.1e}" for key, value in worst.items()) +
              f" ({found['clipped']:.1%} clipped, nearest {found['nearest']:.1e}, "
              f"{found['truncated']} truncated)" + "".join("\n  " + line for line in wrong))
        failures += bool(wrong)
    return failures


def changed(**changes):
    return lambda dump: {**dump, **{name: change(dump) for name, change in changes.items()}}


def unchanged(dump):
    return dump


# what is wrong: case, options that PyTorch takes instead, what becomes of a dump
FAULTS = {
    "the deviation of a sample": ("ppo", {"std": "sample"}, unchanged),
    "advantages normalised over the batch": ("ppo", {"normalize": "batch"}, unchanged),
    "discount 0.98": ("ppo", {"gamma": 0.98}, unchanged),
    "lambda 0.94": ("a2c", {"gae-lambda": 0.94}, unchanged),
    "clip 0.06": ("ppo, seed 2, clip 0.05", {"clip": 0.06}, unchanged),
    "no clip": ("ppo, seed 2, clip 0.05", {"clip": 1e9}, unchanged),
    "no ratio": ("ppo", {"algorithm": "a2c"}, unchanged),
    "the entropy's sign": ("ppo", {"entropy-coef": -0.01}, unchanged),
    "the value's gradient twice": ("a2c", {"value-coef": 1}, unchanged),
    "no clip of the value": ("ppo, shared critic, value clip", {"value-clip": "none"}, unchanged),
    "no end by the divergence": ("ppo, cut by the divergence", {"target-kl": "none"}, unchanged),
    "no clipping of the norm": ("ppo", {"max-grad-norm": 0}, unchanged),
    "L2 instead of decay": ("ppo, AdamW", {"decoupled-weight-decay": 0, "weight-decay": 0.1},
                            unchanged),
    "values behind a fall": ("ppo", {}, changed(
        terminated=lambda d: np.zeros_like(d["terminated"]), truncated=lambda d: d["terminated"],
        next_value=lambda d: np.where(d["terminated"], d["value"], d["next_value"]))),
    "advantages across ends": ("corridor, ppo", {}, changed(
        truncated=lambda d: np.zeros_like(d["truncated"]))),
    "nothing behind a truncation": ("corridor, a2c", {}, changed(
        next_value=lambda d: np.where(d["truncated"], 0, d["next_value"]))),
    "nothing behind the batch": ("ppo", {}, changed(
        next_value=lambda d: np.zeros_like(d["next_value"]))),
    "minibatches of another time": ("ppo", {}, changed(
        minibatch=lambda d: np.roll(d["minibatch"], 1, axis=0))),
    "a step left out": ("ppo", {}, changed(
        minibatch=lambda d: np.where(d["value"] == d["value"].max(), -1, d["minibatch"]))),
}


def run_self_test(program, scratch):
    missed, dumps = 0, {}
    for fault, (case, changes, change) in FAULTS.items():
        options = {**COMMON, **CASES[case]}
        if case not in dumps:
            dumps[case] = read_dumps(program, scratch, options)
        wrong = compare([change(dump) for dump in dumps[case]], {**options, **changes})[1]
        print(f"{'seen' if wrong else 'MISSED'}: {fault}: {'; '.join(wrong)}")
        missed += not wrong
    return missed


def main():
    torch.set_num_threads(1)
    arguments = sys.argv[1:]
    self_test = "--self-test" in arguments
    programs = [a for a in arguments if a != "--self-test"] or [os.environ["LS_DUMP_UPDATE"]]
    with tempfile.TemporaryDirectory() as scratch:
        return 1 if (run_self_test if self_test else run_all)(programs[0], scratch) else 0


if __name__ == "__main__":
    sys.exit(main())
