/* Preloaded into ranks by tools/chaos: once the file named by TORN_WRITE appears, the first write to a file whose path
 * holds that file's text writes a part of its bytes, and kills its process. The file is removed by then. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* True if `fd` is a file that the order asks for, and the order was this process's to carry out. */
static int is_ordered(int fd, const char* order) {
  char wanted[64] = "", name[64], path[4096];
  const int file = open(order, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const ssize_t read_bytes = read(file, wanted, sizeof wanted - 1);
  close(file);
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(name, path, sizeof path - 1);
  if (read_bytes <= 0 || length <= 0) return 0;
  path[length] = 0;
  return strstr(path, wanted) && unlink(order) == 0;
}

ssize_t write(int fd, const void* data, size_t bytes) {
  static ssize_t (*real)(int, const void*, size_t);
  if (!real) real = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  const char* order = getenv("TORN_WRITE");
  if (order && bytes > 200 && is_ordered(fd, order)) {
    real(fd, data, 1 + (size_t)getpid() % (bytes - 1));
    kill(getpid(), SIGKILL);
  }
  return real(fd, data, bytes);
}
