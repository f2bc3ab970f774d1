"""A2C and PPO as PyTorch scripts write them, in double precision: networks, advantages, losses and the
passes over a batch that another implementation recorded. torch_actor_critic.py compares with it.

Options are those of lockstep by the names of its flags. A dump is a dictionary of arrays by the names of
tests/support/actor_critic_dump.h.
"""

import numpy as np
import torch


class Network(torch.nn.Module):
    """Policy and critic; modules in the order of lockstep's flat parameters."""

    def __init__(self, options, observations, actions):
        super().__init__()
        hidden, own = int(options["hidden"]), int(options["critic-hidden"])
        self.linear = options["policy"] == "linear"
        pictures = options["env"] == "pong"  # no biases, and one logit: the log-odds of action 1
        if pictures:
            actions = 1
        self.slope = 0.01 if options["activation"] == "leaky_relu" else 0.0
        self.layer1 = torch.nn.Linear(observations, actions if self.linear else hidden)
        if not self.linear:
            self.layer2 = torch.nn.Linear(hidden, actions)
        if pictures:
            self.layer1.bias = self.layer2.bias = None
        if options["critic"] == "shared":
            self.value = torch.nn.Linear(observations if self.linear else hidden, 1,
                                         bias=not pictures)
            self.critic = None
        else:
            self.critic = torch.nn.ModuleDict({"layer1": torch.nn.Linear(observations, own),
                                               "layer2": torch.nn.Linear(own, 1)})
        self.double()

    def activate(self, x):
        return torch.nn.functional.leaky_relu(x, self.slope)

    def forward(self, obs):
        """Logits [..., A] and values [...]."""
        features = obs if self.linear else self.activate(self.layer1(obs))
        logits = self.layer1(obs) if self.linear else self.layer2(features)
        if self.critic is None:
            value = self.value(features)
        else:
            value = self.critic["layer2"](self.activate(self.critic["layer1"](obs)))
        return all_logits(logits), value.squeeze(-1)

    def load(self, flat):
        torch.nn.utils.vector_to_parameters(torch.tensor(flat, dtype=torch.float64),
                                            self.parameters())

    def flat(self):
        return torch.nn.utils.parameters_to_vector(self.parameters()).detach().numpy().copy()

    def flat_gradient(self):
        return torch.cat([p.grad.reshape(-1) for p in self.parameters()]).numpy().copy()


def new_optimiser(network, options):
    rate, l2 = float(options["lr"]), float(options["weight-decay"])
    momentum, decoupled = float(options["momentum"]), float(options["decoupled-weight-decay"])
    if options["optimizer"] == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=momentum, weight_decay=l2)
    if options["optimizer"] == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=rate, momentum=momentum,
                                   weight_decay=l2)
    if decoupled:
        return torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decoupled)
    return torch.optim.Adam(network.parameters(), lr=rate, weight_decay=l2)


def load_moments(optimiser, network, options, dump, steps):
    """The optimiser's state after `steps` steps, from lockstep's two flat arrays."""
    names = {"adam": ("exp_avg", "exp_avg_sq"), "sgd": ("momentum_buffer", None),
             "rmsprop": ("momentum_buffer", "square_avg")}[options["optimizer"]]
    at = 0
    for parameter in network.parameters():
        end = at + parameter.numel()
        state = {"step": torch.tensor(float(steps)) if options["optimizer"] == "adam" else steps}
        for name, moments in zip(names, ("first_moment", "second_moment")):
            if name:
                part = torch.tensor(dump[moments][at:end], dtype=torch.float64)
                state[name] = part.reshape(parameter.shape)
        optimiser.state[parameter] = state if steps else {}
        at = end


def estimate_advantages(dump, options):
    """Generalised advantage estimation; [T, N]."""
    gamma, decay = float(options["gamma"]), float(options["gamma"]) * float(options["gae-lambda"])
    value, reward = dump["value"].astype(np.float64), dump["reward"].astype(np.float64)
    terminated, truncated = dump["terminated"].astype(bool), dump["truncated"].astype(bool)
    if options["returns"] == "point":
        terminated = terminated | (reward != 0)
    advantage, last = np.zeros(value.shape), len(value) - 1
    following = np.zeros(value.shape[1])
    for t in range(last, -1, -1):
        cut = dump["next_value"][t].astype(np.float64)
        bootstrap = cut if t == last else np.where(truncated[t], cut, value[t + 1])
        target = reward[t] + gamma * np.where(terminated[t], 0.0, bootstrap)
        following = target - value[t] + decay * np.where(terminated[t] | truncated[t], 0.0,
                                                         following)
        advantage[t] = following
    return advantage


def normalise(advantage, options):
    rule = options["normalize"]
    if rule == "none":
        return advantage
    deviation = advantage.std(unbiased=options["std"] == "sample")
    return advantage / deviation if rule == "scale" else (advantage - advantage.mean()) / deviation


def all_logits(logits):
    """Two actions are recorded by the log-odds of action 1."""
    return torch.cat([torch.zeros_like(logits), logits], -1) if logits.shape[-1] == 1 else logits


class Batch:
    """Flat tensors of a recorded batch; a step is t N + n."""

    def __init__(self, dump, options):
        steps = dump["value"].size
        as_double = lambda name: torch.tensor(dump[name].astype(np.float64)).reshape(
            (steps, -1) if dump[name].ndim == 3 else (steps,))
        self.obs, self.value = as_double("obs"), as_double("value")
        self.action = torch.tensor(dump["action"].astype(np.int64)).reshape(-1)
        choice = torch.distributions.Categorical(logits=all_logits(as_double("logits")))
        self.log_prob = choice.log_prob(self.action)
        self.advantage = torch.tensor(estimate_advantages(dump, options)).reshape(-1)
        self.returns = self.advantage + self.value
        self.nearest = np.inf  # of all ratios to a bound of the clip
        if options["normalize"] != "minibatch":
            self.advantage = normalise(self.advantage, options)


def losses(network, batch, chosen, options):
    """The loss of some steps, and the first five figures."""
    logits, value = network(batch.obs[chosen])
    choice = torch.distributions.Categorical(logits=logits)
    log_prob, entropy = choice.log_prob(batch.action[chosen]), choice.entropy().mean()
    log_ratio = log_prob - batch.log_prob[chosen]
    ratio = log_ratio.exp()
    advantage, returns = batch.advantage[chosen], batch.returns[chosen]
    if options["normalize"] == "minibatch":
        advantage = normalise(advantage, options)
    clipped = torch.zeros(())
    if options["algorithm"] == "ppo":
        clip = float(options["clip"])
        policy = -torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()
        clipped = ((ratio - 1).abs() > clip).double().mean()
        batch.nearest = min(batch.nearest, float(((ratio - 1).abs() - clip).abs().min()))
    else:
        policy = -(log_prob * advantage).mean()
    square = (value - returns) ** 2
    if options["value-clip"] != "none":
        limit, old = float(options["value-clip"]), batch.value[chosen]
        square = torch.max(square, (old + (value - old).clamp(-limit, limit) - returns) ** 2)
    value_loss = 0.5 * square.mean()
    loss = (policy + float(options["value-coef"]) * value_loss -
            float(options["entropy-coef"]) * entropy)
    divergence = (ratio - 1 - log_ratio).mean()
    return loss, [float(x) for x in (policy, value_loss, entropy, divergence, clipped)]


def update(network, optimiser, dump, options):
    """All passes over a batch: figures, how many passes, last gradient, nearest ratio to a bound."""
    batch = Batch(dump, options)
    told = []
    for epoch in dump["minibatch"].reshape(len(dump["minibatch"]), -1):
        divergences = []
        for m in range(int(options["minibatches"])):
            loss, figures = losses(network, batch, torch.tensor(epoch == m), options)
            network.zero_grad()
            loss.backward()
            gradient = network.flat_gradient()
            most = float(options["max-grad-norm"])
            norm = torch.nn.utils.clip_grad_norm_(network.parameters(), most or np.inf)
            optimiser.step()
            told.append(figures + [float(norm)])
            divergences.append(figures[3])
        if options["target-kl"] != "none" and np.mean(divergences) > float(options["target-kl"]):
            break
    raw = torch.tensor(estimate_advantages(dump, options)).reshape(-1)
    explained = 1 - float(raw.var(unbiased=False) / batch.returns.var(unbiased=False))
    means = list(np.mean(told, axis=0))
    return means[:5] + [explained] + means[5:], len(told), gradient, batch.nearest
