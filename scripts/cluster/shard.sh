#!/bin/sh
#SBATCH --job-name=skipgate
# One share of an exploration: shard.sh WORK ARTIFACT OPTIONS..., where OPTIONS are those of `skipgate pareto`.
#
# Which share it is, a Slurm array or an Indexed Job of Kubernetes (with SHARDS, how many there are) tells. WORK is a folder that
# all machines see: known results are read from WORK/all.jsonl, and those with the new ones are left in WORK/<share>.jsonl.
set -eu
work=$1 artifact=$2
shift 2
shard=${SLURM_ARRAY_TASK_ID:-$((${JOB_COMPLETION_INDEX:-0} + 1))}
shards=${SLURM_ARRAY_TASK_COUNT:-${SHARDS:?is the number of shares}}

# A copy, since the share that ends the work writes a front into its artifact.
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
cp -r "$artifact" "$own/artifact"
if [ -e "$work/all.jsonl" ]; then
    cp "$work/all.jsonl" "$work/$shard.jsonl"
fi
${SKIPGATE:-skipgate} pareto "$own/artifact" "$@" --shard "$shard/$shards" --store "$work/$shard.jsonl" \
    --threads "${SLURM_CPUS_PER_TASK:-$(nproc)}" --format json > "$work/$shard.json"
