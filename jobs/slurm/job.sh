#!/bin/bash
# {{title}}
# Submit with: {{submit}}
# Stopped before its end (preempted, out of time, signalled) the job queues itself again and goes on
# from the run's journal, at most {{max_restarts}} times.
#SBATCH --job-name={{name}}
#SBATCH --account={{account}}
#SBATCH --partition={{partition}}
#SBATCH --qos={{qos}}
#SBATCH --nodes={{nodes}}
#SBATCH --ntasks-per-node={{ranks_per_node}}
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu={{memory_mb}}M
#SBATCH --time={{walltime}}
#SBATCH --array={{array}}
#SBATCH --dependency={{after}}
#SBATCH --output={{log}}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@{{lead_s}}
{{directives}}

# The warning comes to this shell alone (B:), which hands it to the launcher: as USR1, since a TERM
# makes mpirun kill the ranks. A job that was sent TERM itself (scancel) does not come back.
pid="" told=""
stop() { told=$1; [ -z "$pid" ] || kill -USR1 "$pid" 2>/dev/null; }
trap 'stop USR1' USR1
trap 'stop TERM' TERM

cd {{folder}} || exit 2
module load {{modules}}
{{setup}}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 # one rank per core

me=$SLURM_JOB_ID
[ -z "${SLURM_ARRAY_TASK_ID:-}" ] || me=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID # the bare id can mean all members
share={{share}}

# skyloom begins nothing that is not expected to end {{lead_s}} s before this time.
end=$(squeue --noheader --jobs="$me" --format=%e)
SKYLOOM_JOB_END_TIME=$(date --date="${end:-unknown}" +%s) && export SKYLOOM_JOB_END_TIME

{{launcher}} \
  {{command}} &
pid=$!
[ -z "$told" ] || { sleep 5 && stop "$told"; } # it came before anybody listened
while kill -0 "$pid" 2>/dev/null; do wait "$pid"; done # a signal ends wait before the program
wait "$pid"
status=$?

# 75: stopped, to be continued. 138: USR1 came before the program listened. All else is final.
restarts=$((${SKYLOOM_RESTARTS:-0} + ${SLURM_RESTART_COUNT:-0}))
if [ "$told" != TERM ] && [ "$restarts" -lt {{max_restarts}} ] &&
  { [ "$status" = 75 ] || [ "$status" = 138 ]; }; then
  if scontrol requeue "$me"; then
    sleep 60 # Slurm ends this script, which must not end by itself first
  else # not allowed here: a new job in its place
    sbatch --dependency="afterany:$me" ${SLURM_ARRAY_TASK_ID:+--array="$SLURM_ARRAY_TASK_ID"} \
      --export="ALL,SKYLOOM_RESTARTS=$((restarts + 1))" "$0"
  fi
fi
exit "$status"
