#!/bin/bash
# {{title}}
# Submit with: {{submit}}
# Stopped before its end (out of time, signalled) the job submits its successor, which goes on from
# the run's journal, at most {{max_restarts}} times. PBS itself runs it again after preemption (-r y).
#PBS -N {{name}}
#PBS -A {{account}}
#PBS -q {{partition}}
#PBS -l select={{select}}
#PBS -l walltime={{walltime}}
#PBS -r y
#PBS -j oe
#PBS -o {{folder_plain}}/
{{directives}}

# The launcher is told to stop by USR1: a TERM makes mpirun kill the ranks. A job that was sent TERM
# itself (qdel, or preemption, after which PBS runs it again) has no successor.
pid="" told=""
stop() { told=$1; [ -z "$pid" ] || kill -USR1 "$pid" 2>/dev/null; }
trap 'stop USR1' USR1
trap 'stop TERM' TERM

begin=$(date +%s)
cd {{folder}} || exit 2
module load {{modules}}
{{setup}}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 # one rank per core

share={{share}} # a successor is no member of the array

# PBS gives no warning: skyloom stops by itself {{lead_s}} s before this time.
walltime=$(qstat -f "$PBS_JOBID" 2>/dev/null | sed -n 's/^ *Resource_List.walltime = //p')
IFS=: read -r h m s <<<"${walltime:-{{walltime}}}"
export SKYLOOM_JOB_END_TIME=$((begin + 10#$h * 3600 + 10#$m * 60 + 10#$s))

{{launcher}} \
  {{command}} &
pid=$!
[ -z "$told" ] || { sleep 5 && stop "$told"; } # it came before anybody listened
while kill -0 "$pid" 2>/dev/null; do wait "$pid"; done # a signal ends wait before the program
wait "$pid"
status=$?

# 75: stopped, to be continued. 138: USR1 came before the program listened. All else is final.
restarts=${SKYLOOM_RESTARTS:-0}
if [ "$told" != TERM ] && [ "$restarts" -lt {{max_restarts}} ] &&
  { [ "$status" = 75 ] || [ "$status" = 138 ]; }; then
  qsub -v "{{successor}}" {{script}}
fi
exit "$status"
