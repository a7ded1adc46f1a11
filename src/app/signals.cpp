#include "app/signals.h"

#include <sys/prctl.h>

#include <atomic>
#include <csignal>

namespace assize::app {

namespace {

std::atomic<int> count{0};
static_assert(std::atomic<int>::is_always_lock_free, "the handler may only use lock-free atomics");

void handle(int) { count.fetch_add(1); }

void set_handler(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaction(signal, &action, nullptr);
}

}  // namespace

void count_stop_signals() {
  set_handler(handle);
  std::signal(SIGPIPE, SIG_IGN);  // whoever read our lines may leave; the run goes on
}

int stop_signals() { return count.load(); }

void leave_signals_to_coordinator() {
  set_handler(SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

}  // namespace assize::app
