# shellcheck shell=bash
# Sourced by the batch scripts: starts a run on the nodes of this allocation, again and again until it is done.
#
#   run_until_done JOB.yaml [--set KEY=VALUE]...          a whole job
#   run_shard COUNT JOB.yaml [--set KEY=VALUE]...         in an array of COUNT tasks: one share of its samples
#
# Rank 0 coordinates: one rank more on the first node, which takes no GPU. What a site may set:
#   ASSIZE                 the program (assize)
#   ASSIZE_WORKERS         worker ranks a node (the node's GPUs, else --ntasks-per-node, else 1)
#   ASSIZE_LAUNCHER        srun or mpirun (srun)
#   ASSIZE_MPI             plugin of srun --mpi (pmix)
#   ASSIZE_REQUEUE         0 where jobs may not be put back into the queue (1)
#   ASSIZE_SKIP_DONE       1: nothing to do where the run is done; later links of a chain (0)
#   ASSIZE_TRIES           launches in a row without a new judgement before it gives up (6)
#   ASSIZE_PAUSE_SECONDS   between two launches, doubled each time nothing was judged (5)
#   ASSIZE_STALL_SECONDS   a launch that writes nothing for so long is ended and started again (1800)
#
# Near the time limit (sbatch --signal=B:USR1@SECONDS) and at pre-emption Slurm sends USR1: the run drains and the job
# goes back into the queue. TERM only drains: who sends it (scancel, scontrol requeue) decides what comes next.
set -u

assize=${ASSIZE:-assize}
launch=             # process of the current launch
hosts=              # file: the node of each rank
said=               # file: what the launcher and the ranks of the current launch wrote to standard error
asked_by=           # the first signal: USR1 or TERM
declare -A ended=() # how many launches a node ended

pass_on() {
  asked_by=${asked_by:-$1}
  [ -z "$launch" ] || kill -USR1 "$launch" 2>/dev/null
}
trap 'pass_on USR1' USR1
trap 'pass_on TERM' TERM

# Worker ranks a node.
workers() {
  local gpus=${SLURM_GPUS_ON_NODE:-0} tasks=${SLURM_NTASKS_PER_NODE:-1}
  case $gpus in *[!0-9]* | '') gpus=0 ;; esac
  [ "$gpus" -gt 0 ] && echo "${ASSIZE_WORKERS:-$gpus}" || echo "${ASSIZE_WORKERS:-$tasks}"
}

# Sets $hosts and $said to files of this script's own.
make_files() {
  hosts=$(mktemp) && said=$(mktemp) || exit 1
  trap 'rm -f "$hosts" "$said"' EXIT
}

# choose_nodes WORKERS [NODES]: writes the node of each rank, one a line, to $hosts: the first node once for the
# coordinator, then each of the first NODES (all) once a worker. Nodes that ended two launches are left out, unless none
# would be left.
choose_nodes() {
  local all good=() node worker
  all=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n "${2:-1000000}") || exit 1
  for node in $all; do [ "${ended[$node]:-0}" -ge 2 ] || good+=("$node"); done
  [ ${#good[@]} -gt 0 ] || mapfile -t good <<<"$all"
  {
    echo "${good[0]}"
    for node in "${good[@]}"; do
      for ((worker = 0; worker < $1; worker++)); do echo "$node"; done
    done
  } >"$hosts"
}

# Counts the node whose rank ended the last launch, as far as srun or mpirun named it first.
blame_node() {
  local node
  node=$(sed -nE 's/^srun: error: ([^ :[]+): tasks? .*/\1/p; s/^mpirun noticed .* on node ([^ ]+) exited on signal.*/\1/p' "$said" | head -n 1)
  [ -n "$node" ] || return 0
  ended[$node]=$((${ended[$node]:-0} + 1))
  [ "${ended[$node]}" -ne 2 ] || echo "node $node ended two launches and is left out from here on" >&2
}

# Hands standard input on to standard error and keeps it, whatever signals come.
keep_said() {
  trap '' USR1 TERM
  tee "$said" >&2
}

# start_launch JOB [--set ...]: in the background; sets $launch.
start_launch() {
  local ranks nodes
  ranks=$(wc -l <"$hosts")
  nodes=$(sort -u "$hosts" | wc -l)
  # First, so that a setting of the user stands.
  [ -z "${SLURM_CPUS_PER_TASK:-}" ] || set -- --set "parallel.threads=$SLURM_CPUS_PER_TASK" "$@"
  case ${ASSIZE_LAUNCHER:-srun} in
    srun)
      SLURM_HOSTFILE=$hosts srun --mpi="${ASSIZE_MPI:-pmix}" --nodes="$nodes" --ntasks="$ranks" --distribution=arbitrary --overcommit \
        --cpu-bind=none --kill-on-bad-exit=1 "$assize" run "$@" 2> >(keep_said) &
      ;;
    mpirun)
      OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none \
        mpirun --map-by seq --hostfile "$hosts" -np "$ranks" "$assize" run "$@" 2> >(keep_said) &
      ;;
    *)
      echo "ASSIZE_LAUNCHER is '$ASSIZE_LAUNCHER'; it must be srun or mpirun" >&2
      exit 2
      ;;
  esac
  launch=$!
}

# Bytes of the journal of run $1; a new start alone adds an epoch mark of 24.
journal_bytes() { find "$1/journal" -type f -printf '%s\n' 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }'; }

# end_stalled_launch RUN PID: ends a launch that has written nothing for ASSIZE_STALL_SECONDS. srun would wait for ever
# for the ranks of a node that was away for a short time.
end_stalled_launch() {
  local limit=${ASSIZE_STALL_SECONDS:-1800} started=$SECONDS newest
  trap - USR1 TERM
  while sleep $((limit < 60 ? limit : 60)) && kill -0 "$2" 2>/dev/null; do
    newest=$(find "$1" -maxdepth 2 -type f -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1)
    newest=${newest%.*}
    if [ $((SECONDS - started)) -lt "$limit" ] || [ $(($(date +%s) - ${newest:-0})) -lt "$limit" ]; then continue; fi
    echo "nothing was written for $limit s; ending this launch" >&2
    # The steps one by one: KILL for the job would end this script too.
    squeue --noheader --steps --jobs="$SLURM_JOB_ID" --format=%i | grep -E '\.[0-9]+$' | xargs -r scancel --quiet --signal=KILL
    sleep 10
    kill -KILL "$2" 2>/dev/null
    return
  done
}

# Sleeps, but wakes up for a signal.
pause() {
  sleep "$1" &
  wait $!
}

# launch_once RUN JOB [--set ...]: one launch to its end; gives its exit status.
launch_once() {
  local run=$1 watcher code
  shift
  start_launch "$@"
  end_stalled_launch "$run" "$launch" &
  watcher=$!
  wait "$launch"
  code=$?
  # wait returns early when a signal arrives; the run is still draining then.
  while kill -0 "$launch" 2>/dev/null; do
    wait "$launch"
    code=$?
  done
  launch=
  kill "$watcher" 2>/dev/null
  return "$code"
}

# Puts this job back into the queue where that is allowed, and ends the script.
leave_drained() {
  echo "ending on $asked_by; what is judged stays"
  if [ "$asked_by" = USR1 ] && [ "${ASSIZE_REQUEUE:-1}" = 1 ]; then
    scontrol requeue "$SLURM_JOB_ID" || echo "this job cannot be requeued; submit it again to go on" >&2
  fi
  exit 75
}

run_until_done() {
  local run code before idle=0 wait_seconds=${ASSIZE_PAUSE_SECONDS:-5}
  [ $# -ge 1 ] || { echo "give a job: JOB.yaml [--set KEY=VALUE]..." >&2; exit 2; }
  run=$("$assize" check --output "$@") || exit 2
  if [ "${ASSIZE_SKIP_DONE:-0}" = 1 ] && [ -e "$run/DONE" ]; then
    echo "$run is done already"
    exit 0
  fi
  make_files
  while [ -z "$asked_by" ]; do
    choose_nodes "$(workers)"
    before=$(journal_bytes "$run")
    launch_once "$run" "$@"
    code=$?
    # Done is what the mark says: an exit status may be lost on the way.
    [ -e "$run/DONE" ] && case $code in 0 | 3) exit "$code" ;; *) exit 0 ;; esac
    case $code in
      2 | 3) exit "$code" ;; # a wrong job; answers too bad to go on
      75) asked_by=${asked_by:-USR1} ;; # the ranks alone got the signal
    esac
    [ -z "$asked_by" ] || break
    blame_node
    if [ $(($(journal_bytes "$run") - before)) -gt 24 ]; then
      idle=0
      wait_seconds=${ASSIZE_PAUSE_SECONDS:-5}
    else
      idle=$((idle + 1))
      [ "$idle" -lt "${ASSIZE_TRIES:-6}" ] || { echo "gave up: $idle launches in a row judged nothing; the last ended with $code" >&2; exit 1; }
      wait_seconds=$((wait_seconds * 2))
    fi
    echo "the launch ended with $code; starting again in $wait_seconds s: the run goes on where it was"
    pause "$wait_seconds"
  done
  leave_drained
}

# Shard I of OUTPUT goes to OUTPUT.shards/I-of-COUNT; assize merge OUTPUT OUTPUT.shards/* makes one run of all.
run_shard() {
  local count=$1 output
  shift
  [ $# -ge 1 ] || { echo "give the number of shards and a job: COUNT JOB.yaml [--set KEY=VALUE]..." >&2; exit 2; }
  case $count in *[!0-9]* | '') echo "'$count' is not a number of shards" >&2; exit 2 ;; esac
  output=$("$assize" check --output "$@") || exit 2
  output=$output.shards/$SLURM_ARRAY_TASK_ID-of-$count
  run_until_done "$@" --set "limits.shard=$SLURM_ARRAY_TASK_ID/$count" --set "output='${output//\'/\'\'}'"
}
