/* Stands between a process and its disk: notes what is done to the files below a folder, and misbehaves when it is told to.
 *
 * Loaded by LD_PRELOAD. Three variables steer it:
 *   FAULTY_ROOT     the folder, as an absolute path without links
 *   FAULTY_LOG      a file that everything done below the folder is appended to; unset: nothing is noted
 *   FAULTY_CONTROL  a file of four 32-bit numbers (struct control), read anew at each call
 *
 * A note is written right after the call that it tells of, under one lock, so that notes stand in the order of the calls. Of a
 * sync there are two, one before and one after it has succeeded: what was written before the first is on the disk when the
 * second is there. Files are named by inode numbers, for they may have several names or none. SQLite's shared memory (-shm) is
 * no disk: it takes room on it, and is rebuilt after a crash.
 *
 * Calls that would change files in a way that is not noted end the process, so that none goes unseen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    uint32_t lie;        /* not 0: a sync does nothing and says that it did */
    uint32_t fail_every; /* n: every n-th sync fails with EIO */
    uint32_t delay_ms;   /* each sync takes so much longer */
    uint32_t full;       /* not 0: nothing grows, there is no space left */
};

struct __attribute__((packed)) note {
    uint8_t kind;
    uint64_t inode;
    uint64_t number; /* an offset, a length, or the number of a sync */
    uint64_t bytes;  /* of what was written */
    uint16_t first;  /* bytes of the first path */
    uint16_t second; /* bytes of the second path */
};

enum { ELSEWHERE, MEMORY, DISK };

static const struct control nothing;
static volatile const struct control *control = &nothing;
static char root[PATH_MAX];
static size_t root_length;
static int log_file = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t syncs;

#define REAL(type, name, ...)                                          \
    static type (*real)(__VA_ARGS__);                                  \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void give_up(const char *what) {
    static const char text[] = "the faulty disk cannot go on: ";
    if (write(2, text, sizeof text - 1) > 0 && write(2, what, strlen(what)) > 0 && write(2, "\n", 1) > 0) {}
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("FAULTY_ROOT"), *notes = getenv("FAULTY_LOG"), *orders = getenv("FAULTY_CONTROL");
    if (!folder || strlen(folder) >= sizeof root) return;
    strcpy(root, folder);
    if (orders) {
        int file = (int)syscall(SYS_open, orders, O_RDONLY | O_CLOEXEC);
        void *shared = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ, MAP_SHARED, file, 0);
        if (shared == MAP_FAILED) give_up("its orders cannot be read");
        syscall(SYS_close, file);
        control = shared;
    }
    if (notes) {
        int file = (int)syscall(SYS_open, notes, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file < 0) give_up("its log cannot be opened");
        /* Out of the way of the numbers that programs expect. */
        log_file = fcntl(file, F_DUPFD_CLOEXEC, 900);
        syscall(SYS_close, file);
    }
    root_length = strlen(root);
}

static int place_of(const char *path) {
    if (!root_length || strncmp(path, root, root_length) != 0 || (path[root_length] != '/' && path[root_length] != 0)) return ELSEWHERE;
    static const char deleted[] = " (deleted)", memory[] = "-shm";
    size_t length = strlen(path);
    if (length > sizeof deleted && strcmp(path + length - (sizeof deleted - 1), deleted) == 0) length -= sizeof deleted - 1;
    size_t end = sizeof memory - 1;
    return length > end && strncmp(path + length - end, memory, end) == 0 ? MEMORY : DISK;
}

static int place_of_file(int file) {
    char link[40], path[PATH_MAX];
    if (!root_length || file <= 2 || file == log_file) return ELSEWHERE;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return ELSEWHERE;
    path[length] = 0;
    return place_of(path);
}

/* The path that a call means, absolute. */
static const char *meant(int folder, const char *path, char *room) {
    char link[40];
    if (path[0] == '/') return path;
    if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, room, PATH_MAX - 1);
    if (length <= 0 || (size_t)length + strlen(path) + 2 > PATH_MAX) return path;
    room[length] = '/';
    strcpy(room + length + 1, path);
    return room;
}

static uint64_t inode_of(int file) {
    struct stat found;
    if (fstat(file, &found) != 0) give_up("a file has no inode number");
    return found.st_ino;
}

static void note(char kind, uint64_t inode, uint64_t number, const char *first, const char *second, const struct iovec *data, int pieces,
                 uint64_t bytes) {
    if (log_file < 0) return;
    struct note head = {(uint8_t)kind, inode, number, bytes, (uint16_t)(first ? strlen(first) : 0), (uint16_t)(second ? strlen(second) : 0)};
    struct iovec parts[3 + 64];
    int count = 0;
    parts[count++] = (struct iovec){&head, sizeof head};
    if (head.first) parts[count++] = (struct iovec){(void *)first, head.first};
    if (head.second) parts[count++] = (struct iovec){(void *)second, head.second};
    uint64_t left = bytes;
    for (int piece = 0; piece < pieces && left > 0; piece++) {
        size_t length = data[piece].iov_len < left ? data[piece].iov_len : left;
        parts[count++] = (struct iovec){data[piece].iov_base, length};
        left -= length;
    }
    size_t all = 0;
    for (int part = 0; part < count; part++) all += parts[part].iov_len;
    if (syscall(SYS_writev, log_file, parts, count) != (long)all) give_up("its log cannot be written");
}

/* Opening, which may make or empty a file. */

static int is_there(int folder, const char *path) {
    struct stat found;
    return fstatat(folder, path, &found, 0) == 0;
}

static int opened(int folder, const char *path, int flags, mode_t mode, int (*real)(int, const char *, int, ...)) {
    char room[PATH_MAX];
    const char *full = meant(folder, path, room);
    int place = flags & (O_CREAT | O_TRUNC) ? place_of(full) : ELSEWHERE;
    if (place == ELSEWHERE) return real(folder, path, flags, mode);
    if ((flags & O_TMPFILE) == O_TMPFILE) give_up("O_TMPFILE");
    pthread_mutex_lock(&lock);
    int old = is_there(folder, path), file = -1;
    if (!old && (flags & O_CREAT) && control->full) errno = ENOSPC;
    else file = real(folder, path, flags, mode);
    int error = errno;
    if (file >= 0 && place == DISK) {
        if (!old) note('C', inode_of(file), 0, full, NULL, NULL, 0, 0);
        else if (flags & O_TRUNC) note('T', inode_of(file), 0, NULL, NULL, NULL, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return file;
}

#define MODE(flags, mode)                           \
    mode_t mode = 0;                                \
    if ((flags) & (O_CREAT | O_TMPFILE)) {          \
        va_list rest;                               \
        va_start(rest, flags);                      \
        mode = va_arg(rest, mode_t);                \
        va_end(rest);                               \
    }

int openat64(int folder, const char *path, int flags, ...) {
    REAL(int, "openat64", int, const char *, int, ...);
    MODE(flags, mode)
    return opened(folder, path, flags, mode, real);
}
int openat(int folder, const char *path, int flags, ...) {
    MODE(flags, mode)
    return openat64(folder, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags, mode)
    return openat64(AT_FDCWD, path, flags, mode);
}
int open(const char *path, int flags, ...) {
    MODE(flags, mode)
    return openat64(AT_FDCWD, path, flags, mode);
}
int creat64(const char *path, mode_t mode) { return openat64(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat(const char *path, mode_t mode) { return creat64(path, mode); }

/* Writing. */

static int would_grow(int file, uint64_t offset, uint64_t bytes) {
    struct stat found;
    if (fstat(file, &found) != 0) return 0;
    uint64_t from = offset;
    if (offset == UINT64_MAX) {
        int flags = fcntl(file, F_GETFL);
        from = flags >= 0 && (flags & O_APPEND) ? (uint64_t)found.st_size : (uint64_t)lseek(file, 0, SEEK_CUR);
    }
    return from + bytes > (uint64_t)found.st_size;
}

/* offset: UINT64_MAX for where the file stands. */
static ssize_t written(int file, const struct iovec *data, int pieces, uint64_t offset) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    static ssize_t (*at)(int, const struct iovec *, int, off64_t);
    if (!at) at = (ssize_t(*)(int, const struct iovec *, int, off64_t))dlsym(RTLD_NEXT, "pwritev64");
    int place = place_of_file(file);
    if (place == ELSEWHERE) return offset == UINT64_MAX ? real(file, data, pieces) : at(file, data, pieces, (off64_t)offset);
    if (pieces > 64) pieces = 64; /* a short write, which callers must expect */
    uint64_t bytes = 0;
    for (int piece = 0; piece < pieces; piece++) bytes += data[piece].iov_len;
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    if (control->full && would_grow(file, offset, bytes)) errno = ENOSPC;
    else done = offset == UINT64_MAX ? real(file, data, pieces) : at(file, data, pieces, (off64_t)offset);
    int error = errno;
    if (done > 0 && place == DISK) {
        uint64_t from = offset == UINT64_MAX ? (uint64_t)lseek(file, 0, SEEK_CUR) - (uint64_t)done : offset;
        note('W', inode_of(file), from, NULL, NULL, data, pieces, (uint64_t)done);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int file, const void *data, size_t bytes) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (place_of_file(file) == ELSEWHERE) return real(file, data, bytes);
    struct iovec piece = {(void *)data, bytes};
    return written(file, &piece, 1, UINT64_MAX);
}
ssize_t pwrite64(int file, const void *data, size_t bytes, off64_t offset) {
    struct iovec piece = {(void *)data, bytes};
    return written(file, &piece, 1, (uint64_t)offset);
}
ssize_t pwrite(int file, const void *data, size_t bytes, off_t offset) { return pwrite64(file, data, bytes, offset); }
ssize_t writev(int file, const struct iovec *data, int pieces) { return written(file, data, pieces, UINT64_MAX); }
ssize_t pwritev64(int file, const struct iovec *data, int pieces, off64_t offset) { return written(file, data, pieces, (uint64_t)offset); }
ssize_t pwritev(int file, const struct iovec *data, int pieces, off_t offset) { return pwritev64(file, data, pieces, offset); }

int ftruncate64(int file, off64_t length) {
    REAL(int, "ftruncate64", int, off64_t);
    int place = place_of_file(file);
    if (place == ELSEWHERE) return real(file, length);
    pthread_mutex_lock(&lock);
    /* A file that becomes longer by this has a hole, which takes no room. */
    int done = real(file, length), error = errno;
    if (done == 0 && place == DISK) note('T', inode_of(file), (uint64_t)length, NULL, NULL, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

int fallocate64(int file, int mode, off64_t offset, off64_t bytes) {
    REAL(int, "fallocate64", int, int, off64_t, off64_t);
    int place = place_of_file(file);
    if (place == ELSEWHERE) return real(file, mode, offset, bytes);
    if (mode != 0) give_up("fallocate with a mode");
    pthread_mutex_lock(&lock);
    int done = -1;
    if (control->full && would_grow(file, (uint64_t)offset, (uint64_t)bytes)) errno = ENOSPC;
    else done = real(file, mode, offset, bytes);
    int error = errno;
    struct stat found;
    if (done == 0 && place == DISK && fstat(file, &found) == 0) note('T', found.st_ino, (uint64_t)found.st_size, NULL, NULL, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int fallocate(int file, int mode, off_t offset, off_t bytes) { return fallocate64(file, mode, offset, bytes); }
int posix_fallocate64(int file, off64_t offset, off64_t bytes) { return fallocate64(file, 0, offset, bytes) == 0 ? 0 : errno; }
int posix_fallocate(int file, off_t offset, off_t bytes) { return posix_fallocate64(file, offset, bytes); }

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *offset, size_t bytes, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    if (place_of_file(to) != ELSEWHERE) give_up("copy_file_range");
    return real(from, at, to, offset, bytes, flags);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t bytes) {
    REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t);
    if (place_of_file(to) != ELSEWHERE) give_up("sendfile");
    return real(to, from, offset, bytes);
}

/* Syncing. */

static int synced(int file, int (*real)(int)) {
    static uint64_t failing;
    int place = place_of_file(file);
    if (place != DISK) return real(file);
    pthread_mutex_lock(&lock);
    uint64_t number = ++syncs, inode = inode_of(file);
    note('B', inode, number, NULL, NULL, NULL, 0, 0);
    uint32_t every = control->fail_every, delay = control->delay_ms, lie = control->lie;
    int fails = every && ++failing % every == 0;
    pthread_mutex_unlock(&lock);
    if (delay) {
        struct timespec time = {delay / 1000, (long)(delay % 1000) * 1000000};
        nanosleep(&time, NULL);
    }
    if (fails) {
        errno = EIO;
        return -1;
    }
    if (lie) return 0;
    int done = real(file), error = errno;
    if (done == 0) {
        pthread_mutex_lock(&lock);
        note('S', inode, number, NULL, NULL, NULL, 0, 0);
        pthread_mutex_unlock(&lock);
    }
    errno = error;
    return done;
}
int fsync(int file) {
    REAL(int, "fsync", int);
    return synced(file, real);
}
int fdatasync(int file) {
    REAL(int, "fdatasync", int);
    return synced(file, real);
}

/* Names. */

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    REAL(int, "linkat", int, const char *, int, const char *, int);
    char one[PATH_MAX], other[PATH_MAX];
    const char *old = meant(from_folder, from, one), *new = meant(to_folder, to, other);
    if (place_of(new) != DISK) return real(from_folder, from, to_folder, to, flags);
    pthread_mutex_lock(&lock);
    int done = real(from_folder, from, to_folder, to, flags), error = errno;
    if (done == 0) note('L', 0, 0, old, new, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    char one[PATH_MAX], other[PATH_MAX];
    const char *old = meant(from_folder, from, one), *new = meant(to_folder, to, other);
    if (place_of(new) != DISK && place_of(old) != DISK) return real(from_folder, from, to_folder, to, flags);
    if (flags) give_up("renameat2 with flags");
    pthread_mutex_lock(&lock);
    int done = real(from_folder, from, to_folder, to, flags), error = errno;
    if (done == 0) note('R', 0, 0, old, new, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) { return renameat2(from_folder, from, to_folder, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    char room[PATH_MAX];
    const char *full = meant(folder, path, room);
    if (place_of(full) != DISK) return real(folder, path, flags);
    pthread_mutex_lock(&lock);
    int done = real(folder, path, flags), error = errno;
    if (done == 0) note('U', 0, 0, full, NULL, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    char room[PATH_MAX];
    const char *full = meant(folder, path, room);
    if (place_of(full) != DISK) return real(folder, path, mode);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (control->full) errno = is_there(folder, path) ? EEXIST : ENOSPC;
    else done = real(folder, path, mode);
    int error = errno;
    struct stat made;
    if (done == 0 && fstatat(folder, path, &made, 0) == 0) note('D', made.st_ino, 0, full, NULL, NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
