/*
 * A disk that fails below SQLite: loaded into the relay (LD_PRELOAD), it stands between the spool's two files and the kernel.
 *
 * BROKEN_DISK_ORDERS   a file with one order, read at each operation; absent: the disk works. `queue.db-wal fsync EIO once`
 *                      file       queue.db or queue.db-wal
 *                      operation  write, fsync, truncate
 *                      error      EIO, ENOSPC, or short (a write: half of it, until nothing more goes, then ENOSPC)
 *                      once       the order is removed when it was followed
 * BROKEN_DISK_SHADOWS  a directory with what each file would be after a power cut now: the writes that a successful fsync followed.
 *
 * An fsync that fails does what Linux does: the written pages stay as they are in memory, count as clean from then on, and never reach the
 * disk unless they are written again. A later fsync that succeeds therefore proves nothing about them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pending {
  struct pending *next;
  off_t at;
  size_t octets; /* of a write; 0: cut to `at` */
  char bytes[];
};

struct file {
  const char *name;
  struct pending *first, **end;
};

enum { FILES = 2, MOST_DESCRIPTORS = 65536, ORDER_OCTETS = 128 };

static struct file files[FILES] = {{"queue.db", NULL, NULL}, {"queue.db-wal", NULL, NULL}};
/* 1 + index of the file. */
static unsigned char of_descriptor[MOST_DESCRIPTORS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static struct file *file_of(int fd) {
  if (fd < 0 || fd >= MOST_DESCRIPTORS || of_descriptor[fd] == 0) return NULL;
  return &files[of_descriptor[fd] - 1];
}

static void opened(int fd, const char *path) {
  if (fd < 0 || fd >= MOST_DESCRIPTORS) return;
  const char *slash = strrchr(path, '/');
  const char *name = slash == NULL ? path : slash + 1;
  of_descriptor[fd] = 0;
  for (int i = 0; i < FILES; i += 1)
    if (strcmp(name, files[i].name) == 0) of_descriptor[fd] = i + 1;
}

static void shadow_path(char *path, size_t octets, const struct file *file) {
  snprintf(path, octets, "%s/%s", getenv("BROKEN_DISK_SHADOWS"), file->name);
}

static void broken(const char *what) {
  perror(what);
  abort();
}

/* 0, or the error that is ordered; -1: a short write. */
static int ordered(const struct file *file, const char *operation) {
  const char *path = getenv("BROKEN_DISK_ORDERS");
  char text[ORDER_OCTETS], name[32], wanted[32], error[32], times[32] = "";
  int fd = REAL(open64)(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t octets = read(fd, text, sizeof text - 1);
  REAL(close)(fd);
  if (octets <= 0) return 0;
  text[octets] = '\0';
  if (sscanf(text, "%31s %31s %31s %31s", name, wanted, error, times) < 3) return 0;
  if (strcmp(name, file->name) != 0 || strcmp(wanted, operation) != 0) return 0;
  if (strcmp(times, "once") == 0) REAL(unlink)(path);
  if (strcmp(error, "short") == 0) return -1;
  return strcmp(error, "ENOSPC") == 0 ? ENOSPC : EIO;
}

static void remember(struct file *file, off_t at, const void *bytes, size_t octets) {
  struct pending *one = malloc(sizeof *one + octets);
  if (one == NULL) broken("malloc");
  one->next = NULL;
  one->at = at;
  one->octets = octets;
  if (octets > 0) memcpy(one->bytes, bytes, octets);
  if (file->end == NULL) file->end = &file->first;
  *file->end = one;
  file->end = &one->next;
}

static void forget(struct file *file) {
  while (file->first != NULL) {
    struct pending *next = file->first->next;
    free(file->first);
    file->first = next;
  }
  file->end = &file->first;
}

static void reach_disk(struct file *file) {
  char path[4096];
  shadow_path(path, sizeof path, file);
  int fd = REAL(open64)(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) broken(path);
  for (struct pending *one = file->first; one != NULL; one = one->next) {
    if (one->octets == 0 ? REAL(ftruncate64)(fd, one->at) != 0
                         : REAL(pwrite64)(fd, one->bytes, one->octets, one->at) != (ssize_t)one->octets)
      broken(path);
  }
  REAL(close)(fd);
  forget(file);
}

static int any_open(const char *function, const char *path, int flags, mode_t mode) {
  int fd = ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, function))(path, flags, mode);
  opened(fd, path);
  return fd;
}

int open64(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  return any_open("open64", path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  return any_open("open", path, flags, mode);
}

int close(int fd) {
  if (fd >= 0 && fd < MOST_DESCRIPTORS) of_descriptor[fd] = 0;
  return REAL(close)(fd);
}

int unlink(const char *path) {
  const char *slash = strrchr(path, '/');
  for (int i = 0; i < FILES; i += 1) {
    if (strcmp(slash == NULL ? path : slash + 1, files[i].name) != 0) continue;
    char shadow[4096];
    shadow_path(shadow, sizeof shadow, &files[i]);
    REAL(unlink)(shadow);
    forget(&files[i]);
  }
  return REAL(unlink)(path);
}

ssize_t pwrite64(int fd, const void *bytes, size_t octets, off_t at) {
  struct file *file = file_of(fd);
  if (file == NULL) return REAL(pwrite64)(fd, bytes, octets, at);
  pthread_mutex_lock(&lock);
  int error = ordered(file, "write");
  if (error < 0 && octets > 1) octets /= 2;
  else if (error != 0) {
    pthread_mutex_unlock(&lock);
    errno = error < 0 ? ENOSPC : error;
    return -1;
  }
  ssize_t written = REAL(pwrite64)(fd, bytes, octets, at);
  if (written > 0) remember(file, at, bytes, (size_t)written);
  pthread_mutex_unlock(&lock);
  return written;
}

int ftruncate64(int fd, off_t length) {
  struct file *file = file_of(fd);
  if (file == NULL) return REAL(ftruncate64)(fd, length);
  pthread_mutex_lock(&lock);
  int error = ordered(file, "truncate");
  int result = error == 0 ? REAL(ftruncate64)(fd, length) : -1;
  if (result == 0) remember(file, length, NULL, 0);
  pthread_mutex_unlock(&lock);
  if (error != 0) errno = error;
  return result;
}

static int any_sync(const char *function, int fd) {
  struct file *file = file_of(fd);
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, function);
  if (file == NULL) return real(fd);
  pthread_mutex_lock(&lock);
  int error = ordered(file, "fsync");
  int result = error == 0 ? real(fd) : -1;
  if (result == 0) reach_disk(file);
  else forget(file);
  pthread_mutex_unlock(&lock);
  if (error != 0) errno = error;
  return result;
}

int fsync(int fd) { return any_sync("fsync", fd); }

int fdatasync(int fd) { return any_sync("fdatasync", fd); }
