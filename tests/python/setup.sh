#!/bin/sh
# Sets up what the live tests compare us with: the .venv folder of the project with Gymnasium,
# safetensors, TensorBoard and NVIDIA's disassembler from PyPI, and Debian's PyTorch. NumPy is Debian's
# too: its PyTorch is built against it. Does nothing when all of it is there. Root (or sudo) is needed
# the first time.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
venv=$root/.venv
python=/usr/bin/python3

check() {
  "$venv/bin/python" -c 'import ale_py, gymnasium, numpy, safetensors, tensorboard, torch
import importlib.metadata
importlib.metadata.version("nvidia-cuda-nvdisasm")' 2>/dev/null
}
if [ -x "$venv/bin/python" ] && check; then exit 0; fi

missing=
[ -x "$python" ] || missing="$missing python3"
"$python" -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
"$python" -c 'import numpy' 2>/dev/null || missing="$missing python3-numpy"
"$python" -c 'import torch' 2>/dev/null || missing="$missing python3-torch"
if [ -n "$missing" ]; then
  echo "setup.sh: installing Debian packages:$missing" >&2
  as_root=
  if [ "$(id -u)" != 0 ]; then as_root=sudo; fi
  $as_root apt-get -q update
  # shellcheck disable=SC2086  # a list of words
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
    install --no-install-recommends $missing
fi
echo "setup.sh: making $venv" >&2
rm -rf "$venv"
"$python" -m venv --system-site-packages "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check ale-py==0.12.1 gymnasium safetensors tensorboard \
  nvidia-cuda-nvdisasm
check || {
  echo "setup.sh: the modules do not import:" >&2
  "$venv/bin/python" -c 'import ale_py, gymnasium, numpy, safetensors, tensorboard, torch'
  "$venv/bin/pip" show nvidia-cuda-nvdisasm
}
