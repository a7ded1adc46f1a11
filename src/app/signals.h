#pragma once

namespace assize::app {

/// From now on TERM, INT and USR1 are counted instead of ending the process (coordinator).
void count_stop_signals();
/// Number of stop signals so far.
int stop_signals();
/// TERM, INT and USR1 are left to the coordinator; this process ends when its parent dies (worker ranks).
void leave_signals_to_coordinator();

}  // namespace assize::app
