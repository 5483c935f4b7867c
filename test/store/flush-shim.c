/* Preloaded into a process under test: every flush takes FLUSH_MS longer before it begins, where FLUSH_GATE names a
   file from the moment on that there is one, and is counted by a byte appended to the file FLUSH_LOG. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void slow(char what) {
  const char *ms = getenv("FLUSH_MS");
  const char *path = getenv("FLUSH_LOG");
  const char *gate = getenv("FLUSH_GATE");
  if (ms && (!gate || access(gate, F_OK) == 0)) usleep(atoi(ms) * 1000);
  if (path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
      if (write(fd, &what, 1) != 1) abort();
      close(fd);
    }
  }
}

int fdatasync(int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
  slow('d');
  return real(fd);
}

int fsync(int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
  slow('f');
  return real(fd);
}
