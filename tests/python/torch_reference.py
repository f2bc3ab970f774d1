"""Updates of lockstep against PyTorch's autograd and optimisers in double precision.

lockstep_dump_update writes what each update played and computed. PyTorch builds the same network with
layer1 and layer2, replays the trajectory with the recorded dropout masks, and compares:
  the gradient of each update, from the recorded parameters        relative L2 <= 1e-5
  the optimiser's step, given the recorded gradient                relative L2 <= 1e-6
  parameters after 10 updates of its own gradients                 relative L2 <= 1e-4

Usage: torch_reference.py [--self-test] [LOCKSTEP_DUMP_UPDATE]      (default: $LS_DUMP_UPDATE)
--self-test plants faults in the PyTorch side and demands that each is reported.
Exit code: 0 if all of that holds, 1 otherwise.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np
import torch

UPDATES = 10
BOUNDS = {"gradient": 1e-5, "optimiser": 1e-6, "free": 1e-4}
COMMON = {"envs": 1, "lr": 0.01, "gamma": 0.99, "dropout": 0.5, "slope": 0.0, "norm": "episode",
          "unbiased": True, "entropy": 0.0, "clip": 0.0}
ADAM = (torch.optim.Adam, {})

# name: flags of lockstep, the same for PyTorch, optimiser
CASES = {
    "classic": (["--recipe", "classic"], {}, ADAM),
    "classic, seed 2": (["--recipe", "classic", "--seed", "2"], {}, ADAM),
    "batch normalisation, leaky ReLU, entropy, AdamW, clipping": (
        ["--recipe", "classic", "--envs", "20", "--normalize", "batch", "--std", "population",
         "--dropout", "0.2", "--activation", "leaky_relu", "--entropy-coef", "0.02",
         "--decoupled-weight-decay", "0.05", "--max-grad-norm", "0.5"],
        {"envs": 20, "dropout": 0.2, "slope": 0.01, "norm": "batch", "unbiased": False,
         "entropy": 0.02, "clip": 0.5}, (torch.optim.AdamW, {"weight_decay": 0.05})),
    "Adam with L2": (
        ["--recipe", "classic", "--dropout", "0", "--weight-decay", "0.1"],
        {"dropout": 0.0}, (torch.optim.Adam, {"weight_decay": 0.1})),
    "SGD with momentum": (
        ["--recipe", "classic", "--optimizer", "sgd", "--momentum", "0.9"], {},
        (torch.optim.SGD, {"momentum": 0.9})),
    "RMSProp": (
        ["--recipe", "classic", "--optimizer", "rmsprop", "--momentum", "0.5", "--weight-decay",
         "0.01", "--lr", "0.001"], {"lr": 0.001}, (torch.optim.RMSprop, {"momentum": 0.5, "weight_decay": 0.01})),
}


class Policy(torch.nn.Module):
    def __init__(self, observations, hidden, slope):
        super().__init__()
        self.layer1 = torch.nn.Linear(observations, hidden)
        self.layer2 = torch.nn.Linear(hidden, 2)
        self.slope = slope

    def forward(self, obs, mask):
        hidden = torch.nn.functional.leaky_relu(self.layer1(obs), self.slope)
        return self.layer2(hidden * mask)


def load(policy, flat):
    """Fills the parameters from a flat array; both have the same order."""
    torch.nn.utils.vector_to_parameters(torch.tensor(flat, dtype=torch.float64),
                                        policy.parameters())


def flat_parameters(policy):
    return torch.nn.utils.parameters_to_vector(policy.parameters()).detach().numpy().copy()


def advantages(dump, options):
    """Discounted returns of reward 1 a step, normalised by episode or batch; [T, N]."""
    valid = dump["valid"].astype(bool)
    value = np.zeros(valid.shape)
    total = np.zeros(valid.shape[1])
    for t in reversed(range(valid.shape[0])):
        total = np.where(valid[t], 1 + options["gamma"] * total, 0)
        value[t] = total
    groups = ([np.s_[:, n] for n in range(valid.shape[1])] if options["norm"] == "episode"
              else [np.s_[:, :]])
    for group in groups:
        chosen = value[group][valid[group]]
        deviation = chosen.std(ddof=1 if options["unbiased"] else 0)
        value[group] = (value[group] - chosen.mean()) / deviation
    return torch.tensor(value)


def set_gradient(policy, dump, options):
    """Autograd's gradient of the loss, before clipping; returns the largest error of a logit."""
    valid = torch.tensor(dump["valid"].astype(bool))
    mask = torch.tensor(dump["kept"].astype(np.float64)) / (1 - options["dropout"])
    logits = policy(torch.tensor(dump["obs"].astype(np.float64)), mask)
    choice = torch.distributions.Categorical(logits=logits)
    terms = (-advantages(dump, options) * choice.log_prob(torch.tensor(dump["action"])) -
             options["entropy"] * choice.entropy())
    policy.zero_grad()
    (terms[valid].sum() / options["envs"]).backward()
    ours = torch.tensor(dump["logit"].astype(np.float64))
    return float((logits[..., 1] - logits[..., 0] - ours)[valid].abs().max())


def flat_gradient(policy):
    return torch.cat([p.grad.reshape(-1) for p in policy.parameters()]).numpy().copy()


def step(policy, optimiser, options):
    if options["clip"]:
        torch.nn.utils.clip_grad_norm_(policy.parameters(), options["clip"])
    optimiser.step()


def relative(got, want):
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


def run_case(program, scratch, flags, changes, optimiser_of):
    """The three residuals and the largest logit error of a case."""
    path = os.path.join(scratch, "dump.npz")
    subprocess.run([program, path, str(UPDATES), *flags], check=True)
    with np.load(path, allow_pickle=False) as archive:
        dumps = [{name.split(".")[1]: archive[name] for name in archive.files
                  if name.startswith(f"u{u}.")} for u in range(UPDATES)]
    options = {**COMMON, **changes}
    observations, hidden = dumps[0]["obs"].shape[-1], dumps[0]["kept"].shape[-1]
    make, arguments = optimiser_of

    def new_policy():
        policy = Policy(observations, hidden, options["slope"]).double()
        load(policy, dumps[0]["before"])
        return policy, make(policy.parameters(), lr=options["lr"], **arguments)

    worst = {"gradient": 0.0, "optimiser": 0.0, "logit": 0.0}
    policy, optimiser = new_policy()
    for dump in dumps:
        load(policy, dump["before"])
        worst["logit"] = max(worst["logit"], set_gradient(policy, dump, options))
        worst["gradient"] = max(worst["gradient"], relative(dump["gradient"],
                                                            flat_gradient(policy)))
        at = 0
        for parameter in policy.parameters():
            part = dump["gradient"][at:at + parameter.numel()].astype(np.float64)
            parameter.grad.copy_(torch.tensor(part).reshape(parameter.shape))
            at += parameter.numel()
        step(policy, optimiser, options)
        worst["optimiser"] = max(worst["optimiser"], relative(dump["after"],
                                                              flat_parameters(policy)))
    policy, optimiser = new_policy()
    for dump in dumps:
        set_gradient(policy, dump, options)
        step(policy, optimiser, options)
    worst["free"] = relative(dumps[-1]["after"], flat_parameters(policy))
    return worst


def run_all(program, scratch):
    failures = 0
    for name, (flags, changes, optimiser_of) in CASES.items():
        worst = run_case(program, scratch, flags, changes, optimiser_of)
        ok = all(worst[key] <= bound for key, bound in BOUNDS.items()) and worst["logit"] <= 5e-6
        print(f"{'passed' if ok else 'FAILED'} {name}: " +
              ", ".join(f"{key} {value:.1e}" for key, value in worst.items()))
        failures += not ok
    return failures


def run_self_test(program, scratch):
    classic = ["--recipe", "classic"]
    faults = {
        "population instead of sample deviation": ("gradient", {"unbiased": False}, ADAM),
        "discount 0.98 instead of 0.99": ("gradient", {"gamma": 0.98}, ADAM),
        "dropout without its scale": ("gradient", {"dropout": 0.0}, ADAM),
        "an entropy term of 1e-3": ("gradient", {"entropy": 1e-3}, ADAM),
        "beta2 0.99 instead of 0.999": ("optimiser", {}, (torch.optim.Adam,
                                                          {"betas": (0.9, 0.99)})),
        "eps 1e-5 instead of 1e-8": ("optimiser", {}, (torch.optim.Adam, {"eps": 1e-5})),
        "a rate one per mille higher": ("free", {"lr": 0.01001}, ADAM),
    }
    missed = 0
    for fault, (key, changes, optimiser_of) in faults.items():
        value = run_case(program, scratch, classic, changes, optimiser_of)[key]
        seen = value > BOUNDS[key]
        print(f"{'seen' if seen else 'MISSED'}: {fault}, {key} {value:.1e}")
        missed += not seen
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
