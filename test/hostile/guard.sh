#!/bin/sh
# Runs a program that must not outlive whoever started it: guard.sh FOLDER PROGRAM [ARGUMENT …]
# Standard input is a pipe from the starter. When it ends, by will or because the starter died, the program is asked
# to end, and 5 s later its whole process group is killed. FOLDER, all it may write to, goes with it.
folder=$1
shift
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
(
  read -r _ <&3
  kill -TERM "$program" 2>/dev/null
  sleep 5
  rm -rf "$folder"
  kill -KILL 0
) &
# The starter may be gone, and with it whoever would read this.
trap '' PIPE
wait "$program"
echo "ended with status $?"
rm -rf "$folder"
kill -KILL 0
