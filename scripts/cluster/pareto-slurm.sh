#!/bin/sh
# Explores an artifact on a Slurm cluster: pareto-slurm.sh SHARES ARTIFACT OPTIONS..., where OPTIONS are those of `skipgate pareto`.
#
# A search decides step by step, and each step needs what all machines found before. So this submits an array of jobs again and
# again, puts their results together in between, and writes the front into ARTIFACT when nothing is missing any more. Started
# again after it was ended, it goes on. Options of sbatch, such as a partition, come in SBATCH_... variables or in SBATCH.
set -eu
shards=$1 artifact=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
skipgate=${SKIPGATE:-skipgate}
work=${artifact%/}.shares
mkdir -p "$work"
# What an earlier run left with another number of shares is merged, too.
rm -f "$work"/*.json

known=none
while :; do
    # A quoted SBATCH would be one word.
    # shellcheck disable=SC2086
    sbatch --wait --array="1-$shards" --output="$work/%a.log" ${SBATCH:-} "$here/shard.sh" "$work" "$artifact" "$@" || {
        echo "a share failed; see $work/*.log" >&2
        exit 1
    }
    stores=$(ls "$work"/[0-9]*.jsonl)
    # shellcheck disable=SC2086
    $skipgate merge $stores -o "$work/all.jsonl"
    if ! grep -q '"missing"' "$work"/[0-9]*.json; then
        break
    fi
    # Shares that add nothing and still wait would do so for ever.
    now=$(cksum < "$work/all.jsonl")
    if [ "$now" = "$known" ]; then
        echo "no share found anything new, but results are missing; see $work/*.log" >&2
        exit 1
    fi
    known=$now
done
# Everything is known, so this only measures latencies, unless they are given.
exec $skipgate pareto "$artifact" "$@" --store "$work/all.jsonl"
