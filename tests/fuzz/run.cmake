# Runs one fuzz target the same way each time: PROGRAM, FOUND (folder for new inputs), CORPUS, RUNS.
file(REMOVE_RECURSE ${FOUND})
file(MAKE_DIRECTORY ${FOUND})
execute_process(
  COMMAND ${PROGRAM} -runs=${RUNS} -seed=1 -timeout=20 -rss_limit_mb=2048 -max_len=4096 -verbosity=0 -print_final_stats=1
          -artifact_prefix=${FOUND}/ ${FOUND} ${CORPUS}
  COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
