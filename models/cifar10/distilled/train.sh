#!/bin/sh
# Trains everything that has a recipe in this folder: about 29 hours of one core with bf16 units, 14 of two.
#
#   train.sh DATA RUNS    DATA: CIFAR-10's binary files; RUNS: folder for the results
#
# Interrupt it at any time and start it again: each command goes on where it was, after the last finished epoch or view,
# and one that is done ends at once. `python` needs the package skipgate_models; the fronts that networks are tuned on
# come from the program `skipgate`, and without it (SKIPGATE names another one) that part is left out.
#
# Trainings run beside each other with one thread each (THREADS): the threads of one process wait for each other without
# letting go of the core, which on a busy machine takes several times as long as no second thread.
set -eu
data=$1
runs=$2
recipes=$(dirname "$0")
skipgate=${SKIPGATE:-skipgate}

models() {
    python -m skipgate_models --threads "${THREADS:-1}" "$@" --data "$data"
}

# Waits for all processes started beside this one; fails if one of them failed.
all() {
    for process in "$@"; do wait "$process"; done
}

teacher() {
    models teacher "$recipes/teacher.toml" "$runs/teacher" "$@"
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

both() {
    learn "$1"
    tune "$1"
}

teacher --only 1 & first=$!
teacher --only 2 & second=$!
teacher --only 3 & third=$!
all $first $second $third
teacher
models bank "$runs/teacher" "$runs/bank"
both resnet20 & first=$!
both resnet110 & second=$!
all $first $second
