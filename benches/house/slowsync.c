/* Preloaded into the server and into the bare loops: delays every fsync and fdatasync by
 * HOUSE_SYNC_MS milliseconds, and appends begin and end of each sync of a write-ahead log
 * (two 64-bit nanosecond values, CLOCK_MONOTONIC) to the file HOUSE_SYNC_LOG. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long delay_ms;
static int log_file = -1;

__attribute__((constructor)) static void read_environment(void) {
    const char *delay = getenv("HOUSE_SYNC_MS"), *log = getenv("HOUSE_SYNC_LOG");
    if (delay) delay_ms = atol(delay);
    if (log) log_file = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int is_write_ahead_log(int file) {
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path);
    return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

static int slowly(const char *name, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    uint64_t times[2] = {now_ns(), 0};
    struct timespec delay = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    if (delay_ms > 0) nanosleep(&delay, 0);
    int result = real(file);
    times[1] = now_ns();
    if (log_file >= 0 && is_write_ahead_log(file)) {
        /* A lost line costs the measurement a sample, never the server anything. */
        ssize_t written = write(log_file, times, sizeof times);
        (void)written;
    }
    return result;
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
