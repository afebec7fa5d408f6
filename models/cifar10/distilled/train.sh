#!/bin/sh
# Trains everything that has a recipe in this folder: about 11 hours on two idle cores with bf16 units.
#
#   train.sh DATA RUNS    DATA: CIFAR-10's binary files; RUNS: folder for the results
#
# Interrupt it at any time and start it again: each command goes on where it was, after the last finished epoch or view,
# and one that is done ends at once. `python` needs the package skipgate_models; the fronts that networks are tuned on
# come from the program `skipgate`, and without it (SKIPGATE names another one) that part is left out.
set -eu
data=$1
runs=$2
recipes=$(dirname "$0")
skipgate=${SKIPGATE:-skipgate}

models() {
    python -m skipgate_models "$@" --data "$data"
}

# The original, and from it the skippable network.
learn() {
    models train "$recipes/$1.toml" "$runs/$1" --bank "$runs/bank"
    models train "$recipes/$1-sd.toml" "$runs/$1-sd" --bank "$runs/bank" --initial "$runs/$1"
}

# The skippable network on the masks that are worth deploying.
tune() {
    folder=$runs/$1-sd
    command -v "$skipgate" > /dev/null || return 0
    [ -e "$folder.onnx" ] || models export "$folder" "$folder.onnx"
    [ -e "$folder.artifact/manifest.json" ] || "$skipgate" compile "$folder.onnx" -o "$folder.artifact"
    [ -e "$folder.artifact/pareto.json" ] || "$skipgate" pareto "$folder.artifact" --data "$data"
    models tune "$recipes/$1-tuned.toml" "$runs/$1-tuned" --front "$folder.artifact/pareto.json" \
        --bank "$runs/bank" --initial "$folder"
}

models teacher "$recipes/teacher.toml" "$runs/teacher"
models bank "$runs/teacher" "$runs/bank"
for network in resnet20 resnet110; do
    learn "$network"
    tune "$network"
done
