"""Names of kernels as people write them: demangled, without parameters and our own namespaces."""

import re
import shutil
import subprocess


def demangled(names):
    """Maps mangled names to demangled ones; names stay as they are where c++filt is not installed."""
    names = list(dict.fromkeys(names))
    filt = shutil.which("c++filt")
    if not names or filt is None:
        return {name: name for name in names}
    result = subprocess.run([filt], input="\n".join(names), capture_output=True, text=True, check=True)
    return dict(zip(names, result.stdout.splitlines()))


def without_parameters(text):
    """'void f<int, (E)2>(A<float>)' -> 'f<int, (E)2>'."""
    if not text.endswith(")"):
        return text
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        depth += (text[place] == ")") - (text[place] == "(")
        if depth == 0:
            text = text[:place]
            break
    depth = 0
    for place in range(len(text) - 1, -1, -1):  # a template has its return type in front
        depth += (text[place] in ">)") - (text[place] in "<(")
        if depth == 0 and text[place] == " ":
            return text[place + 1 :]
    return text


def short_names(names):
    """Maps mangled names to what budgets and messages call them: 'rollout<CartPole, (PolicyForm)2>'."""
    return {
        name: re.sub(r"\b(lockstep|cuda)::|\(anonymous namespace\)::", "", without_parameters(full))
        for name, full in demangled(names).items()
    }
