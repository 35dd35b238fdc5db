/* A card that fails when it is told to: put between the server and the C library, it stands in for
 * the calls that write files. Only the database and its log are concerned.
 *
 * The file named by FAULT_FILE holds one letter: S a sync fails, B a sync waits until the letter is
 * gone, F the disk is full, E a write fails, O the file system can only be read, R a read fails; small ones mean the
 * same for copies that are being made (`.partial`). V: whoever asks how much space there is hears of none; L the same,
 * and none can be kept back. Anything else: all is well.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

static char fault(void) {
    const char *path = getenv("FAULT_FILE");
    char letter = 0;
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    if (read(file, &letter, 1) != 1) letter = 0;
    close(file);
    return letter;
}

/* The letter, if it is about this file; in capitals. */
static char fault_of(int file) {
    char link[64], target[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length <= 0) return 0;
    target[length] = 0;
    if (strstr(target, "-shm")) return 0;
    char letter = fault();
    if (strstr(target, ".partial")) return letter >= 'a' ? letter - 32 : 0;
    return strstr(target, "deuced.db") && letter < 'a' ? letter : 0;
}

static int sync_with(const char *name, int file) {
    int kept = errno;
    if (fault_of(file) == 'S') return errno = EIO, -1;
    while (fault_of(file) == 'B') usleep(2000);
    errno = kept;
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return sync_with("fsync", file); }
int fdatasync(int file) { return sync_with("fdatasync", file); }

static int refused(int file) {
    int kept = errno;
    char letter = fault_of(file);
    errno = letter == 'F' ? ENOSPC : letter == 'E' ? EIO : letter == 'O' ? EROFS : kept;
    return letter == 'F' || letter == 'E' || letter == 'O';
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
    return refused(file) ? -1 : real(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    return pwrite64(file, bytes, count, at);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t at) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    int kept = errno;
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    if (fault_of(file) == 'R') return errno = EIO, -1;
    errno = kept;
    return real(file, bytes, count, at);
}

ssize_t pread(int file, void *bytes, size_t count, off_t at) {
    return pread64(file, bytes, count, at);
}

int statvfs(const char *path, struct statvfs *found) {
    static int (*real)(const char *, struct statvfs *);
    if (!real) real = dlsym(RTLD_NEXT, "statvfs");
    int outcome = real(path, found);
    if (outcome == 0 && (fault() == 'V' || fault() == 'L')) found->f_bavail = found->f_bfree = 0;
    return outcome;
}

int fallocate64(int file, int mode, off64_t offset, off64_t length) {
    static int (*real)(int, int, off64_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "fallocate64");
    if (fault() == 'L' || fault() == 'F') return errno = ENOSPC, -1;
    return real(file, mode, offset, length);
}
