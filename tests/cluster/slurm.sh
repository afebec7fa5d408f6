#!/bin/sh
# scripts/cluster/pareto-slurm.sh on a Slurm of this machine alone: what its shares find together is what one machine finds.
#
# slurm.sh SKIPGATE, as root, with Debian's slurmctld, slurmd, slurm-client and munge. A job of its own of CI.
set -eu
skipgate=$(realpath "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
chmod 755 "$dir"
processes=
# Only what this started, by its number.
finish() {
    for process in $processes; do
        kill "$process" 2>/dev/null || true
    done
    wait
    rm -rf "$dir"
}
trap finish EXIT

host=$(hostname -s)
cpus=$(nproc)
mkdir "$dir/state" "$dir/spool"
# Munge wants its folders to itself.
mkdir -m 700 "$dir/munge"
dd if=/dev/urandom of="$dir/munge/key" bs=128 count=1 2>/dev/null
chmod 400 "$dir/munge/key"
mkdir -m 711 "$dir/socket"
munged --foreground --key-file="$dir/munge/key" --socket="$dir/socket/munge" --pid-file="$dir/munge/pid" \
    --log-file="$dir/munge/log" --seed-file="$dir/munge/seed" --force 2>/dev/null &
processes="$processes $!"

export SLURM_CONF="$dir/slurm.conf"
cat > "$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$dir/socket/munge
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/builtin
SelectType=select/cons_tres
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=10 State=UP
END
slurmctld -D >/dev/null 2>&1 &
processes="$processes $!"
slurmd -D >/dev/null 2>&1 &
processes="$processes $!"
tries=0
until sinfo --noheader --states=idle 2>/dev/null | grep -q idle; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
        tail -n 5 "$dir"/*.log "$dir"/munge/log >&2
        exit 1
    fi
    sleep 0.5
done

export SKIPGATE="$skipgate"
"$skipgate" compile "$root/models/digits/resnet20.onnx" -o "$dir/one" >/dev/null
cp -r "$dir/one" "$dir/many"
"$skipgate" pareto "$dir/one" --data digits --search greedy --threads 1 >/dev/null
SBATCH="--chdir=$dir" "$root/scripts/cluster/pareto-slurm.sh" 2 "$dir/many" --data digits --search greedy

# The same masks with the same accuracies; latencies were measured twice, so the fronts may differ.
candidates() {
    grep -e '"mask"' -e '"correct"' "$1/exploration.json"
}
candidates "$dir/one" > "$dir/one.txt"
candidates "$dir/many" > "$dir/many.txt"
diff "$dir/one.txt" "$dir/many.txt"
echo "two shares found together what one machine finds"
