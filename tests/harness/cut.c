/* A card that remembers: put between the server and the C library, it writes down, in order, everything that is
 * done to the files of one folder and everything that leaves through a socket. From that, the states that a power
 * cut could have left are built (cut.rs). It can also make the n-th file operation fail.
 *
 * CUT_ROOT  the folder, as the server names it
 * CUT_LOG   the record, appended to; the harness appends its own marks
 * CUT_SYNC_MICROS  how long a sync takes; nothing is really synced
 * CUT_FAIL  N:HOW:LAST: the operations N to LAST fail (from 1). HOW is E an I/O error of any operation, F no space
 *           for those that need some, H only half of each write is taken. What is counted is what HOW may fail.
 * CUT_COUNT a file that the number of those operations is written to at the end
 *
 * SQLite's -shm file is left out: it is memory, and made anew after a crash. An operation and its line in the record
 * are one step for all threads.
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 65536
#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static unsigned char tracked[FILES];
static char root[PATH_MAX];
static size_t root_length;
static int record = -1;
static useconds_t sync_micros;
static long first_failure, last_failure, operations;
static char how;

struct line {
    uint8_t kind, unused[3];
    uint32_t path;
    uint64_t file, at, bytes;
};

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("CUT_ROOT");
    if (text) root_length = (size_t)snprintf(root, sizeof root, "%s", text);
    if ((text = getenv("CUT_LOG")))
        record = (int)syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    if ((text = getenv("CUT_SYNC_MICROS"))) sync_micros = (useconds_t)atoi(text);
    if ((text = getenv("CUT_FAIL"))) sscanf(text, "%ld:%c:%ld", &first_failure, &how, &last_failure);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("CUT_COUNT");
    char text[32];
    int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (file < 0) return;
    syscall(SYS_write, file, text, (size_t)snprintf(text, sizeof text, "%ld\n", operations));
    syscall(SYS_close, file);
}

/* One line of the record, in one call, so that marks of others come before or after it. */
static void note(char kind, const char *path, size_t path_length, uint64_t file, uint64_t at, const void *bytes, size_t count) {
    if (record < 0) return;
    struct line line = {(uint8_t)kind, {0}, (uint32_t)path_length, file, at, count};
    struct iovec parts[3] = {
        {&line, sizeof line}, {(void *)(uintptr_t)path, path_length}, {(void *)(uintptr_t)bytes, count}};
    ssize_t all = (ssize_t)(sizeof line + path_length + count);
    if (syscall(SYS_writev, record, parts, 3) != all) abort();
}

/* Whether this operation is to fail. `needs`: what it is about, of the letters above that may fail it. */
static int fails(const char *needs) {
    if (!how || !strchr(needs, how)) return 0;
    operations++;
    if (operations < first_failure || operations > last_failure) return 0;
    errno = how == 'F' ? ENOSPC : EIO;
    return 1;
}

/* The part of a path below the folder; NULL for others. The folder itself is "". */
static const char *below(const char *path) {
    if (!root_length || !path || strncmp(path, root, root_length)) return NULL;
    path += root_length;
    if (*path && *path != '/') return NULL;
    while (*path == '/') path++;
    size_t length = strlen(path);
    return length >= 4 && !strcmp(path + length - 4, "-shm") ? NULL : path;
}

static const char *absolute(int folder, const char *path, char *room) {
    if (!path || *path == '/') return path;
    char link[64];
    if (folder == AT_FDCWD) strcpy(link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, room, PATH_MAX);
    if (length <= 0 || (size_t)length + strlen(path) + 2 > PATH_MAX) return path;
    room[length] = '/';
    strcpy(room + length + 1, path);
    return room;
}

static int is_tracked(int file) { return file >= 0 && file < FILES && tracked[file]; }

static int is_socket(int file) {
    struct stat about;
    return record >= 0 && !fstat(file, &about) && S_ISSOCK(about.st_mode);
}

static uint64_t number_of(int file) {
    struct stat about;
    return fstat(file, &about) ? 0 : (uint64_t)about.st_ino;
}

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    char room[2 * PATH_MAX];
    const char *name = below(absolute(AT_FDCWD, path, room));
    if (!name) return real(path, flags, mode);
    pthread_mutex_lock(&one);
    struct stat about;
    int is_new = (flags & O_CREAT) && lstat(path, &about);
    int file = -1;
    if (!fails(is_new ? "EF" : "E")) file = real(path, flags, mode);
    int kept = errno;
    if (file >= 0 && !fstat(file, &about) && S_ISREG(about.st_mode)) {
        if (file >= FILES) abort();
        tracked[file] = 1;
        if (is_new) note('C', name, strlen(name), (uint64_t)about.st_ino, 0, NULL, 0);
        else if (flags & O_TRUNC) note('T', NULL, 0, (uint64_t)about.st_ino, 0, NULL, 0);
    }
    pthread_mutex_unlock(&one);
    errno = kept;
    return file;
}

static mode_t mode_of(int flags, va_list words) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(words, mode_t) : 0; }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list words; \
        va_start(words, flags); \
        mode_t mode = mode_of(flags, words); \
        va_end(words); \
        REAL(int, #name, const char *, int, ...); \
        return opened(real, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int close(int file) {
    REAL(int, "close", int);
    if (file >= 0 && file < FILES) tracked[file] = 0;
    return real(file);
}

/* What leaves is noted before it leaves: nobody can know of it earlier. */
static void leaving(int socket, const struct iovec *parts, int count) {
    for (int part = 0; part < count; part++)
        if (parts[part].iov_len) note('O', NULL, 0, (uint64_t)socket, 0, parts[part].iov_base, parts[part].iov_len);
}

static ssize_t put(int file, const void *bytes, size_t count, off64_t at) {
    if (fails("EF")) return -1;
    size_t most = count;
    if (how == 'H' && count > 1 && fails("H")) most = count / 2;
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    ssize_t done = real(file, bytes, most, at);
    if (done > 0) note('W', NULL, 0, number_of(file), (uint64_t)at, bytes, (size_t)done);
    return done;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (!is_tracked(file)) return real(file, bytes, count, at);
    pthread_mutex_lock(&one);
    ssize_t done = put(file, bytes, count, at);
    pthread_mutex_unlock(&one);
    return done;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return pwrite64(file, bytes, count, at); }

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (!is_tracked(file)) {
        struct iovec part = {(void *)(uintptr_t)bytes, count};
        if (is_socket(file)) leaving(file, &part, 1);
        return real(file, bytes, count);
    }
    pthread_mutex_lock(&one);
    int end = fcntl(file, F_GETFL) & O_APPEND;
    off64_t at = lseek64(file, 0, end ? SEEK_END : SEEK_CUR);
    ssize_t done = put(file, bytes, count, at);
    if (done > 0) lseek64(file, at + done, SEEK_SET);
    pthread_mutex_unlock(&one);
    return done;
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (!is_tracked(file)) {
        if (is_socket(file)) leaving(file, parts, count);
        return real(file, parts, count);
    }
    for (int part = 0; part < count; part++)
        if (parts[part].iov_len) return write(file, parts[part].iov_base, parts[part].iov_len);
    return 0;
}

ssize_t send(int file, const void *bytes, size_t count, int flags) {
    REAL(ssize_t, "send", int, const void *, size_t, int);
    struct iovec part = {(void *)(uintptr_t)bytes, count};
    leaving(file, &part, 1);
    return real(file, bytes, count, flags);
}

ssize_t sendmsg(int file, const struct msghdr *message, int flags) {
    REAL(ssize_t, "sendmsg", int, const struct msghdr *, int);
    leaving(file, message->msg_iov, (int)message->msg_iovlen);
    return real(file, message, flags);
}

#define READ(name, type, ...) \
    { \
        REAL(ssize_t, name, int, void *, size_t type); \
        if (is_tracked(file)) { \
            pthread_mutex_lock(&one); \
            int failed = fails("E"); \
            pthread_mutex_unlock(&one); \
            if (failed) return -1; \
        } \
        return real(file, bytes, count __VA_ARGS__); \
    }
#define NO_MORE
#define AND_OFFSET , off64_t
ssize_t read(int file, void *bytes, size_t count) READ("read", NO_MORE)
ssize_t pread64(int file, void *bytes, size_t count, off64_t at) READ("pread64", AND_OFFSET, , at)
ssize_t pread(int file, void *bytes, size_t count, off_t at) { return pread64(file, bytes, count, at); }

int ftruncate64(int file, off64_t length) {
    REAL(int, "ftruncate64", int, off64_t);
    if (!is_tracked(file)) return real(file, length);
    pthread_mutex_lock(&one);
    int failed = fails("E") ? -1 : real(file, length);
    if (!failed) note('T', NULL, 0, number_of(file), (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&one);
    return failed;
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

int fallocate64(int file, int mode, off64_t at, off64_t length) {
    REAL(int, "fallocate64", int, int, off64_t, off64_t);
    if (!is_tracked(file)) return real(file, mode, at, length);
    pthread_mutex_lock(&one);
    int failed = fails("EF") ? -1 : real(file, mode, at, length);
    if (!failed && mode == 0) note('A', NULL, 0, number_of(file), (uint64_t)(at + length), NULL, 0);
    pthread_mutex_unlock(&one);
    return failed;
}

int fallocate(int file, int mode, off_t at, off_t length) { return fallocate64(file, mode, at, length); }

int posix_fallocate64(int file, off64_t at, off64_t length) {
    int kept = errno, failed = fallocate64(file, 0, at, length) ? errno : 0;
    errno = kept;
    return failed;
}

int posix_fallocate(int file, off_t at, off_t length) { return posix_fallocate64(file, at, length); }

/* Copies within the kernel are refused: whoever asks for one then reads and writes. */
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t count, unsigned flags) {
    (void)in, (void)in_at, (void)out, (void)out_at, (void)count, (void)flags;
    return errno = EXDEV, -1;
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t count) {
    (void)out, (void)in, (void)at, (void)count;
    return errno = EINVAL, -1;
}

ssize_t sendfile(int out, int in, off_t *at, size_t count) { return sendfile64(out, in, at, count); }

static int synced(const char *name, int file) {
    char link[64], path[PATH_MAX];
    const char *folder = NULL;
    if (!is_tracked(file)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = readlink(link, path, sizeof path - 1);
        if (length > 0) path[length] = 0, folder = below(path);
        if (!folder) return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
    }
    if (sync_micros) usleep(sync_micros);
    pthread_mutex_lock(&one);
    int failed = fails("E") ? -1 : 0;
    if (!failed && folder) note('Y', folder, strlen(folder), 0, 0, NULL, 0);
    if (!failed && !folder) note('S', NULL, 0, number_of(file), 0, NULL, 0);
    pthread_mutex_unlock(&one);
    return failed;
}

int fsync(int file) { return synced("fsync", file); }
int fdatasync(int file) { return synced("fdatasync", file); }

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    char from_room[2 * PATH_MAX], to_room[2 * PATH_MAX], both[2 * PATH_MAX + 1];
    const char *old = absolute(from_folder, from, from_room), *new = absolute(to_folder, to, to_room);
    const char *old_name = below(old), *new_name = below(new);
    pthread_mutex_lock(&one);
    int failed = (old_name || new_name) && fails("EF")
        ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, flags);
    if (!failed && old_name && new_name) {
        size_t length = strlen(old_name), more = strlen(new_name);
        memcpy(both, old_name, length + 1);
        memcpy(both + length + 1, new_name, more);
        note('R', both, length + 1 + more, flags, 0, NULL, 0);
    } else if (!failed && (old_name || new_name)) {
        note('?', old, strlen(old), 0, 0, NULL, 0);
    }
    pthread_mutex_unlock(&one);
    return failed;
}

int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return renameat2(a, from, b, to, 0); }

int unlinkat(int folder, const char *path, int flags) {
    char room[2 * PATH_MAX];
    const char *whole = absolute(folder, path, room), *name = below(whole);
    if (!name) return (int)syscall(SYS_unlinkat, folder, path, flags);
    pthread_mutex_lock(&one);
    int failed = fails("E") ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
    if (!failed) note('U', name, strlen(name), 0, 0, NULL, 0);
    pthread_mutex_unlock(&one);
    return failed;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdir(const char *path, mode_t mode) {
    char room[2 * PATH_MAX];
    const char *name = below(absolute(AT_FDCWD, path, room));
    pthread_mutex_lock(&one);
    int failed = name && fails("EF") ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (!failed && name) note('M', name, strlen(name), 0, 0, NULL, 0);
    pthread_mutex_unlock(&one);
    return failed;
}

/* A second name of a file. */
int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    char from_room[2 * PATH_MAX], to_room[2 * PATH_MAX];
    const char *old = absolute(from_folder, from, from_room), *new = absolute(to_folder, to, to_room);
    const char *name = below(new);
    pthread_mutex_lock(&one);
    struct stat about;
    int failed = name && fails("EF") ? -1 : (int)syscall(SYS_linkat, AT_FDCWD, old, AT_FDCWD, new, flags);
    if (!failed && name && !stat(new, &about)) note('N', name, strlen(name), (uint64_t)about.st_ino, 0, NULL, 0);
    pthread_mutex_unlock(&one);
    return failed;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
