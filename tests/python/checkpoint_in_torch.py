"""Checkpoints of lockstep in PyTorch, and models of PyTorch in lockstep.

A trained model loads with two lines into a module with layer1 and layer2 and gives the logits of
`lockstep rollout --save` within 1e-6; a bare model.safetensors of PyTorch is taken by `eval`, by
`rollout` and by `train --init-from`, and refused with exit code 4 if it has another structure.

Usage: checkpoint_in_torch.py [LOCKSTEP]      (default: $LS_PROGRAM)
Exit code: 0 if every check passed, 1 otherwise.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file


class Policy(torch.nn.Module):
    """Linear(4, H), activation, Linear(H, 2); without layer2 for the linear policy."""

    def __init__(self, hidden, slope=0.0):
        super().__init__()
        self.layer1 = torch.nn.Linear(4, hidden if hidden else 2)
        self.layer2 = torch.nn.Linear(hidden, 2) if hidden else None
        self.slope = slope

    def forward(self, obs):
        first = self.layer1(obs)
        if self.layer2 is None:
            return first
        return self.layer2(torch.nn.functional.leaky_relu(first, self.slope))


class Program:
    def __init__(self, path):
        self.path = str(pathlib.Path(path).resolve())

    def __call__(self, *arguments, code=0):
        command = [self.path, *map(str, arguments), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, (command, done.returncode, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def train(self, folder, *arguments):
        self("train", "cartpole", "--updates", 12, "--out", folder, *arguments)
        return folder / "checkpoints" / "last"

    def rollout(self, model, out, *arguments):
        self("rollout", "cartpole", "--envs", 40, "--steps", 200, "--policy", f"run:{model}",
             "--save", out, *arguments)
        with np.load(out, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


def largest_difference(policy, played):
    """Between PyTorch's log-odds of action 1 and the recorded logits, and the largest of these.

    The stored weights are used in double: what is measured is our rounding, not PyTorch's too.
    """
    with torch.no_grad():
        logits = policy.double()(torch.tensor(played["obs"][:-1], dtype=torch.float64))
    policy.float()
    odds = (logits[..., 1] - logits[..., 0]).numpy()
    ours = played["logits"].reshape(odds.shape)
    return float(np.abs(odds - ours).max()), float(np.abs(ours).max())


def check_same_logits(program, scratch):
    """Loaded by load_state_dict: the logits of ordinary policies within 1e-6."""
    for name, hidden, slope, flags in (
            ("mlp", 128, 0.0, []), ("wide", 256, 0.0, ["--hidden", 256]),
            ("leaky", 32, 0.01, ["--hidden", 32, "--activation", "leaky_relu"]),
            ("classic", 128, 0.0, ["--recipe", "classic"]),
            ("linear", 0, 0.0, ["--policy", "linear", "--lr", 0.4])):
        checkpoint = program.train(scratch / name, *flags)
        policy = Policy(hidden, slope)
        policy.load_state_dict(load_file(checkpoint / "model.safetensors"))
        extra = flags if "--activation" in flags else []
        played = program.rollout(checkpoint, scratch / "out.npz", *extra)
        difference, size = largest_difference(policy, played)
        print(f"  {name}: largest difference {difference:.1e} of logits up to {size:.2f}")
        # float32 on both sides: an ulp of the logit comes on top where it is large
        assert difference <= 1e-6 * max(1.0, size), (name, difference)


def check_pytorch_model_is_taken(program, scratch):
    """eval, rollout and train take what torch saves, with PyTorch's own initial values."""
    torch.manual_seed(5)
    policy = Policy(64)
    path = scratch / "model.safetensors"
    save_file(policy.state_dict(), path)
    score = json.loads(program("eval", path, "--episodes", 50, "--json"))
    assert 8 <= score["mean"] <= 500, score
    difference, _ = largest_difference(policy, program.rollout(path, scratch / "out.npz"))
    assert difference <= 1e-6, difference

    run = scratch / "run"
    program("train", "cartpole", "--hidden", 64, "--init-from", path, "--updates", 1, "--lr", 1e-9,
            "--out", run)
    trained = load_file(run / "checkpoints" / "last" / "model.safetensors")
    for name, value in policy.state_dict().items():
        assert torch.allclose(trained[name], value, rtol=0, atol=1e-8), name


def check_wrong_models_are_refused(program, scratch):
    """Another structure is an error with exit code 4 that names the tensor."""
    good = Policy(64).state_dict()
    wrong = {
        "a tensor missing": {k: v for k, v in good.items() if k != "layer2.bias"},
        "a shape that does not fit": {**good, "layer2.weight": torch.zeros(2, 63)},
        "three actions": {**good, "layer2.weight": torch.zeros(3, 64),
                          "layer2.bias": torch.zeros(3)},
        "five observations": {**good, "layer1.weight": torch.zeros(64, 5)},
        "half precision": {k: v.half() for k, v in good.items()},
        "not a number": {**good, "layer1.bias": torch.full((64,), float("nan"))},
    }
    for what, tensors in wrong.items():
        path = scratch / "wrong.safetensors"
        save_file(tensors, path)
        for command in (["eval", path], ["train", "cartpole", "--hidden", 64, "--init-from", path,
                                         "--updates", 1, "--out", scratch / "no"]):
            message = program(*command, code=4)
            assert message.count("\n") == 1 and "wrong.safetensors" in message, (what, message)
    assert not (scratch / "no").exists(), "a refused model left a run folder"


def main():
    program = Program(sys.argv[1] if len(sys.argv) > 1 else os.environ["LS_PROGRAM"])
    failures = 0
    for check in (check_same_logits, check_pytorch_model_is_taken, check_wrong_models_are_refused):
        with tempfile.TemporaryDirectory() as scratch:
            try:
                check(program, pathlib.Path(scratch))
                print(f"passed {check.__name__}")
            except Exception as error:  # one failed check must not hide the others
                failures += 1
                print(f"FAILED {check.__name__}: {type(error).__name__}: {error}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
