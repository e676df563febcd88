/* measure FILE COMMAND...: runs a command and writes "seconds KiB" to FILE: how long it took, and the largest resident set of it and its
 * children. Small itself, so that what it takes to start a command from a shell is in nobody's figures. Ends as the command did. */
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    pid_t child;
    int status;
    struct rusage usage;
    if (argc < 3)
        return 2;
    double began = now();
    if (posix_spawnp(&child, argv[2], NULL, NULL, argv + 2, environ) != 0) {
        perror(argv[2]);
        return 127;
    }
    if (wait4(child, &status, 0, &usage) != child)
        return 1;
    double took = now() - began;
    FILE *file = fopen(argv[1], "w");
    if (file == NULL || fprintf(file, "%.5f %ld\n", took, usage.ru_maxrss) < 0 || fclose(file) != 0) {
        perror(argv[1]);
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
