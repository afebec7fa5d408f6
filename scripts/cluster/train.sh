#!/bin/sh
#SBATCH --job-name=skipgate-train
#SBATCH --ntasks-per-node=1
# Trains on all nodes of a Slurm job: sbatch --nodes 2 --gpus-per-node 4 train.sh OPTIONS..., where OPTIONS are those of
# `skipgate-models train`, from the folder `models` of a checkout. Each node starts one torchrun, which starts a process per GPU,
# or PROCESSES of them.
set -eu
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
exec srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "${PROCESSES:-gpu}" \
    --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$head:${PORT:-29500}" \
    -m skipgate_models train "$@"
