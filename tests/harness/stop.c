/* A process that is killed at the STOP_ATth of the calls that change what a folder holds or bring something to the
 * card. STOP_KEEP is a folder that cannot be renamed or removed, as if something were mounted there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static void step(void) {
    static long done;
    const char *at = getenv("STOP_AT");
    if (at && ++done == atol(at)) kill(getpid(), SIGKILL);
}

static int kept(const char *path) {
    const char *keep = getenv("STOP_KEEP");
    return keep && strcmp(keep, path) == 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file) { step(); return REAL(fsync)(file); }
int fdatasync(int file) { step(); return REAL(fdatasync)(file); }
int unlink(const char *path) { step(); return REAL(unlink)(path); }
int unlinkat(int folder, const char *path, int flags) { step(); return REAL(unlinkat)(folder, path, flags); }
int mkdir(const char *path, mode_t mode) { step(); return REAL(mkdir)(path, mode); }
int link(const char *from, const char *to) { step(); return REAL(link)(from, to); }

int linkat(int a, const char *from, int b, const char *to, int flags) {
    step();
    return REAL(linkat)(a, from, b, to, flags);
}

int rename(const char *from, const char *to) {
    step();
    if (kept(from) || kept(to)) return errno = EBUSY, -1;
    return REAL(rename)(from, to);
}

int rmdir(const char *path) {
    step();
    if (kept(path)) return errno = EBUSY, -1;
    return REAL(rmdir)(path);
}
