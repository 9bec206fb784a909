/* A disk that takes less than it is given, that is interrupted, or that fails at the write of this number. Comes in
   before the C library by LD_PRELOAD; regular files only, since the same call serves sockets and terminals. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int made;

ssize_t write(int file, const void *bytes, size_t count) {
    static const char injected[] = "injected\n";
    const char *fault = getenv("FAULT");
    struct stat what;
    if (fault && count && fstat(file, &what) == 0 && S_ISREG(what.st_mode)) {
        int number = __atomic_add_fetch(&made, 1, __ATOMIC_SEQ_CST), hit = 1;
        int error = 0;
        if (!strcmp(fault, "short"))
            count = number % 3 ? 1 : (count + 1) / 2;
        else if (!strcmp(fault, "interrupted"))
            error = number % 2 ? EINTR : 0;
        else if (number + 1 == atoi(fault))
            count = (count + 1) / 2;
        else if (number == atoi(fault))
            error = EIO;
        else
            hit = 0;
        if (hit)
            syscall(SYS_write, 2, injected, sizeof injected - 1);
        if (error) {
            errno = error;
            return -1;
        }
    }
    return syscall(SYS_write, file, bytes, count);
}
